"""Proves where the secrets of a pair go, that they are marked, and which pre-shared keys it makes or refuses.

Does not prove that a gateway reads them (tests/unit/test_userdata_secrets.py). Nothing to clean up.
"""

import json
from typing import Any

import pulumi
import pytest
import yaml

from components import SecretDelivery, SettingsError
from tests.unit.gateway_documents import files_of, user_data_of
from tests.unit.recording import HOST_KEY, PPK, PSK, Deployment, Recorder, deploy_pair

OWN_PSK = "0xaec8d3991aaff8bc8e2e3f731a8f6882"
OWN_PPK = "0x5d1fe0b2c9a87364f1e8d2b7a6c50394ae6b1d7f80c2e3954a7bd8f6e1c093a5"


def _user_data(recorder: Recorder, side: str) -> str:
    return user_data_of(recorder.named(f"vpn-{side}-gateway").inputs)


def test_user_data_has_no_secret_with_ssm_delivery(article_pair: Recorder) -> None:
    gateway = article_pair.named("vpn-uk-gateway")
    text = _user_data(article_pair, "uk")
    assert yaml.safe_load(text)
    assert PSK not in text
    assert PPK not in text
    assert "OPENSSH PRIVATE KEY" not in text
    assert "vpn-uk-psk-parameter-1234567" in text
    assert "vpn-uk-ppk-parameter-1234567" in text
    assert "ssm.xx-test-1.amazonaws.com" in text
    assert not gateway.secrets


def test_user_data_with_secrets_is_itself_a_secret(deployment: Deployment, article: dict[str, Any]) -> None:
    recorder = deploy_pair(deployment, article, secret_delivery=SecretDelivery.USER_DATA)
    assert PSK in _user_data(recorder, "uk")
    assert PPK in _user_data(recorder, "uk")
    assert recorder.named("vpn-uk-gateway").secrets == {"userDataBase64"}
    assert not recorder.of_type("aws:iam/role:Role")
    assert not recorder.of_type("aws:ssm/parameter:Parameter")


def test_every_secret_is_marked_wherever_it_goes(article_pair: Recorder) -> None:
    carriers = {
        each.name
        for each in article_pair.registrations
        if any(secret in str(each.inputs) for secret in (PSK, PPK, HOST_KEY))
    }
    marked = {each.name for each in article_pair.registrations if each.secrets}
    assert {"vpn-uk-psk-parameter", "vpn-uk-ppk-parameter"} <= carriers & marked
    for each in article_pair.registrations:
        plain = json.dumps({key: value for key, value in each.inputs.items() if key not in each.secrets})
        assert PSK not in plain, each.name
        assert PPK not in plain, each.name
        assert "OPENSSH PRIVATE KEY" not in plain, each.name
    for key in article_pair.of_type("tls:index/privateKey:PrivateKey"):
        assert "privateKeyOpenssh" in key.request.additionalSecretOutputs
    for password in article_pair.of_type("random:index/randomPassword:RandomPassword"):
        assert {"result", "bcryptHash"} <= set(password.request.additionalSecretOutputs)
    assert article_pair.output_secrets["vpn"] == {"ssh_private_key"}


def test_given_keys_are_secrets_even_when_given_in_the_clear(deployment: Deployment, article: dict[str, Any]) -> None:
    keys = {"psk": OWN_PSK, "ppk": OWN_PPK}
    recorder = deploy_pair(deployment, article, **keys)
    for name, key in keys.items():
        parameter = recorder.named(f"vpn-uk-{name}-parameter")
        assert parameter.inputs["value"] == key
        assert parameter.secrets == {"value"}
    assert not recorder.of_type("random:index/randomPassword:RandomPassword")


def test_a_weak_psk_from_an_output_is_refused_when_it_is_known(deployment: Deployment, article: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="worth 25 bits"):
        deploy_pair(deployment, article, psk=pulumi.Output.secret("short"))


def test_a_postquantum_key_of_too_few_bits_is_refused_also_as_an_output(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    with pytest.raises(SettingsError, match=r"ppk '[(]secret[)]': is worth 192 bits at most, fewer than 256"):
        deploy_pair(deployment, article, ppk=pulumi.Output.secret("c1f0a7b2e94d83655a7bd8f6e1c093a5d2b7a6c50394ae6b"))


def test_equal_keys_are_refused_also_as_outputs(deployment: Deployment, article: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=r"ppk '[(]secret[)]': is the pre-shared key too"):
        deploy_pair(deployment, article, psk=pulumi.Output.secret(OWN_PPK), ppk=pulumi.Output.secret(OWN_PPK))


@pytest.mark.parametrize("without", [{"postquantum": False}, {"profile": "article-2014"}])
def test_a_pair_without_a_postquantum_key_has_nothing_of_it(
    deployment: Deployment, article: dict[str, Any], without: dict[str, Any]
) -> None:
    recorder = deploy_pair(deployment, article, **without)
    assert not [each.name for each in recorder.registrations if "ppk" in each.name]
    assert "ppk" not in files_of(_user_data(recorder, "uk"))["/etc/vpn-gateway/secrets.json"]
    assert "ppk" not in files_of(_user_data(recorder, "uk"))["/etc/ipsec.d/vpn.conf"]


@pytest.mark.parametrize(
    ("given", "command"),
    [
        ({}, "pulumi up --replace 'PSK' --replace 'PPK'"),
        ({"postquantum": False}, "pulumi up --replace 'PSK'"),
        ({"psk": OWN_PSK}, "give another psk, then: pulumi up --replace 'PPK'"),
        ({"psk": OWN_PSK, "ppk": OWN_PPK}, "give another psk and another ppk, then: pulumi up"),
    ],
)
def test_the_rotate_command_replaces_what_is_generated(
    deployment: Deployment, article: dict[str, Any], given: dict[str, Any], command: str
) -> None:
    recorder = deploy_pair(deployment, article, **given)
    said = recorder.outputs["vpn"]["rotate_command"]
    urns = {each.urn: each.name for each in recorder.of_type("random:index/randomPassword:RandomPassword")}
    for urn, name in urns.items():
        said = said.replace(urn, name.removeprefix("vpn-").upper())
    assert said == command
