"""The kept user data under the real engine and over the lab's API, without machines.

Proves that other bytes of the same text replace no gateway, that another text replaces both, and that secrets inside
the user data are plain nowhere in the state. Does not prove that a machine boots. Nothing to clean up.
"""

import base64
import gzip
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pulumi import automation

from components import user_data
from components.user_data import encode
from tests.engine.api_process import ApiProcess
from tests.engine.changes import BASE, PSK
from tests.engine.inline_stack import InlineStack
from tests.engine.plans import INSTANCE
from tests.engine.previews import preview, update
from tests.engine.released import PLUGINS

pytestmark = pytest.mark.engine

GATEWAYS = ["vpn-au-gateway", "vpn-uk-gateway"]
STASHES_UPDATED = {("pulumi:index:Stash", f"vpn-{side}-user-data"): "update" for side in ("uk", "au")}
INLINE = {**BASE, "secret_delivery": "user-data", "psk": PSK}


@pytest.fixture
def stack(
    api: ApiProcess, aws_environment: dict[str, str], engine_environment: dict[str, str], tmp_path: Path
) -> Iterator[InlineStack]:
    made = InlineStack(tmp_path / "stack", PLUGINS)
    yield made
    made.destroy()


def other_zlib(text: str) -> str:
    """Return the same text as gzip that another implementation of zlib might write."""
    return base64.b64encode(gzip.compress(text.encode(), compresslevel=6, mtime=0)).decode()


def kept(stack: InlineStack, side: str) -> str:
    """Return the user data that a side's instance has; it is what the stack keeps."""
    resources = stack.resources()
    encoded: str = plain(resources[f"vpn-{side}-user-data"]["outputs"]["output"])
    assert plain(resources[f"vpn-{side}-gateway"]["outputs"]["userDataBase64"]) == encoded
    return encoded


def plain(value: Any) -> Any:
    """Return an exported value without its mark of a secret."""
    return value["plaintext"].strip('"') if isinstance(value, dict) else value


def test_other_bytes_of_the_same_text_replace_nothing_and_another_text_replaces_both(
    stack: InlineStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    update(stack, BASE)
    before = kept(stack, "uk")
    text = gzip.decompress(base64.b64decode(before)).decode()
    assert text.startswith("#cloud-config\n")

    monkeypatch.setattr("components.gateway_files.encode", other_zlib)
    assert other_zlib(text) != encode(text) == before
    # Its input changes once, as of every stash; its output, which the instance gets, does not.
    assert preview(stack, BASE).operations == STASHES_UPDATED
    assert update(stack, BASE).operations == STASHES_UPDATED
    assert update(stack, BASE).operations == {}
    assert kept(stack, "uk") == before

    monkeypatch.setattr(user_data, "TCP_MSS", 1300)
    assert preview(stack, BASE).names("replace", INSTANCE) == GATEWAYS
    plan = update(stack, BASE)
    assert plan.names("replace", INSTANCE) == GATEWAYS
    assert update(stack, BASE).operations == {}
    assert gzip.decompress(base64.b64decode(kept(stack, "uk"))).decode() == text.replace("1360", "1300")


def test_secrets_in_the_user_data_and_digests_of_it_are_plain_nowhere_in_the_state(stack: InlineStack) -> None:
    update(stack, INLINE)
    encoded = kept(stack, "uk")
    text = gzip.decompress(base64.b64decode(encoded)).decode()
    assert PSK in text
    state = stack.state_text()
    assert '"vpn-uk-user-data"' in state or "::vpn-uk-user-data" in state
    for secret in (PSK, encoded, sha256(text.encode()).hexdigest()):
        assert secret not in state


def test_user_data_that_is_too_large_ends_up_before_an_instance_is_replaced(
    stack: InlineStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    update(stack, BASE)
    before = {name: each["id"] for name, each in stack.resources().items() if name in GATEWAYS}
    monkeypatch.setattr(user_data, "USER_DATA_LIMIT", 9000)
    monkeypatch.setattr(user_data, "TCP_MSS", 1300)
    with pytest.raises(automation.CommandError, match="bytes of user data': EC2 takes 9000, after gzip; use "):
        update(stack, BASE)
    assert {name: each["id"] for name, each in stack.resources().items() if name in GATEWAYS} == before
    monkeypatch.undo()
