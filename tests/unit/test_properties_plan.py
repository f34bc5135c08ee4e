"""Proves with generated argument sets which resources a pair registers.

They have exact admissions, mirrored connections, no secret in any plain input or output, user data within EC2's limit,
and a role for exactly its own parameters. A pair with a wrong setting registers nothing. There are fewer sets than
in test_properties.py, because a whole pair takes a fifth of a second. Does not prove what AWS does with the resources
(tests/engine).
"""

import asyncio
import base64
import json
from collections import Counter
from itertools import product
from typing import Any

import pulumi
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from components import VpnGatewayPair
from components.decisions.monitoring import NAMESPACE
from components.inputs.arguments import SecretDelivery
from components.inputs.problems import SettingsError
from components.inputs.settings import PairSettings
from components.inputs.site import SiteSettings
from components.user_data import USER_DATA_LIMIT
from tests.unit import ipsec_sections
from tests.unit.argument_sets import ArgumentSet, arbitrary, sound
from tests.unit.existing_cloud import PRIVATE, PUBLIC, ExistingCloud
from tests.unit.gateway_documents import files_of, user_data_of
from tests.unit.recording import HOST_KEY as GENERATED_HOST_KEY
from tests.unit.recording import PPK as GENERATED_PPK
from tests.unit.recording import PSK as GENERATED_PSK
from tests.unit.recording import Deployment, Recorder, address_of
from tests.unit.test_properties import check_error, outcome

PAIRS = 15 * settings().max_examples // 100
"""Sixty with the profile `whole` (`make test-properties`), otherwise fifteen."""
GROUP_RULE = {
    "ingress": "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    "egress": "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
}
NETWORK = ("aws:ec2/vpc:Vpc", "aws:ec2/subnet:Subnet")
Rule = tuple[str, str, str, int | None, int | None, str]
"""Group, direction, protocol, first port, last port, range."""


def deploy(deployment: Deployment, made: ArgumentSet) -> Recorder:
    """Return the pair's registrations, made on a separate event loop."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    left = made.args.get("left")
    if isinstance(left, dict) and "existing_network" in left:
        block = str(left.get("cidr_block"))
        subnets, zone = {PUBLIC: block, PRIVATE: block}, f"{left['region']}a"
        ExistingCloud(cidr_blocks=[block], subnets=subnets, zone=zone).answer(deployment)
    try:
        return deployment.run(lambda: VpnGatewayPair("vpn", made.args))
    finally:
        pulumi.runtime.set_all_config({})
        loop.close()


def check_admissions(recorder: Recorder, site: SiteSettings, peer: SiteSettings, pair: PairSettings) -> None:
    """Check that a site has two security groups with exactly the expected rules."""
    side = f"vpn-{site.name}"
    gateway, private = (f"{side}-{group}-security-group-id" for group in ("gateway", "private-hosts"))
    eip = f"{address_of(f'vpn-{peer.name}-gateway-address')}/32"
    expected: list[Rule] = [
        *((gateway, "ingress", "udp", port, port, eip) for port in (500, 4500)),
        *((gateway, "ingress", "-1", None, None, str(network)) for network in site.cidr_blocks),
        *((gateway, "ingress", "tcp", 22, 22, str(network)) for network in pair.administrator_cidr_blocks),
        *((private, "ingress", "-1", None, None, str(network)) for network in site.cidr_blocks),
        *((private, "ingress", "-1", None, None, str(network)) for network in peer.ranges),
        *((group, "egress", "-1", None, None, "0.0.0.0/0") for group in (gateway, private)),
    ]
    registered: list[Rule] = [
        (
            each.inputs["securityGroupId"],
            direction,
            each.inputs["ipProtocol"],
            each.inputs.get("fromPort"),
            each.inputs.get("toPort"),
            each.inputs["cidrIpv4"],
        )
        for direction, token in GROUP_RULE.items()
        for each in recorder.of_type(token)
        if each.parent == side
    ]
    assert Counter(registered) == Counter(expected)
    groups = [each.name for each in recorder.of_type("aws:ec2/securityGroup:SecurityGroup") if each.parent == side]
    assert sorted(f"{name}-id" for name in groups) == sorted([gateway, private])


def connections(recorder: Recorder, site: SiteSettings) -> dict[str, ipsec_sections.Section]:
    """Return the connections that the gateway's daemon loads."""
    text = files_of(user_data_of(recorder.named(f"vpn-{site.name}-gateway").inputs))
    return ipsec_sections.loaded(ipsec_sections.sections(text["/etc/ipsec.d/vpn.conf"]))


