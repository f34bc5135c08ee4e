"""A `VpnGateway` without peers, the NAT of its private subnets: its resources, its files, and what is refused.

Does not prove that tools accept the files (tests/tools) or that a machine boots with them (tests/lab).
"""

import json
import shutil
import subprocess
from collections import Counter
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from components import VpnGateway
from components.decisions.files import File
from components.decisions.secrets import GivenSecrets, StoredSecrets
from components.decisions.tunnel import TunnelProfile
from components.inputs.problems import SettingsError
from components.inputs.settings import gateway_settings
from components.user_data import proof_files
from tests.unit.existing_cloud import PUBLIC, TABLE_A, TABLE_B, VPC, ExistingCloud
from tests.unit.gateway_documents import (
    HOST_KEY,
    IN_SSM,
    INLINE,
    PPK,
    PSK,
    PUBLIC_KEY,
    GatewayDocument,
    files_of,
    gateway_document,
    user_data_of,
)
from tests.unit.recording import Deployment, Recorder

NAT: Any = {"name": "uk", "cidr_block": "10.1.0.0/16", "ssh_public_key": PUBLIC_KEY}
AU: Any = {"name": "au", "public_ip": "192.0.2.1", "private_ip": "172.31.1.9", "cidr_blocks": ["172.31.0.0/16"]}
LOGIN: Any = {"ssh_private_key": HOST_KEY, "administrator_cidr_blocks": ["192.0.2.10/32"]}
RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
RULES = """\
*filter
:VPN-INPUT - [0:0]
:VPN-FORWARD - [0:0]
-A VPN-INPUT -i lo -j RETURN
-A VPN-INPUT -p icmp -j RETURN
-A VPN-INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A VPN-INPUT -p udp -m udp --sport 67 --dport 68 -j RETURN
-A VPN-INPUT -s 10.1.3.0/24 -p tcp -m tcp --dport 22 -j RETURN
-A VPN-INPUT -s 10.1.0.0/16 -j REJECT --reject-with icmp-admin-prohibited
-A VPN-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A VPN-FORWARD -d 10.1.0.0/16 -j RETURN
-A VPN-FORWARD -m conntrack --ctstate INVALID -j DROP
-A VPN-FORWARD -d 10.0.0.0/8,100.64.0.0/10,169.254.0.0/16,172.16.0.0/12,192.168.0.0/16 -j REJECT \
--reject-with icmp-admin-prohibited
-A VPN-FORWARD -s 10.1.0.0/16 -j RETURN
-A VPN-FORWARD -j DROP
COMMIT
*nat
:VPN-POSTROUTING - [0:0]
-A VPN-POSTROUTING -d 10.1.0.0/16 -j ACCEPT
-A VPN-POSTROUTING -s 10.1.0.0/16 -j MASQUERADE
COMMIT
*raw
:VPN-PREROUTING - [0:0]
:VPN-OUTPUT - [0:0]
-A VPN-PREROUTING -d 10.1.1.254/32 -p tcp -m tcp --dport 22 -j CT --notrack
-A VPN-OUTPUT -s 10.1.1.254/32 -p tcp -m tcp --sport 22 -j CT --notrack
COMMIT
# end
"""


def deployed(deployment: Deployment, **changes: Any) -> Recorder:
    args: Any = {**NAT, **changes}
    return deployment.run(lambda: VpnGateway("nat", args))


def alone(secrets: StoredSecrets | GivenSecrets = IN_SSM) -> GatewayDocument:
    """Return the documents' gateway without its peer."""
    without: StoredSecrets | GivenSecrets = (
        replace(secrets, psk_parameter=None, ppk_parameter=None)
        if isinstance(secrets, StoredSecrets)
        else replace(secrets, psk=None, ppk=None)
    )
    return replace(gateway_document(), connections=(), secrets=without)


def texts(files: tuple[File, ...]) -> dict[str, str]:
    return {file.path: file.text for file in files}


