"""Proves what a pair asks the engine for: every resource, its inputs, its provider, its secrets.

Does not prove what AWS makes of it (tests/engine) nor that packets flow (tests/lab).
"""

import json
from collections import Counter
from typing import Any

import pytest

from components import SettingsError, TunnelProfile, VpnGatewayPair, vpn_gateway
from lab.api.policies import is_allowed
from tests.unit.gateway_documents import files_of, user_data_of
from tests.unit.recording import (
    Deployment,
    Recorder,
    Registration,
    address_of,
    deploy_pair,
    public_key_of,
)

GATEWAY_INGRESS = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
INSTANCE = "aws:ec2/instance:Instance"
COMMAND = "command:remote:Command"

SIDE = [
    "command:remote:Command configure",
    "command:remote:Command prepare",
    "aws:ec2/eip:Eip gateway-address",
    "aws:ec2/eipAssociation:EipAssociation gateway-address-association",
    "aws:ec2/instance:Instance gateway",
    "aws:ec2/instance:Instance probe-host",
    "aws:ec2/internetGateway:InternetGateway internet-gateway",
    "aws:ec2/keyPair:KeyPair key-pair",
    "aws:ec2/networkInterface:NetworkInterface gateway-interface",
    "aws:ec2/route:Route private-default-route",
    "aws:ec2/route:Route public-default-route",
    "aws:ec2/routeTable:RouteTable private-routes",
    "aws:ec2/routeTable:RouteTable public-routes",
    "aws:ec2/routeTableAssociation:RouteTableAssociation private-routes-association-{private}",
    "aws:ec2/routeTableAssociation:RouteTableAssociation public-routes-association-{public}",
    "aws:ec2/securityGroup:SecurityGroup gateway-security-group",
    "aws:ec2/securityGroup:SecurityGroup private-hosts-security-group",
    "aws:ec2/subnet:Subnet private-subnet-{private}",
    "aws:ec2/subnet:Subnet public-subnet",
    "aws:ec2/vpc:Vpc vpc",
    "aws:iam/instanceProfile:InstanceProfile instance-profile",
    "aws:iam/role:Role role",
    "aws:iam/rolePolicy:RolePolicy role-policy",
    "aws:ssm/parameter:Parameter host-key-parameter",
    "aws:ssm/parameter:Parameter ppk-parameter",
    "aws:ssm/parameter:Parameter psk-parameter",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule gateway-egress",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule private-hosts-egress",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule gateway-ingress-ike-nat-{peer}",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule gateway-ingress-ike-{peer}",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule gateway-ingress-ssh-192.0.2.10-32",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule gateway-ingress-vpc",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule private-hosts-ingress-vpc",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule private-hosts-ingress-peer-{network}",
    "pulumi:index:Stash image",
    "pulumi:index:Stash login-keys",
    "pulumi:index:Stash replacement-reasons",
    "pulumi:index:Stash zone",
    "tls:index/privateKey:PrivateKey host-key",
]


def _user_data(recorder: Recorder, side: str) -> str:
    return user_data_of(recorder.named(f"vpn-{side}-gateway").inputs)


def _rule(registration: Registration) -> tuple[Any, ...]:
    return tuple(registration.inputs.get(key) for key in ("ipProtocol", "fromPort", "toPort", "cidrIpv4"))


def _rules(recorder: Recorder, group: str) -> list[tuple[Any, ...]]:
    rules = recorder.of_type(GATEWAY_INGRESS)
    return sorted((_rule(each) for each in rules if each.inputs["securityGroupId"] == group), key=str)


