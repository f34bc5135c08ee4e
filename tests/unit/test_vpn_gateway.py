"""Proves that a gateway stands alone, with one peer or several. Does not prove what a pair asks for."""

import json
from collections import Counter
from typing import Any

import pulumi
import pytest

from components import VpnGateway
from components.inputs.problems import SettingsError
from components.inputs.settings import gateway_settings
from components.resources.configuration import NEXT
from components.resources.images import architecture
from components.resources.remote_commands import installed_files
from components.resources.security_groups import inbound_rules
from components.user_data import configure_files, proof_files
from tests.unit import ipsec_sections
from tests.unit.gateway_documents import AUTHORIZED_KEYS, HOST_KEY, OTHER_PUBLIC_KEY, PUBLIC_KEY, files_of, user_data_of
from tests.unit.recording import Deployment, Recorder, address_of, public_key_of

PSK = "fQ0yS7nXw2LrGzV9bTqHkM4cJ1uEa8Ip"


def _arguments(**changes: Any) -> Any:
    return {
        "name": "uk",
        "cidr_block": "10.1.0.0/16",
        "psk": pulumi.Output.secret(PSK),
        "ssh_public_key": PUBLIC_KEY,
        "peers": [
            {"name": "au", "public_ip": "192.0.2.1", "private_ip": "172.31.12.198", "cidr_blocks": ["172.31.0.0/16"]}
        ],
        **changes,
    }


def _gateway(deployment: Deployment, **changes: Any) -> Recorder:
    args = _arguments(**changes)
    return deployment.run(lambda: VpnGateway("site", args))


def test_a_gateway_alone_has_the_same_outputs_as_in_a_pair(deployment: Deployment) -> None:
    recorder = _gateway(deployment, probe_host_private_ip="10.1.1.9")
    assert recorder.outputs["site"].keys() == VpnGateway.__annotations__.keys()


def test_without_a_probe_host_there_is_neither_instance_nor_output(deployment: Deployment) -> None:
    recorder = _gateway(deployment)
    assert [each.name for each in recorder.of_type("aws:ec2/instance:Instance")] == ["site-gateway"]
    assert "probe_host_instance_id" not in recorder.outputs["site"]


def test_several_peers_have_a_connection_and_rules_each(deployment: Deployment) -> None:
    peers = [
        {"name": "au", "public_ip": "192.0.2.1", "private_ip": "172.31.1.9", "cidr_blocks": ["172.31.0.0/16"]},
        {"name": "us", "public_ip": "192.0.2.2", "private_ip": "172.30.1.9", "cidr_blocks": ["172.30.0.0/16"]},
    ]
    recorder = _gateway(deployment, peers=peers)
    assert recorder.outputs["site"]["connection_names"] == ["uk-to-au", "uk-to-us"]
    assert recorder.named("site-gateway-ingress-ike-192.0.2.2").inputs["cidrIpv4"] == "192.0.2.2/32"
    configuration = files_of(user_data_of(recorder.named("site-gateway").inputs))["/etc/ipsec.d/vpn.conf"]
    assert "conn uk-to-au" in configuration
    assert "conn uk-to-us" in configuration


def test_a_peer_whose_private_address_is_unknown_differs_in_nothing_but_what_the_gateway_expects_of_it(
    deployment: Deployment,
) -> None:
    blocks = ["172.31.0.0/16", "172.30.0.0/16"]
    known = {"name": "office", "public_ip": "192.0.2.1", "private_ip": "172.31.1.9", "cidr_blocks": blocks}
    hidden = {key: value for key, value in known.items() if key != "private_ip"}
    one, other = (_gateway(each, peers=[peer]) for each, peer in ((deployment, known), (Deployment(), hidden)))
    assert {each.name for each in one.registrations} == {each.name for each in other.registrations}
    before, after = (files_of(user_data_of(each.named("site-gateway").inputs)) for each in (one, other))
    path = "/etc/vpn-gateway/gateway.json"
    assert {name for name in before if before[name] != after[name]} == {path}
    assert after[path] == before[path].replace('"172.31.1.9"', '""')
    assert other.outputs["site"]["connection_names"] == ["uk-to-office"]


