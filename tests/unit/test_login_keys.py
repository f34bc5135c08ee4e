"""Proves which login is refused to a running gateway. tests/engine/test_changes.py proves that preview refuses it."""

from typing import Any

import pulumi
import pytest

from components.decisions.login import last_login_refusal, lockout_refusal
from components.inputs.problems import SettingsError
from tests.unit.gateway_documents import HOST_KEY, OTHER_PUBLIC_KEY, PUBLIC_KEY
from tests.unit.recording import Deployment, deploy_pair

BOTH = [OTHER_PUBLIC_KEY, PUBLIC_KEY]


def lockout(login_key: str | None) -> str:
    return lockout_refusal("uk-gateway", "urn:uk", admitted=BOTH, login_key=login_key)


def test_each_key_that_the_gateway_admits_may_become_the_deployments_own() -> None:
    assert [lockout(each) for each in BOTH] == ["", ""]


@pytest.mark.parametrize("login_key", ["ssh-ed25519 another", None], ids=["another", "not known yet"])
def test_a_key_that_the_gateway_does_not_admit_is_refused_with_two_ways_to_it(login_key: str | None) -> None:
    text = lockout(login_key)
    assert text.startswith("ssh_private_key '(secret)': is not a key that uk-gateway admits now")
    assert "`ssh_authorized_keys`" in text
    assert text.endswith("pulumi up --replace 'urn:uk'")


def test_only_a_gateway_with_its_own_key_alone_may_be_left_to_itself() -> None:
    assert last_login_refusal("uk-gateway", admitted=[PUBLIC_KEY, PUBLIC_KEY], login_key=PUBLIC_KEY) == ""
    text = last_login_refusal("uk-gateway", admitted=BOTH, login_key=PUBLIC_KEY)
    assert text.startswith("ssh_authorized_keys '…': still log in to uk-gateway")


@pytest.mark.parametrize(("verify", "after"), [(True, "vpn-uk-configure"), (False, "vpn-uk-gateway")])
def test_the_keys_of_a_gateway_are_kept_once_it_has_them(
    deployment: Deployment, article: dict[str, Any], verify: bool, after: str
) -> None:
    keys = {"ssh_private_key": HOST_KEY, "ssh_public_key": PUBLIC_KEY}
    more = {"ssh_authorized_keys": [OTHER_PUBLIC_KEY]} if verify else {}
    kept = deploy_pair(deployment, article, verify=verify, **keys, **more).named("vpn-uk-login-keys")
    assert kept.inputs["input"] == [PUBLIC_KEY, OTHER_PUBLIC_KEY][: 2 if verify else 1]
    assert after in kept.depends_on
    assert kept.request.replacement_trigger.string_value == "vpn-uk-gateway-id"


def test_an_output_that_is_no_public_key_is_named_with_its_place(
    deployment: Deployment, article: dict[str, Any]
) -> None:
    more = [OTHER_PUBLIC_KEY, pulumi.Output.from_input("ssh-rsa AAAA")]
    with pytest.raises(SettingsError, match=r"ssh_authorized_keys\[1\] '…': is not one line of an SSH public key"):
        deploy_pair(deployment, article, ssh_authorized_keys=more)