def test_a_pair_is_exactly_these_resources(article_pair: Recorder) -> None:
    expected = [
        "vpn-gateway-pair:index:VpnGatewayPair vpn  ",
        "random:index/randomPassword:RandomPassword vpn-psk vpn ",
        "random:index/randomPassword:RandomPassword vpn-ppk vpn ",
        "tls:index/privateKey:PrivateKey vpn-ssh-key vpn ",
        *(f"{COMMAND} vpn-{thing} vpn " for thing in ("verify-uk", "verify-au", "ping-uk", "ping-au")),
    ]
    sides = (
        ("uk", "au", "172.31.0.0-16", "10.1.1.0-24", "10.1.10.0-24"),
        ("au", "uk", "10.1.0.0-16", "172.31.12.0-24", "172.31.200.0-24"),
    )
    for side, peer, network, public, private in sides:
        expected += [
            f"pulumi:providers:aws vpn-{side}-aws vpn ",
            f"vpn-gateway-pair:index:VpnGateway vpn-{side} vpn ",
        ]
        for each in SIDE:
            token, thing = each.format(peer=peer, network=network, public=public, private=private).split(" ")
            provider = f"vpn-{side}-aws" if token.startswith("aws:") else ""
            expected.append(f"{token} vpn-{side}-{thing} vpn-{side} {provider}")
    found = [
        f"{each.type} {each.name} {each.parent.removeprefix('vpn-gateway-pair-test')} {each.provider}"
        for each in article_pair.registrations
    ]
    assert sorted(found) == sorted(expected)


def test_every_look_up_goes_to_its_sides_provider(article_pair: Recorder) -> None:
    asked = Counter((call.token.rpartition(":")[2], call.provider.split("::")[-2]) for call in article_pair.cloud.calls)
    look_ups = ("getAmi", "getInstanceTypeOfferings", "getRegion")
    assert asked == {(each, f"vpn-{side}-aws"): 1 for each in look_ups for side in ("uk", "au")}


def test_two_pairs_in_one_program_share_no_name(deployment: Deployment, article: dict[str, Any]) -> None:
    def program() -> None:
        VpnGatewayPair("first", article)  # type: ignore[arg-type]  # a plain dict
        VpnGatewayPair("second", article)  # type: ignore[arg-type]  # a plain dict

    recorder = deployment.run(program)
    urns = Counter(each.urn for each in recorder.registrations)
    assert set(urns.values()) == {1}
    # Physical names are the engine's: the logical one and random digits. None is fixed.
    for token in ("aws:iam/role:Role", "aws:iam/instanceProfile:InstanceProfile", "aws:ssm/parameter:Parameter"):
        assert not any("name" in each.inputs for each in recorder.of_type(token))
        assert len({each.name for each in recorder.of_type(token)}) == len(recorder.of_type(token)) >= 4


def test_security_groups_admit_exactly_what_a_gateway_needs(article_pair: Recorder) -> None:
    assert _rules(article_pair, "vpn-uk-gateway-security-group-id") == [
        ("-1", None, None, "10.1.0.0/16"),
        ("tcp", 22, 22, "192.0.2.10/32"),
        ("udp", 4500, 4500, f"{address_of('vpn-au-gateway-address')}/32"),
        ("udp", 500, 500, f"{address_of('vpn-au-gateway-address')}/32"),
    ]
    assert _rules(article_pair, "vpn-uk-private-hosts-security-group-id") == [
        ("-1", None, None, "10.1.0.0/16"),
        ("-1", None, None, "172.31.0.0/16"),
    ]


def test_routes_lead_out_by_the_internet_gateway_and_from_private_by_the_interface(article_pair: Recorder) -> None:
    assert {each.name: each.inputs for each in article_pair.of_type("aws:ec2/route:Route") if "uk" in each.name} == {
        "vpn-uk-public-default-route": {
            "routeTableId": "vpn-uk-public-routes-id",
            "destinationCidrBlock": "0.0.0.0/0",
            "gatewayId": "vpn-uk-internet-gateway-id",
        },
        "vpn-uk-private-default-route": {
            "routeTableId": "vpn-uk-private-routes-id",
            "destinationCidrBlock": "0.0.0.0/0",
            "networkInterfaceId": "vpn-uk-gateway-interface-id",
        },
    }


