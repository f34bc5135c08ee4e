"""The stand-ins for `random` and `tls` with the real engine.

Proves that nothing changes by itself, that keepers replace, that secrets are encrypted in the state, and import.
Nothing to clean up.
"""

import base64
from collections.abc import Callable
from pathlib import Path

import pulumi
import pulumi_random as random
import pulumi_tls as tls
import pytest
from pulumi.automation import CommandError

from tests.engine.inline_stack import InlineStack

pytestmark = pytest.mark.whole


@pytest.fixture
def stack(tmp_path: Path) -> InlineStack:
    return InlineStack(tmp_path / "pulumi", ["random", "tls"])


def program(generation: str = "1") -> Callable[[], None]:
    def run() -> None:
        keepers = {"generation": generation}
        seed = random.RandomBytes("bytes", length=32, keepers=keepers)
        password = random.RandomPassword("password", length=43, special=False)
        name = random.RandomId("name", byte_length=4)
        key = tls.PrivateKey("key", algorithm="ED25519")
        looked_up = tls.get_public_key_output(private_key_openssh=key.private_key_openssh)
        pulumi.export("base64", seed.base64)
        pulumi.export("hex", seed.hex)
        pulumi.export("password", password.result)
        pulumi.export("name", name.hex)
        pulumi.export("private", key.private_key_openssh)
        pulumi.export("public", key.public_key_openssh)
        pulumi.export("looked-up", pulumi.Output.unsecret(looked_up.public_key_openssh))

    return run


def test_generated_values_are_secret_and_stay_until_their_keepers_change(stack: InlineStack) -> None:
    created = stack.up(program())
    outputs = created.outputs
    assert created.change_summary == {"create": 5}
    assert [name for name, output in sorted(outputs.items()) if output.secret] == [
        "base64",
        "hex",
        "password",
        "private",
    ]
    assert len(bytes.fromhex(outputs["hex"].value)) == 32
    assert outputs["looked-up"].value == outputs["public"].value
    state = stack.state_text()
    for name in ("hex", "password"):
        assert outputs[name].value not in state
    assert "PRIVATE KEY" not in state
    # The real plugin's id of RandomBytes is their base64, and ids are never encrypted.
    assert state.count(outputs["base64"].value) == 1

    assert stack.up(program(), refresh=True).change_summary == {"same": 5}

    again = stack.up(program("2"))
    assert again.change_summary == {"replace": 1, "same": 4}
    assert again.outputs["hex"].value != outputs["hex"].value
    assert again.outputs["password"].value == outputs["password"].value


def test_random_bytes_are_imported_by_their_base64(stack: InlineStack) -> None:
    text = base64.b64encode(bytes(range(32))).decode()

    def run() -> None:
        seed = random.RandomBytes("bytes", length=32, opts=pulumi.ResourceOptions(import_=text))
        pulumi.export("hex", seed.hex)

    imported = stack.up(run)
    assert imported.change_summary == {"create": 1, "import": 1}
    assert imported.outputs["hex"].value == bytes(range(32)).hex()
    assert imported.outputs["hex"].secret


def test_an_unsupported_algorithm_is_refused_in_the_preview(stack: InlineStack) -> None:
    def run() -> None:
        tls.PrivateKey("old", algorithm="DSA")

    with pytest.raises(CommandError, match="algorithm 'DSA' must be one of: RSA, ECDSA, ED25519"):
        stack.preview(run)
