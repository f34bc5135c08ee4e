"""vpn-verify's layer `key`, with what pluto says of a fresh authentication.

The transcripts are of two daemons of a release that talk to each other, without ESP: tests/tools/test_key_proof.py has
the same two. `standing` is of a gateway whose peer has an IKE SA of that connection already.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

import ipsec_conf
from expectations import PATH, load
from tests.unit.gateway_documents import PSK, gateway_document, installed_files
from vpn_verify import key, table
from vpn_verify.layer import LayerError
from vpn_verify.start import Start

TRANSCRIPTS = Path(__file__).with_name("transcripts")
PEER = "198.51.100.20"
SECRET = f'203.0.113.10 {PEER} @key.203.0.113.10 @key.{PEER} : PSK "{PSK}"'
STATUS = '"key/uk-to-au": 203.0.113.10[@key.203.0.113.10]...; unrouted'
RELEASES = pytest.mark.parametrize("release", ["4.10", "5.2"])


class Pluto:
    """What is said of each negotiation, and what was asked."""

    def __init__(self, release: str) -> None:
        self.release = release
        self.says: list[str] = []
        self.states: list[str] = []
        """What `whack --showstates` says, in turn; nothing after that."""
        self.asked: list[str] = []

    def negotiate(self, command: Sequence[str], **_: object) -> SimpleNamespace:
        """Answer as `whack --initiate`."""
        self.asked.append(" ".join(command[1:]))
        name = self.says.pop(0)
        if name == "silence":
            raise subprocess.TimeoutExpired(command, 6, b'181 "key/uk-to-au" #3: sent IKE_SA_INIT request\n')
        said = (TRANSCRIPTS / f"libreswan-{self.release}-key-{name}.txt").read_bytes()
        return SimpleNamespace(stdout=said, stderr=b"")

    def whack(self, *arguments: str, **_: float) -> str:
        """Answer as any other whack."""
        self.asked.append(" ".join(arguments))
        return self.states.pop(0) if arguments == ("--showstates",) and self.states else ""


def look(
    monkeypatch: pytest.MonkeyPatch,
    pluto: Pluto,
    *says: str,
    ike_version: int = 2,
    secret: str = SECRET,
    status: str = STATUS,
    postquantum: bool = False,
) -> str:
    pluto.says = list(says)
    made = SimpleNamespace(run=pluto.negotiate, TimeoutExpired=subprocess.TimeoutExpired)
    monkeypatch.setattr(key, "subprocess", made)
    monkeypatch.setattr(key, "time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr(key, "whack", pluto.whack)
    try:
        return key.key("uk-to-au", PEER, ike_version=ike_version, secret=secret, status=status, postquantum=postquantum)
    except LayerError as error:
        evidence = str(error)
    assert PSK not in evidence
    return f"failed: {evidence}"


def test_the_layer_reads_the_secret_and_the_profile_of_its_own_tunnel(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen = dict[str, object]()

    def look(name: str, public_ip: str, **more: object) -> str:
        seen.update(name=name, public_ip=public_ip, **more)
        return ""

    path = tmp_path / "gateway.json"
    path.write_text(installed_files(gateway_document())[PATH])
    gateway = load(str(path))
    monkeypatch.setattr(key, "key", look)
    conf = installed_files(gateway_document())[ipsec_conf.PATH]
    monkeypatch.setattr(table, "read", lambda path: conf if path == ipsec_conf.PATH else f"text of {path}")
    start = SimpleNamespace(status=SimpleNamespace(result=lambda: STATUS))
    (layer,) = (each for each in table.LAYERS if each.name == "key" and isinstance(each, table.TunnelLayer))
    layer.look(table.TunnelLook(gateway, cast("Start", start), gateway.peers[0], {}))
    assert seen == {
        "name": "uk-to-au",
        "public_ip": PEER,
        "ike_version": 2,
        "secret": "text of /etc/ipsec.d/uk-to-au.secrets",
        "status": STATUS,
        "postquantum": True,
    }


TRY = ["--showstates", "--initiate --name key/uk-to-au", "--terminate --name key/uk-to-au"]
PROVED = "198.51.100.20 has authenticated itself with the same key"


@RELEASES
def test_a_fresh_authentication_proves_the_key_and_only_its_own_connection_is_ended(
    monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    pluto = Pluto(release)
    assert look(monkeypatch, pluto, "proved") == PROVED
    assert pluto.asked == TRY


@RELEASES
def test_a_postquantum_key_is_proved_only_by_an_authentication_that_used_it(
    monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    assert look(monkeypatch, Pluto(release), "postquantum", postquantum=True) == f"{PROVED}s"
    without = look(monkeypatch, Pluto(release), "proved", postquantum=True)
    assert without == "failed: 198.51.100.20 has authenticated itself without the postquantum key"


@RELEASES
@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        ("refused", "the pre-shared keys differ, or else the peer has not run vpn-configure ("),
        ("unread", "pluto has read no key for this connection ("),
    ],
)
def test_a_key_that_does_not_authenticate_is_named_with_plutos_line_at_once(
    monkeypatch: pytest.MonkeyPatch, release: str, answer: str, cause: str
) -> None:
    pluto = Pluto(release)
    evidence = look(monkeypatch, pluto, answer)
    assert evidence.startswith(f"failed: {cause}")
    assert '"key/uk-to-au" #' in evidence
    assert pluto.asked == TRY


@RELEASES
def test_an_ike_sa_of_the_peers_look_proves_nothing_and_another_try_does(
    monkeypatch: pytest.MonkeyPatch, release: str
) -> None:
    pluto = Pluto(release)
    assert look(monkeypatch, pluto, "standing", "silence", "proved") == PROVED
    assert pluto.asked == TRY * 3
    said = "198.51.100.20 has not authenticated itself: "
    last = "['181 \"key/uk-to-au\" #3: sent IKE_SA_INIT request']"
    assert look(monkeypatch, pluto, "standing", "standing", "silence") == f"failed: {said}{last}"


@pytest.mark.parametrize("looks", [1, 3, key.PATIENCE])
def test_what_stands_is_left_to_the_peers_look_for_a_while_and_then_ended(
    monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    pluto = Pluto("5.2")
    tunnel = '#1: "uk-to-au":4500 ESTABLISHED_IKE_SA (established IKE SA)'
    pluto.states = [f'{tunnel}\n#5: "key/uk-to-au":4500 ESTABLISHED_IKE_SA'] * looks + [tunnel]
    assert look(monkeypatch, pluto, "proved") == PROVED
    ended = TRY[2:] if looks == key.PATIENCE else TRY[:1]
    assert pluto.asked == [*["--showstates"] * looks, *ended, *TRY[1:]]


def test_what_cannot_be_tried_is_said_and_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    pluto = Pluto("5.2")
    ikev1 = "not tried with IKEv1: every rekey of the IKE SA authenticates"
    assert look(monkeypatch, pluto, ike_version=1) == ikev1
    missing = look(monkeypatch, pluto, status='"uk-to-au": x')
    assert missing == "not tried: key/uk-to-au is not loaded"
    old = look(monkeypatch, pluto, secret=f'203.0.113.10 {PEER} : PSK "{PSK}"')
    assert old == "not tried: the secret of uk-to-au is not for key/uk-to-au: sudo vpn-secrets --fresh"
    assert pluto.asked == []