def test_identity_is_the_interface_and_the_instance_only_sits_on_it(article_pair: Recorder) -> None:
    interface = article_pair.named("vpn-au-gateway-interface")
    assert interface.inputs["privateIps"] == ["172.31.12.198"]
    assert interface.inputs["sourceDestCheck"] is False
    gateway = article_pair.named("vpn-au-gateway")
    assert gateway.inputs["primaryNetworkInterface"] == {"networkInterfaceId": "vpn-au-gateway-interface-id"}
    assert gateway.inputs["metadataOptions"] == {
        "httpEndpoint": "enabled",
        "httpTokens": "required",
        "httpPutResponseHopLimit": 1,
    }
    assert gateway.inputs["rootBlockDevice"] == {
        "encrypted": True,
        "volumeType": "gp3",
        "volumeSize": 8,
        "deleteOnTermination": True,
    }
    # The root volume's tags afterwards would be too late for an account that asks for them at launch.
    assert gateway.inputs["volumeTags"] == {"Name": "au-gateway-root", "owner": "network"}
    assert gateway.inputs["userDataReplaceOnChange"] is True
    assert gateway.request.deleteBeforeReplace
    # The provider would take the instance's silence for `true` and switch forwarding off at the second `up`.
    assert list(gateway.request.ignoreChanges) == ["sourceDestCheck", "userDataBase64", "keyName"]
    assert "sourceDestCheck" not in gateway.inputs
    assert gateway.inputs["tags"] == {"Name": "au-gateway", "owner": "network"}
    for one in ("vpn-au-gateway-interface", "vpn-au-gateway-address"):
        assert not any("gateway-id" in str(value) for value in article_pair.named(one).inputs.values())


def test_an_instance_waits_for_what_its_boot_needs(article_pair: Recorder) -> None:
    needed = {
        "gateway-address-association",
        "gateway-egress",
        "public-default-route",
        "public-routes-association-10.1.1.0-24",
        "role-policy",
        "psk-parameter",
        "ppk-parameter",
        "host-key-parameter",
    }
    waits = article_pair.named("vpn-uk-gateway").depends_on
    assert {f"vpn-uk-{thing}" for thing in needed} <= waits


def test_addresses_wait_for_the_internet_gateway(article_pair: Recorder) -> None:
    association = article_pair.named("vpn-uk-gateway-address-association")
    assert "vpn-uk-internet-gateway" in association.depends_on


def test_the_role_reads_its_own_parameters_and_nothing_else(article_pair: Recorder) -> None:
    policy = json.loads(article_pair.named("vpn-uk-role-policy").inputs["policy"])
    arn = "arn:aws:ssm:xx-test-1:123456789012:parameter"
    read = {
        "Effect": "Allow",
        "Action": "ssm:GetParameter",
        "Resource": [f"{arn}/vpn-uk-{name}-parameter-1234567" for name in ("psk", "host-key", "ppk")],
    }
    endpoint = {"StringEquals": {"aws:SourceVpc": "vpn-uk-vpc-id"}, "IpAddress": {"aws:VpcSourceIp": "10.1.1.254/32"}}
    files = files_of(_user_data(article_pair, "uk"))
    public = json.loads(files["/etc/vpn-gateway/gateway.json"])["local_id"]
    assert policy["Statement"] == [
        {**read, "Condition": {"IpAddress": {"aws:SourceIp": f"{public}/32"}}},
        {**read, "Condition": endpoint},
    ]


@pytest.mark.parametrize(
    ("place", "allowed"),
    [
        ({"aws:sourceip": "203.0.113.10"}, True),
        ({"aws:sourceip": "192.0.2.1"}, False),
        ({"aws:sourceip": "192.0.2.1", "aws:ec2instancesourcevpc": "vpn-uk-vpc-id"}, False),
        ({"aws:sourcevpc": "vpn-uk-vpc-id", "aws:vpcsourceip": "10.1.1.254"}, True),
        ({"aws:sourcevpc": "vpn-uk-vpc-id", "aws:vpcsourceip": "10.1.10.41"}, False),
        ({"aws:sourcevpc": "vpc-of-a-thief", "aws:vpcsourceip": "10.1.1.254"}, False),
        ({}, False),
    ],
)
def test_the_roles_credentials_are_of_no_use_but_on_the_gateway(
    article_pair: Recorder, place: dict[str, str], allowed: bool
) -> None:
    policy = article_pair.named("vpn-uk-role-policy").inputs["policy"]
    read = json.loads(policy)["Statement"][0]
    # The recorder's addresses are none.
    policy = policy.replace(read["Condition"]["IpAddress"]["aws:SourceIp"], "203.0.113.10/32")
    assert is_allowed([policy], "ssm:GetParameter", read["Resource"][0], place) is allowed


