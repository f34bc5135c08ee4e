"""The Elastic IP of a side: created here, kept at the end, or the caller's own.

Does not prove what AWS answers (tests/engine/test_elastic_ip.py).
"""

from typing import Any

import pulumi
import pytest

from components import SettingsError
from components.inputs.settings import pair_settings
from tests.unit.recording import Deployment, Recorder, address_of, deploy_pair

OWN = "eipalloc-0123456789abcdef0"
ADDRESS = "192.0.2.77"
LOOK_UP = "aws:ec2/getElasticIp:getElasticIp"


def _answer(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"id": arguments["id"], "publicIp": ADDRESS, "networkInterfaceId": ""}


def _not_found(_: Any) -> Any:
    failure = f"invocation of {LOOK_UP} returned an error: 1 error occurred:\n\t* no matching EC2 EIP found"
    return {}, [("", failure)]


def _pair(deployment: Deployment, article: dict[str, Any], **left: Any) -> Recorder:
    return deploy_pair(deployment, article, left={**article["left"], **left})


@pytest.mark.parametrize("value", [OWN, pulumi.Output.from_input(OWN)], ids=["text", "output"])
def test_the_callers_own_address_is_associated_and_is_the_gateways(
    deployment: Deployment, article: dict[str, Any], value: Any
) -> None:
    deployment.recorder.cloud.answers[LOOK_UP] = _answer
    recorder = _pair(deployment, article, allocation_id=value)
    assert [each.name for each in recorder.of_type("aws:ec2/eip:Eip")] == ["vpn-au-gateway-address"]
    assert recorder.named("vpn-uk-gateway-address-association").inputs["allocationId"] == OWN
    assert recorder.outputs["vpn"]["left"]["public_ip"] == ADDRESS
    assert recorder.named("vpn-uk-prepare").inputs["connection"]["host"] == ADDRESS
    admitted = [each.inputs.get("cidrIpv4") for each in recorder.registrations if "vpn-au-gateway-ingress" in each.name]
    assert f"{ADDRESS}/32" in admitted
    assert recorder.named("vpn-uk-own-address").request.replacement_trigger.string_value == OWN


def test_an_address_that_is_created_here_is_released_unless_it_is_retained(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    recorder = _pair(deployment, article, retain_elastic_ip=True)
    requests = {side: recorder.named(f"vpn-{side}-gateway-address").request for side in ("uk", "au")}
    assert {side: request.retainOnDelete for side, request in requests.items()} == {"uk": True, "au": False}
    assert recorder.outputs["vpn"]["left"]["public_ip"] == address_of("vpn-uk-gateway-address")


def test_an_address_that_is_not_there_is_named(deployment: Deployment, article: dict[str, Any]) -> None:
    deployment.recorder.cloud.answers[LOOK_UP] = _not_found
    with pytest.raises(SettingsError) as refused:
        _pair(deployment, article, allocation_id=OWN)
    assert [str(each) for each in refused.value.problems] == [
        f"allocation_id '{OWN}': is not found: no matching EC2 EIP found (); give the allocation id of an Elastic IP "
        "of this account and region"
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"left.allocation_id": "192.0.2.1"}, "left.allocation_id '192.0.2.1': is not an id eipalloc-…"),
        ({"left.allocation_id": OWN, "right.allocation_id": OWN}, f"right.allocation_id '{OWN}': is that of the left"),
        ({"left.allocation_id": OWN, "left.retain_elastic_ip": True}, "left.retain_elastic_ip 'true': is for an Ela"),
        ({"left.retain_elastic_ip": "yes"}, "left.retain_elastic_ip 'yes': is not a boolean"),
    ],
)
def test_what_cannot_be_meant_is_refused(article: dict[str, Any], arguments: dict[str, Any], problem: str) -> None:
    for path, value in arguments.items():
        side, _, key = path.partition(".")
        article[side] = {**article[side], key: value}
    with pytest.raises(SettingsError) as refused:
        pair_settings("vpn", article)  # type: ignore[arg-type]  # a plain dict
    (found,) = refused.value.problems
    assert str(found).startswith(problem)