@pytest.mark.parametrize("peers", [{}, {"peers": []}], ids=["no peers", "an empty list"])
def test_a_gateway_without_peers_has_exactly_these_resources(deployment: Deployment, peers: dict[str, Any]) -> None:
    recorder = deployed(deployment, **peers)
    kinds = Counter(each.type.rpartition(":")[2] for each in recorder.registrations)
    assert kinds == {
        "VpnGateway": 1,
        "Vpc": 1,
        "Subnet": 2,
        "InternetGateway": 1,
        "RouteTable": 2,
        "Route": 2,
        "RouteTableAssociation": 2,
        "SecurityGroup": 2,
        "SecurityGroupIngressRule": 2,
        "SecurityGroupEgressRule": 2,
        "NetworkInterface": 1,
        "Eip": 1,
        "EipAssociation": 1,
        "Role": 1,
        "RolePolicy": 1,
        "InstanceProfile": 1,
        "Parameter": 1,
        "PrivateKey": 1,
        "KeyPair": 1,
        "Instance": 1,
        "Stash": 5,
    }
    assert [each.name for each in recorder.of_type("aws:ssm/parameter:Parameter")] == ["nat-host-key-parameter"]
    admitted = {(each.name, each.inputs["ipProtocol"], each.inputs["cidrIpv4"]) for each in recorder.of_type(RULE)}
    assert admitted == {
        ("nat-gateway-ingress-vpc", "-1", "10.1.0.0/16"),
        ("nat-private-hosts-ingress-vpc", "-1", "10.1.0.0/16"),
    }


def test_its_outputs_are_those_of_any_gateway_and_it_has_no_connections(deployment: Deployment) -> None:
    outputs = deployed(deployment).outputs["nat"]
    assert outputs.keys() == VpnGateway.__annotations__.keys() - {"probe_host_instance_id"}
    assert outputs["connection_names"] == []


def test_its_private_subnets_leave_by_its_network_interface(deployment: Deployment) -> None:
    recorder = deployed(deployment)
    (route,) = (each for each in recorder.of_type("aws:ec2/route:Route") if "networkInterfaceId" in each.inputs)
    assert (route.inputs["destinationCidrBlock"], route.inputs["networkInterfaceId"]) == (
        "0.0.0.0/0",
        "nat-gateway-interface-id",
    )


def test_in_an_existing_network_it_adds_its_default_route_and_nothing_else(deployment: Deployment) -> None:
    block = "10.1.0.0/16"
    ExistingCloud(cidr_blocks=[block], subnets={PUBLIC: block}, zone="xx-test-1a").answer(deployment)
    network = {"vpc_id": VPC, "public_subnet_id": PUBLIC, "private_route_table_ids": [TABLE_A, TABLE_B]}
    recorder = deployed(deployment, existing_network=network, gateway_private_ip="10.1.1.254")
    routes = {
        (each.inputs["routeTableId"], each.inputs["destinationCidrBlock"], each.inputs["networkInterfaceId"])
        for each in recorder.of_type("aws:ec2/route:Route")
    }
    assert routes == {(table, "0.0.0.0/0", "nat-gateway-interface-id") for table in (TABLE_A, TABLE_B)}
    assert not recorder.of_type("aws:ec2/vpc:Vpc")


def test_its_role_reads_the_host_key_alone(deployment: Deployment) -> None:
    policy = json.loads(deployed(deployment).named("nat-role-policy").inputs["policy"])
    arn = "arn:aws:ssm:xx-test-1:123456789012:parameter/nat-host-key-parameter-1234567"
    assert [statement["Resource"] for statement in policy["Statement"]] == [[arn], [arn]]


def test_with_the_private_key_it_is_changed_in_place_and_proved(deployment: Deployment) -> None:
    recorder = deployed(deployment, **LOGIN)
    commands = {each.name: each for each in recorder.of_type("command:remote:Command")}
    assert list(commands) == ["nat-prepare", "nat-configure", "nat-verify-uk"]
    proof = commands["nat-verify-uk"]
    assert "nat-configure" in proof.depends_on
    assert " --revision " in proof.inputs["create"]
    assert "nat-gateway-id" in proof.inputs["triggers"]
    assert "nat-gateway-address-association-id" in proof.inputs["triggers"]