def check_mirror(recorder: Recorder, pair: PairSettings) -> None:
    """Check that the files of both gateways mirror each other, with a connection for each pair of ranges."""
    own, peers = connections(recorder, pair.left), connections(recorder, pair.right)
    ipsec_sections.check_mirror(own, peers)
    assert {(each["leftsubnet"], each["rightsubnet"]) for each in own.values()} == {
        (str(here), str(there)) for here in pair.left.ranges for there in pair.right.ranges
    }
    assert {each["right"] for each in own.values()} == {address_of(f"vpn-{pair.right.name}-gateway-address")}


def check_secrets(recorder: Recorder, made: ArgumentSet) -> None:
    """Check that no input or output that the engine keeps in plain text has a secret."""
    secrets = {
        made.args.get("psk", GENERATED_PSK),
        made.args.get("ppk", GENERATED_PPK),
        GENERATED_HOST_KEY,
        made.args.get("ssh_private_key"),
    }
    secrets |= {made.args[side].get("host_private_key") for side in ("left", "right")}
    plain = [without_secrets(each.inputs, each.secrets) for each in recorder.registrations]
    plain += [without_secrets(each, recorder.output_secrets[name]) for name, each in recorder.outputs.items()]
    for text in map(str, plain):
        # `repr`, because `str` shows the text inside a dictionary so.
        assert not [secret for secret in secrets if secret and repr(secret)[1:-1] in text]
        assert "PRIVATE KEY" not in text


def without_secrets(value: Any, secrets: frozenset[str], path: str = "") -> Any:
    """Return inputs or outputs without the values that are marked as secret."""
    if path in secrets:
        return None
    if isinstance(value, dict):
        return {key: without_secrets(each, secrets, f"{path}.{key}".lstrip(".")) for key, each in value.items()}
    if isinstance(value, list):
        return [without_secrets(each, secrets, f"{path}[{n}]") for n, each in enumerate(value)]
    return value


def check_role(recorder: Recorder, made: ArgumentSet, site: SiteSettings, pair: PairSettings) -> None:
    """Check that the instance's role has one policy, for its own parameters, and that user data needs no role."""
    (args,) = [made.args[side] for side in ("left", "right") if made.args[side]["name"] == site.name]
    side = f"vpn-{site.name}"
    parameters = [each for each in recorder.of_type("aws:ssm/parameter:Parameter") if each.parent == side]
    policies = [each for each in recorder.of_type("aws:iam/rolePolicy:RolePolicy") if each.parent == side]
    roles = [each for each in recorder.of_type("aws:iam/role:Role") if each.parent == side]
    if pair.secret_delivery is SecretDelivery.USER_DATA:
        assert not [*parameters, *policies, *roles]
        return
    (policy,), (role,) = policies, roles
    statement, by_endpoint, *others = json.loads(policy.inputs["policy"])["Statement"]
    assert {**by_endpoint, "Condition": statement["Condition"]} == statement
    own = {"StringEquals": {"kms:EncryptionContext:PARAMETER_ARN": statement["Resource"]}}
    decrypt = {"Effect": "Allow", "Action": "kms:Decrypt", "Resource": args.get("kms_key_arn"), "Condition": own}
    publishes = [each for each in others if each["Action"] == "cloudwatch:PutMetricData"]
    assert all(each["Condition"]["StringEquals"]["cloudwatch:namespace"] == NAMESPACE for each in publishes)
    assert len(publishes) == (0 if pair.left_monitoring is None else 2)
    assert [each for each in others if each not in publishes] == ([decrypt] if "kms_key_arn" in args else [])
    assert role.inputs.get("permissionsBoundary") == args.get("permissions_boundary_arn")
    assert (statement.keys(), statement["Effect"]) == ({"Effect", "Action", "Resource", "Condition"}, "Allow")
    assert statement["Action"] == "ssm:GetParameter"
    arn = "arn:aws:ssm:xx-test-1:123456789012:parameter"
    assert sorted(statement["Resource"]) == sorted(f"{arn}/{each.name}-1234567" for each in parameters)
    assert len(parameters) == 2 + pair.postquantum
    assert not {"managedPolicyArns", "inlinePolicies"} & role.inputs.keys()
    assert not recorder.of_type("aws:iam/rolePolicyAttachment:RolePolicyAttachment")