def test_what_is_kept_of_the_reasons_for_a_replacement_is_secret_and_only_digests(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    kept = deploy_pair(deployment, article, verify=False).named("vpn-uk-replacement-reasons")
    assert kept.secrets == {"input"}
    assert kept.inputs["input"].keys() == {
        *(
            "profile",
            "secret_delivery",
            "psk",
            "ppk",
            "SSH host key",
            "ssh_public_key",
            "peer au",
            "program of this release",
        ),
        *("cidr_block", "additional_cidr_blocks", "excluded_cidr_blocks", "administrator_cidr_blocks"),
    }
    assert all(len(digest) == 64 for digest in kept.inputs["input"].values())


def test_a_gateway_that_is_changed_in_place_is_replaced_for_two_reasons_only(article_pair: Recorder) -> None:
    kept = article_pair.named("vpn-uk-replacement-reasons")
    assert kept.inputs["input"].keys() == {"secret_delivery", "SSH host key"}
    gateway = article_pair.named("vpn-uk-gateway").request
    assert gateway.replacement_trigger.string_value == f"ssm {public_key_of('vpn-uk-host-key')}"


def test_each_gateway_is_told_the_others_elastic_ip(article_pair: Recorder) -> None:
    connection = files_of(_user_data(article_pair, "uk"))["/etc/ipsec.d/vpn.conf"]
    assert "conn uk-to-au" in connection
    assert f"leftid={address_of('vpn-uk-gateway-address')}" in connection.replace(" ", "")
    assert f"right={address_of('vpn-au-gateway-address')}" in connection.replace(" ", "")


def test_nothing_is_created_when_a_setting_is_wrong(deployment: Deployment, article: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="2 settings are wrong"):
        deploy_pair(deployment, article, psk="short", profile="best")
    assert not deployment.recorder.registrations


@pytest.mark.timeout(60)
def test_a_side_that_cannot_be_made_fails_the_program_instead_of_keeping_it_waiting(
    deployment: Deployment, article: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise ValueError("no gateway today")

    monkeypatch.setattr(vpn_gateway, "create_gateway", refuse)
    with pytest.raises(ValueError, match="no gateway today"):
        deploy_pair(deployment, article)


def test_outputs_are_registered_once_under_their_declared_names(article_pair: Recorder) -> None:
    assert article_pair.outputs["vpn"].keys() == VpnGatewayPair.__annotations__.keys()
    assert article_pair.outputs["vpn"]["left"] == article_pair.outputs["vpn-uk"]
    assert article_pair.outputs["vpn"]["right"]["connection_names"] == ["au-to-uk"]
    assert article_pair.outputs["vpn"]["verification"].keys() == {"verify-uk", "verify-au", "ping-uk", "ping-au"}


def test_profile_and_role_reach_the_provider(deployment: Deployment, article: dict[str, Any]) -> None:
    role = "arn:aws:iam::123456789012:role/deployer"
    left = {**article["left"], "aws_profile": "uk-account", "assume_role_arn": role}
    recorder = deploy_pair(deployment, article, left=left)
    provider = recorder.named("vpn-uk-aws").inputs
    assert (provider["region"], provider["profile"]) == ("eu-west-2", "uk-account")
    assert json.loads(provider["assumeRoles"]) == [{"roleArn": role}]


def test_the_article_profile_is_what_was_asked_for(deployment: Deployment, article: dict[str, Any]) -> None:
    recorder = deploy_pair(deployment, article, profile=TunnelProfile.ARTICLE_2014)
    text = files_of(_user_data(recorder, "uk"))["/etc/ipsec.d/vpn.conf"]
    assert "aes256-sha1;modp2048" in text
    assert "aes_gcm256" not in text
    assert recorder.outputs["vpn"]["profile"] == "article-2014"


def test_nothing_is_known_of_the_other_address_in_a_first_preview_and_that_is_fine(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    # A plain dict, not a TypedDict.
    recorder = deployment.run(lambda: VpnGatewayPair("vpn", article), preview=True)  # type: ignore[arg-type]
    assert len(recorder.of_type(INSTANCE)) == 4