def test_a_gateway_with_peers_is_not_proved_because_its_peer_may_be_anything(deployment: Deployment) -> None:
    recorder = deployed(deployment, peers=[AU], psk=PSK, **LOGIN)
    commands = [each.name for each in recorder.of_type("command:remote:Command")]
    assert commands == ["nat-prepare", "nat-configure"]


@pytest.mark.parametrize("more", [{}, LOGIN], ids=["by its user data", "in place"])
def test_the_first_peer_replaces_the_instance_and_the_reason_is_kept_to_be_announced(
    deployment: Deployment, more: dict[str, Any]
) -> None:
    def kept(deployment: Deployment, **changes: Any) -> tuple[Any, set[str]]:
        recorder = deployed(deployment, **more, **changes)
        return (
            recorder.named("nat-gateway").request.replacement_trigger,
            set(recorder.named("nat-replacement-reasons").inputs["input"]),
        )

    (trigger, reasons), (with_peers, reasons_with_peers) = kept(deployment), kept(Deployment(), peers=[AU], psk=PSK)
    assert trigger != with_peers
    assert "NAT alone" in str(trigger)
    assert reasons - reasons_with_peers == {"use (for tunnels, or for NAT alone)"}


def test_its_files_are_those_that_no_tunnel_needs(deployment: Deployment) -> None:
    files = files_of(user_data_of(deployed(deployment).named("nat-gateway").inputs))
    assert files.keys() == {
        "/etc/ssh/sshd_config.d/vpn-gateway.conf",
        "/etc/systemd/networkd.conf.d/vpn-gateway.conf",
        "/etc/systemd/system/vpn-filter.service",
        "/etc/systemd/system/vpn-secrets.service",
        "/etc/systemd/system/vpn-sysctl.service",
        "/etc/vpn-gateway/filter.rules",
        "/etc/vpn-gateway/gateway.json",
        "/etc/vpn-gateway/secrets.json",
        "/usr/local/lib/vpn-gateway/metadata.py",
        "/usr/local/sbin/vpn-boot",
        "/usr/local/sbin/vpn-filter",
        "/usr/local/sbin/vpn-secrets",
        "/usr/local/sbin/vpn-sysctl",
    }


def test_the_proof_does_not_need_the_modules_that_it_lacks() -> None:
    modules = {file.path.rpartition("/")[2] for file in proof_files()}
    assert {"expectations.py", "icmp.py", "ike_probe.py", "metadata.py", "pluto.py"} <= modules


def test_its_boot_installs_no_libreswan_and_starts_no_watch() -> None:
    boot = texts(alone().files)["/usr/local/sbin/vpn-boot"]
    assert "install iptables curl iputils-ping &&\n" in boot
    assert "enable -q --no-reload vpn-secrets vpn-filter vpn-sysctl\n" in boot
    assert boot.endswith("unit vpn-filter\nunit vpn-sysctl\n")
    assert not [word for word in ("libreswan", "ipsec", "vpn-watch") if word in boot]


def test_it_sets_the_same_kernel_keys_and_no_routes() -> None:
    path = "/usr/local/sbin/vpn-sysctl"
    own, with_peer = texts(alone().files)[path], texts(gateway_document().files)[path]
    assert with_peer.startswith(own)
    assert with_peer.removeprefix(own).startswith("read -r mtu ranges </etc/vpn-gateway/routes\n")


def test_its_packet_filter_has_exactly_these_rules() -> None:
    document = replace(alone(), administrator_cidr_blocks=("10.1.3.0/24",))
    rules = texts(document.files)["/etc/vpn-gateway/filter.rules"]
    lines = [line for line in rules.splitlines() if not line.startswith("#") or line == "# end"]
    assert "\n".join(lines) + "\n" == RULES


def test_vpn_verify_expects_no_peers() -> None:
    expected = json.loads(texts(alone().files)["/etc/vpn-gateway/gateway.json"])
    assert (expected["gateway"], expected["peers"]) == ("uk-gateway", [])
    assert (expected["internet_host"], expected["internet_port"]) == ("ssm.eu-west-2.amazonaws.com", 443)