def check_network(recorder: Recorder, site: SiteSettings, peer: SiteSettings) -> None:
    """Check that a new network has all its parts, and that an existing one gets only routes in the named tables."""
    side = f"vpn-{site.name}"
    made = [each.type for each in recorder.registrations if each.parent == side and each.type in NETWORK]
    routes = {
        (each.inputs["routeTableId"], each.inputs["destinationCidrBlock"])
        for each in recorder.of_type("aws:ec2/route:Route")
        if each.parent == side and each.inputs.get("networkInterfaceId") == f"{side}-gateway-interface-id"
    }
    if site.existing_network is None:
        assert Counter(made) == {
            "aws:ec2/vpc:Vpc": 1,
            "aws:ec2/subnet:Subnet": 1 + len(site.private_subnet_cidr_blocks),
        }
        assert routes == {(f"{side}-private-routes-id", "0.0.0.0/0")}
        return
    assert made == []
    wanted = ["0.0.0.0/0"] if site.existing_network.take_default_route else map(str, peer.ranges)
    assert routes == set(product(site.existing_network.private_route_table_ids, wanted))


def check_refusal(made: ArgumentSet, error: SettingsError) -> None:
    """Check that the component raises the same error before it registers anything."""
    check_error(made, error)
    deployment = Deployment()
    with pytest.raises(SettingsError) as caught:
        deploy(deployment, made)
    assert str(caught.value) == str(error)
    assert not deployment.recorder.registrations


def check_pair(made: ArgumentSet, pair: PairSettings) -> None:
    """Check all registrations of the pair."""
    recorder = deploy(Deployment(), made)
    assert set(Counter(each.urn for each in recorder.registrations).values()) == {1}
    for site, peer in ((pair.left, pair.right), (pair.right, pair.left)):
        check_admissions(recorder, site, peer, pair)
        check_role(recorder, made, site, pair)
        gateway = recorder.named(f"vpn-{site.name}-gateway")
        assert len(base64.b64decode(gateway.inputs["userDataBase64"])) <= USER_DATA_LIMIT
        assert ("userDataBase64" in gateway.secrets) == (pair.secret_delivery is SecretDelivery.USER_DATA)
        interface = recorder.named(f"vpn-{site.name}-gateway-interface")
        assert interface.inputs["tags"] == {**pair.tags, "Name": f"{site.name}-gateway-interface"}
        check_network(recorder, site, peer)
    check_mirror(recorder, pair)
    check_secrets(recorder, made)


def test_argument_sets_register_nothing_or_resources_that_keep_the_promises() -> None:
    seen: Counter[str] = Counter()

    # A failing set is not reduced, because that takes minutes.
    each_third = settings(
        max_examples=PAIRS // 3,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    def hold(made: ArgumentSet) -> None:
        result = outcome(made)
        if isinstance(result, PairSettings):
            seen["planned"] += 1
            seen["in an existing network"] += result.left.existing_network is not None
            check_pair(made, result)
        else:
            seen["refused"] += 1
            check_refusal(made, result)

    # One after the other, because Hypothesis may choose one of several strategies much more often than another.
    for sets in (sound(may_exist=True), sound(), arbitrary()):
        each_third(given(made=sets)(hold))()
    assert seen["planned"] >= PAIRS * 2 / 3, seen
    assert seen["refused"], seen
    assert seen["in an existing network"], seen