def test_of_a_peer_whose_private_address_is_unknown_the_first_range_has_the_name_of_the_tunnel(
    deployment: Deployment,
) -> None:
    blocks = ["172.31.0.0/16", "172.30.0.0/16"]
    for each, first in ((deployment, blocks), (Deployment(), blocks[::-1])):
        peer = {"name": "office", "public_ip": "192.0.2.1", "cidr_blocks": first}
        files = files_of(user_data_of(_gateway(each, peers=[peer]).named("site-gateway").inputs))
        conns = ipsec_sections.loaded(ipsec_sections.sections(files["/etc/ipsec.d/vpn.conf"]))
        assert conns["uk-to-office"]["rightsubnet"] == first[0]
        assert conns[f"uk-to-office/10.1.0.0/16={first[1]}"]["rightsubnet"] == first[1]


LOGIN = {"ssh_private_key": HOST_KEY, "administrator_cidr_blocks": ["192.0.2.10/32"]}


def test_with_the_private_key_the_running_gateway_is_changed_over_ssh(deployment: Deployment) -> None:
    recorder = _gateway(deployment, **LOGIN)
    commands = recorder.of_type("command:remote:Command")
    assert [command.name for command in commands] == ["site-prepare", "site-configure"]
    for command in commands:
        assert command.inputs["connection"]["privateKey"] == HOST_KEY
        assert command.secrets == {"connection"}
    assert "userDataBase64" in recorder.named("site-gateway").request.ignoreChanges


@pytest.mark.parametrize("peers", [{}, {"peers": [], "psk": None}], ids=["with a peer", "NAT alone"])
def test_the_command_that_prepares_brings_vpn_verify_so_a_preview_never_shows_it_as_removed(
    deployment: Deployment, peers: dict[str, Any]
) -> None:
    (prepare, configure, *_) = _gateway(deployment, **LOGIN, **peers).of_type("command:remote:Command")
    brought = installed_files(prepare.inputs["stdin"])
    programs = [file for file in brought if file.path != NEXT]
    assert programs == [*configure_files(), *proof_files()]
    assert "stdin" not in configure.inputs


@pytest.mark.parametrize("peers", [{}, {"peers": [], "psk": None}], ids=["with a peer", "NAT alone"])
def test_more_keys_log_in_to_a_gateway_that_something_can_change(deployment: Deployment, peers: dict[str, Any]) -> None:
    more = {"ssh_authorized_keys": [OTHER_PUBLIC_KEY]}
    with pytest.raises(SettingsError, match=r"ssh_authorized_keys .*: needs a login, .*; give `ssh_private_key`, or"):
        _gateway(deployment, **more, **peers)
    prepare = _gateway(Deployment(), **LOGIN, **more, **peers).named("site-prepare")
    (coming,) = [file for file in installed_files(prepare.inputs["stdin"]) if file.path == NEXT]
    listed = {each["path"]: each["text"] for each in json.loads(coming.text)["files"]}
    assert listed[AUTHORIZED_KEYS] == f"{PUBLIC_KEY}\n{OTHER_PUBLIC_KEY}\n"


def test_without_the_private_key_nothing_logs_in_and_the_user_data_counts(deployment: Deployment) -> None:
    recorder = _gateway(deployment)
    assert not recorder.of_type("command:remote:Command")
    assert list(recorder.named("site-gateway").request.ignoreChanges) == ["sourceDestCheck"]


def test_a_private_key_without_anyone_who_may_log_in_is_refused(deployment: Deployment) -> None:
    with pytest.raises(SettingsError, match=r"ssh_private_key .*: needs SSH, and no `administrator_cidr_blocks` admit"):
        _gateway(deployment, ssh_private_key=HOST_KEY)


