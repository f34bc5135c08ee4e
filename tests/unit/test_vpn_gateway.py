"""Proves that a gateway stands alone, with one peer or several, and that the plugin's schema describes everything."""

import json
from typing import Any

import pulumi
import pytest
import yaml
from pulumi.provider.experimental.component import ComponentProvider

from components import VpnGateway, VpnGatewayPair
from components.images import architecture
from tests.unit.gateway_documents import files_of, user_data_of
from tests.unit.recording import Deployment, Recorder

PSK = "fQ0yS7nXw2LrGzV9bTqHkM4cJ1uEa8Ip"


def _gateway(deployment: Deployment, **changes: Any) -> Recorder:
    args: Any = {
        "name": "uk",
        "cidr_block": "10.1.0.0/16",
        "psk": pulumi.Output.secret(PSK),
        "ssh_public_key": "ssh-ed25519 AAAA",
        "peers": [
            {"name": "au", "public_ip": "192.0.2.1", "private_ip": "172.31.12.198", "cidr_blocks": ["172.31.0.0/16"]}
        ],
        **changes,
    }
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
    configuration = files_of(yaml.safe_load(user_data_of(recorder.named("site-gateway").inputs)))[
        "/etc/ipsec.d/vpn.conf"
    ]
    assert "conn uk-to-au" in configuration
    assert "conn uk-to-us" in configuration


def test_the_rules_of_a_renamed_peer_stay(deployment: Deployment) -> None:
    def rules(name: str) -> set[str]:
        peer = {"name": name, "public_ip": "192.0.2.1", "private_ip": "172.31.1.9", "cidr_blocks": ["172.31.0.0/16"]}
        recorder = _gateway(Deployment(), peers=[peer])
        return {each.name for each in recorder.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")}

    assert rules("au") == rules("sydney")


def test_a_given_host_key_is_used_and_none_generated(deployment: Deployment) -> None:
    recorder = _gateway(deployment, host_private_key="private", host_public_key="ssh-ed25519 AAAABBBB\n")
    assert not recorder.of_type("tls:index/privateKey:PrivateKey")
    parameter = recorder.named("site-host-key-parameter")
    assert parameter.inputs["value"] == "private"
    assert parameter.secrets == {"value"}
    assert recorder.outputs["site"]["ssh_host_public_key"] == "ssh-ed25519 AAAABBBB"


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


def test_the_plugins_schema_describes_every_argument_and_output() -> None:
    provider = ComponentProvider([VpnGateway, VpnGatewayPair], "vpn-gateway-pair")
    schema = json.loads(str(provider.schema))
    assert schema["resources"].keys() == {
        "vpn-gateway-pair:index:VpnGateway",
        "vpn-gateway-pair:index:VpnGatewayPair",
    }
    described = [
        (name, kind, each) for name, each in schema["resources"].items() for kind in ("inputProperties", "properties")
    ]
    described += [(name, "properties", each) for name, each in schema["types"].items()]
    missing = [
        f"{name}.{key}"
        for name, kind, each in described
        for key, value in each.get(kind, {}).items()
        if not value.get("description")
    ]
    assert missing == []