@pytest.mark.parametrize(
    ("secrets", "given"),
    [
        (
            IN_SSM,
            {
                "ssm": {
                    "endpoint": "ssm.eu-west-2.amazonaws.com",
                    "region": "eu-west-2",
                    "host_key": "/vpn/uk/host-key:1",
                }
            },
        ),
        (INLINE, {"host_key": HOST_KEY}),
    ],
    ids=["ssm", "user-data"],
)
def test_its_only_secret_is_the_host_key(secrets: StoredSecrets | GivenSecrets, given: dict[str, Any]) -> None:
    written = json.loads(texts(alone(secrets).files)["/etc/vpn-gateway/secrets.json"])
    assert written == {**given, "connections": {}, "host_public_key": PUBLIC_KEY}


def test_with_user_data_it_has_neither_role_nor_parameter(deployment: Deployment) -> None:
    recorder = deployed(deployment, secret_delivery="user-data")  # noqa: S106 - a way of delivery
    assert not recorder.of_type("aws:ssm/parameter:Parameter")
    assert not recorder.of_type("aws:iam/role:Role")
    secrets = json.loads(files_of(user_data_of(recorder.named("nat-gateway").inputs))["/etc/vpn-gateway/secrets.json"])
    assert secrets.keys() == {"host_key", "connections", "host_public_key"}


@pytest.mark.parametrize("document", [alone(), gateway_document()], ids=["alone", "with a peer"])
def test_shellcheck_finds_nothing_in_the_rendered_programs(document: GatewayDocument) -> None:
    assert shutil.which("shellcheck"), "apt-get install shellcheck"
    programs = [file for file in document.files if file.text.startswith("#!/bin/sh")]
    assert len(programs) == 3
    for file in programs:
        done = subprocess.run(["shellcheck", "-"], input=file.text, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout) == (0, ""), file.path


WITHOUT = "without `peers` there are none; leave it out, or give `peers`"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"psk": PSK}, f"psk '(secret)': is for tunnels, and {WITHOUT}"),
        ({"psk": pulumi.Output.from_input(PSK)}, f"psk '(secret)': is for tunnels, and {WITHOUT}"),
        ({"ppk": PPK}, f"ppk '(secret)': is for tunnels, and {WITHOUT}"),
        ({"profile": "modern"}, f"profile 'modern': is for tunnels, and {WITHOUT}"),
        ({"profile": TunnelProfile.MODERN}, f"profile 'modern': is for tunnels, and {WITHOUT}"),
        (
            {"excluded_cidr_blocks": ["10.1.9.0/24"]},
            f"excluded_cidr_blocks '['10.1.9.0/24']': is for tunnels, and {WITHOUT}",
        ),
        (
            {
                "gateway_private_ip": "10.1.1.9",
                "existing_network": {
                    "vpc_id": VPC,
                    "public_subnet_id": PUBLIC,
                    "private_route_table_ids": [TABLE_A],
                    "take_default_route": False,
                },
            },
            "existing_network.take_default_route 'false': leaves a gateway without `peers` no route at all; "
            "leave it out, or give `peers`",
        ),
    ],
)
def test_what_only_tunnels_use_is_refused(changes: dict[str, Any], said: str) -> None:
    args: Any = {**NAT, **changes}
    with pytest.raises(SettingsError) as caught:
        gateway_settings("nat", args)
    assert [str(problem).replace('"', "'") for problem in caught.value.problems] == [said]


@pytest.mark.parametrize("peers", ["au", {"name": "au"}, 7])
def test_peers_that_are_no_list_are_the_only_problem(peers: Any) -> None:
    args: Any = {**NAT, "psk": PSK, "peers": peers}
    with pytest.raises(SettingsError) as caught:
        gateway_settings("nat", args)
    assert [problem.setting for problem in caught.value.problems] == ["peers"]


def test_more_ranges_than_its_user_data_has_room_for_are_refused_without_naming_peers() -> None:
    ranges = [f"10.{number}.0.0/16" for number in range(2, 112)]
    args: Any = {**NAT, "additional_cidr_blocks": ranges}
    with pytest.raises(SettingsError) as caught:
        gateway_settings("nat", args)
    (problem,) = caught.value.problems
    assert problem.value == "111 ranges at uk"
