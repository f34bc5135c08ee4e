"""The VPC's packet filter, read by nft(8)."""

import subprocess
from dataclasses import replace

import pytest

from lab.network import names, ruleset
from lab.tests.network_world import UK, article, rule, vpc, with_interface, with_rules
from lab.world import Vpc

PORTS = {UK.eni_id(name): names.tap(UK.eni_id(name)) for name in ("gateway", "host")}


@pytest.mark.parametrize(
    "subject",
    [
        vpc(UK),
        replace(vpc(UK), internet_gateway_id=None),
        with_rules(
            article(),
            "sg-host-uk",
            [rule(protocol=1, ports=(3, 4)), rule(protocol=17, ports=(500, 500)), rule(protocol=50), rule(egress=True)],
        ).vpcs[0],
        with_interface(article(), UK.eni_id("host"), security_group_ids=()).vpcs[0],
        replace(vpc(UK), network_interfaces=()),
    ],
)
def test_nft_accepts_the_text(subject: Vpc) -> None:
    command = ["unshare", "--net", "nft", "--check", "-f", "-"]
    text = ruleset.render(subject, {eni.id: PORTS[eni.id] for eni in subject.network_interfaces})
    result = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
