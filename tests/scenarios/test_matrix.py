"""Both Debian releases on either side, in both profiles: up, verified, evident, negotiated as the profile says.

Proves that user data, packages and both Libreswans make the same tunnel in every combination, that the SAs of
`article-2014` are those of the article, and that a peer which is not Libreswan agrees. Replaces the gateways, and
restores the stack's own configuration. Does not prove AWS's images. SAVE_TRANSCRIPTS=1 writes what the tools print to
tests/unit/transcripts/.
"""

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from components.decisions.tunnel import PROFILES, TunnelProfile
from lab import evidence, stack
from lab.machines.image import ensure_image
from tests.scenarios import ipsec, matrix, matrix_transcripts, negotiated, sites
from tests.scenarios.diagnosis import answers
from tests.scenarios.matrix import CELLS, Cell
from tests.scenarios.sites import Pair
from tests.scenarios.strongswan import tunnel
from tests.scenarios.strongswan.substitute import in_place_of

pytestmark = pytest.mark.timeout(1800)


@dataclass(frozen=True)
class Deployed:
    """The pair in one combination."""

    cell: Cell
    pair: Pair
    output: str
    """What `pulumi up` printed."""


@pytest.fixture(scope="module")
def own_configuration(running_stack: None) -> Iterator[None]:
    """Build both images, and restore the stack's own configuration after the last combination."""
    for release in matrix.LIBRESWAN:
        ensure_image(release, print)
    yield
    assert stack.up() == 0


@pytest.fixture(scope="module", params=CELLS, ids=str)
def deployed(
    request: pytest.FixtureRequest, own_configuration: None, tmp_path_factory: pytest.TempPathFactory
) -> Deployed:
    """Bring the pair to one combination. `pulumi up` is green only when its own proof is."""
    began = time.monotonic()
    done = matrix.up(request.param, tmp_path_factory.mktemp("stack"))
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    print(f"\n{request.param}: pulumi up took {time.monotonic() - began:.0f} s")
    return Deployed(request.param, sites.find(), done.stdout + done.stderr)


def test_up_warns_of_a_weak_profile_and_of_no_other(deployed: Deployed) -> None:
    weak = [line for line in matrix.warnings(deployed.output) if "is weak" in line]
    weaknesses = PROFILES[deployed.cell.profile].weaknesses
    if weaknesses is None:
        assert weak == []
    else:
        assert weak, deployed.output
        for line in weak:
            assert f"profile {deployed.cell.profile.value} is weak: {weaknesses}" in line
        # The warning has to say what is weak.
        assert "IKEv1" in weaknesses
        assert "SHA-1" in weaknesses


def test_each_gateway_runs_the_release_that_was_asked_for(deployed: Deployed) -> None:
    for site in deployed.pair.sites:
        release = deployed.cell.release(site.name)
        assert f'VERSION_ID="{release.removeprefix("debian-")}"' in site.gateway.read("/etc/os-release")
        assert matrix.LIBRESWAN[release] in site.gateway.run("ipsec --version")


def test_every_layer_holds_on_both_gateways(deployed: Deployed) -> None:
    for name, look in answers.ask(deployed.pair.gateways).items():
        assert {layer.status for layer in look.layers} == {"ok"}, (name, look.raw)


def test_the_articles_evidence_holds(deployed: Deployed) -> None:
    assert evidence.collect().failures == []


def test_the_associations_are_what_the_profile_says(deployed: Deployed) -> None:
    expected = PROFILES[deployed.cell.profile]
    for site in deployed.pair.sites:
        found = negotiated.tunnel(site.gateway)
        assert found.ike.startswith(f"IKEv{expected.ike_version} {expected.ike_algorithm}"), (site.gateway.name, found)
        assert found.esp == expected.esp_algorithm, (site.gateway.name, found)
        if os.environ.get("SAVE_TRANSCRIPTS"):
            matrix_transcripts.save(site, deployed.cell)


def test_a_modern_rekey_has_a_key_exchange_of_its_own(deployed: Deployed) -> None:
    if deployed.cell.profile is not TunnelProfile.MODERN:
        pytest.skip("IKEv1 has a group in every quick mode; pluto does not log it, but strongSwan shows it")
    for site in deployed.pair.sites:
        seen = len(negotiated.transforms(site.gateway))
        ipsec.rekey(site.gateway, "child")
        deadline = time.monotonic() + 20
        while len(found := negotiated.transforms(site.gateway)) == seen:
            assert time.monotonic() < deadline, negotiated.log(site.gateway)
            time.sleep(0.5)
        assert all(transform == "AES_GCM_16_256-NONE-DH20" for transform in found[seen:]), found[seen:]


def test_strongswan_brings_up_the_tunnel_and_passes_traffic(deployed: Deployed) -> None:
    pair = deployed.pair
    with in_place_of(pair.au, pair.uk) as peer:
        tunnel.connect(tunnel.Setup(peer=peer, site=pair.uk, replaced=pair.au), deployed.cell.profile)