def test_the_rules_of_a_renamed_peer_stay(deployment: Deployment) -> None:
    def rules(name: str) -> set[str]:
        peer = {"name": name, "public_ip": "192.0.2.1", "private_ip": "172.31.1.9", "cidr_blocks": ["172.31.0.0/16"]}
        recorder = _gateway(Deployment(), peers=[peer])
        return {each.name for each in recorder.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")}

    assert rules("au") == rules("sydney")


def test_a_given_host_key_is_used_and_none_generated(deployment: Deployment) -> None:
    recorder = _gateway(deployment, host_private_key=HOST_KEY, host_public_key=f"{PUBLIC_KEY} büro\n")
    assert not recorder.of_type("tls:index/privateKey:PrivateKey")
    parameter = recorder.named("site-host-key-parameter")
    assert parameter.inputs["value"] == HOST_KEY
    assert parameter.secrets == {"value"}
    assert recorder.outputs["site"]["ssh_host_public_key"] == PUBLIC_KEY


AU: dict[str, Any] = {
    "name": "au",
    "public_ip": "192.0.2.1",
    "private_ip": "172.31.1.9",
    "cidr_blocks": ["172.31.0.0/16"],
}
US: dict[str, Any] = {
    "name": "us",
    "public_ip": "192.0.2.2",
    "private_ip": "172.30.1.9",
    "cidr_blocks": ["172.30.0.0/16"],
}


def promised(value: str) -> pulumi.Output[str]:
    return pulumi.Output.from_input(value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"psk": promised("MySuperSecretVpnKey2024")}, "psk '(secret)': is made of words"),
        (
            {"peers": [AU, {**US, "public_ip": promised("1.2.3.4\n  leftid=9.9.9.9")}]},
            r"peers[1].public_ip '1.2.3.4\n  leftid=9.9.9.9': is not a valid IPv4 address; give the other",
        ),
        (
            {"peers": [{**AU, "public_ip": promised("10.1.1.254")}]},
            "peers[0].public_ip '10.1.1.254': is a private address",
        ),
        (
            {"peers": [AU, {**US, "public_ip": promised("192.0.2.1")}]},
            "public_ip of peer us '192.0.2.1': is that of public_ip of peer au too, and a peer is known by it",
        ),
        (
            {"peers": [{**AU, "public_ip": promised("172.15.0.1"), "cidr_blocks": ["172.15.0.0/16", "172.31.0.0/16"]}]},
            "public_ip of peer au '172.15.0.1': is in cidr_blocks of peer au '172.15.0.0/16', so the tunnel would",
        ),
        (
            {"peers": [{**AU, "public_ip": promised(address_of("site-gateway-address"))}]},
            "is that of the gateway's Elastic IP too",
        ),
        ({"ssh_public_key": promised("ssh-rsa AAAA")}, "ssh_public_key '…': is not one line of an SSH public key"),
        (
            {"host_private_key": promised("key"), "host_public_key": promised(PUBLIC_KEY)},
            "host_private_key '(secret)': is not a private key in OpenSSH or PEM format",
        ),
        (
            {"host_private_key": promised(HOST_KEY), "host_public_key": promised(public_key_of("another"))},
            "host_private_key '(secret)': is not the private half of the public key beside it",
        ),
    ],
)
def test_an_output_is_checked_once_it_is_known_and_nothing_is_made_of_it(
    deployment: Deployment, changes: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingsError) as caught:
        _gateway(deployment, **changes)
    assert said in str(caught.value)
    assert HOST_KEY not in str(caught.value)
    made = deployment.recorder.of_type("aws:ec2/instance:Instance")
    assert not made


def _warnings(deployment: Deployment, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> list[str]:
    warnings: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", lambda text, *_: warnings.append(text))
    _gateway(deployment, **changes)
    return warnings


def test_administrators_anywhere_are_warned_about(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    ranges = ["0.0.0.0/0", "192.0.2.0/24"]
    (warning,) = _warnings(deployment, monkeypatch, administrator_cidr_blocks=ranges)
    assert warning.startswith("administrator_cidr_blocks 0.0.0.0/0: the whole Internet may try to log in. ")


@pytest.mark.parametrize(("administrators", "number"), [(57, 60), (58, 61)])
def test_more_inbound_rules_than_a_group_takes_are_warned_about(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, administrators: int, number: int
) -> None:
    ranges = [f"192.0.2.{n}/32" for n in range(administrators)]
    warnings = _warnings(deployment, monkeypatch, administrator_cidr_blocks=ranges)
    made = deployment.recorder.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    groups = [each.inputs["securityGroupId"] for each in made]
    counted = inbound_rules(gateway_settings("site", _arguments(administrator_cidr_blocks=ranges)))
    assert Counter(groups) == {f"site-{group}-id": count for group, count in counted.items()}
    assert counted["gateway-security-group"] == number
    said = "uk-gateway-security-group has 61 inbound rules, AWS takes 60 unless your quota is higher: raise "
    assert [text.startswith(said) for text in warnings] == [True] * (number > 60)


@pytest.mark.parametrize(
    "instance_type", ["t4g.nano", "a1.medium", "c7gn.large", "m6gd.metal", "g5g.xlarge", "im4gn.large"]
)
def test_graviton_types_are_arm64(instance_type: str) -> None:
    assert architecture(instance_type) == "arm64"


@pytest.mark.parametrize(
    "instance_type", ["t3.nano", "t3a.micro", "g4dn.xlarge", "g6e.xlarge", "m7i-flex.large", "x2idn.metal"]
)
def test_other_types_are_amd64(instance_type: str) -> None:
    assert architecture(instance_type) == "amd64"
