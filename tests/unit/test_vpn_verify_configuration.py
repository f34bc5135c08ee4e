"""vpn-verify's layer `configuration`: what runs, against what was deployed."""

import json
from typing import Any

import pytest

from tests.unit.gateway_documents import PSK, gateway_document
from vpn_verify.configuration import configuration
from vpn_verify.layer import FinalError, LayerError

FILES = {file.path: (file.mode, file.text) for file in gateway_document().files}
UP = """\
"uk-to-au": 10.1.0.0/16===10.1.1.254[203.0.113.10]...198.51.100.20===172.31.0.0/16; routed-ondemand; my_ip=unset;
"by-hand": 10.9.0.0/16===10.1.1.254...192.0.2.9===10.8.0.0/16; routed-ondemand; my_ip=unset;
"""


def deployed(revision: str = "r1", **more: Any) -> str:
    files = [{"path": path, "mode": mode, "text": text} for path, (mode, text) in FILES.items()]
    return json.dumps({"revision": revision, "files": files, **more})


def look(text: str, wanted: str = "", disk: dict[str, tuple[int, str]] | None = None, status: str = UP) -> str:
    return configuration(text, wanted, {**FILES, **(disk or {})}.get, status)


def test_a_gateway_that_was_never_changed_is_as_its_user_data_wrote_it() -> None:
    assert look("") == "as the user data wrote it"


def test_all_files_and_connections_of_the_deployed_list_are_there() -> None:
    assert look(deployed(), "r1") == f"revision r1, {len(FILES)} files, 1 connections"


@pytest.mark.parametrize(
    ("text", "evidence"),
    [
        ("", "no revision is deployed, not r2"),
        (deployed("r1"), "revision r1 is deployed, not r2"),
        ("{", "/var/lib/vpn-gateway/deployed.json is not a list of files (JSONDecodeError)"),
        ("[]", "/var/lib/vpn-gateway/deployed.json is not a list of files (TypeError)"),
    ],
)
def test_another_revision_than_the_wanted_one_fails_for_good(text: str, evidence: str) -> None:
    with pytest.raises(FinalError) as error:
        look(text, "r2")
    assert error.value.args == (evidence,)


def test_the_first_file_that_differs_is_named_but_not_its_text() -> None:
    path = "/etc/vpn-gateway/secrets.json"
    for found, evidence in (
        ((0o600, PSK), f"{path} has another text than in revision r1"),
        ((0o644, FILES[path][1]), f"{path} has mode 644, not the 600 of revision r1"),
    ):
        with pytest.raises(FinalError) as error:
            look(deployed(), disk={path: found})
        assert error.value.args == (evidence,)


def test_a_file_that_is_gone_is_named() -> None:
    with pytest.raises(FinalError, match="/etc/vpn-gateway/routes is missing, and is in revision r1"):
        configuration(deployed(), "", lambda path: None if path.endswith("routes") else FILES[path], UP)


def test_the_connection_that_proves_the_key_belongs_to_what_was_deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    conf = "/etc/ipsec.d/vpn-key.conf"
    monkeypatch.setitem(FILES, conf, (0o644, "conn key/uk-to-au\n  auto=add\n"))
    loaded = '\n"key/uk-to-au": y'
    assert look(deployed(), status=UP + loaded) == f"revision r1, {len(FILES)} files, 2 connections"
    for status, evidence in (
        (UP, "not as revision r1: key/uk-to-au is not loaded"),
        (f'{UP}{loaded}\n"key/x": y', f"not as revision r1: key/x is loaded, and {conf} has no such connection"),
    ):
        with pytest.raises(LayerError) as error:
            look(deployed(), status=status)
        assert error.value.args == (evidence,)


def test_a_connection_that_is_not_loaded_or_should_not_be_is_named() -> None:
    conf = "/etc/ipsec.d/vpn.conf"
    for status, evidence in (
        ("", "not as revision r1: uk-to-au is not loaded"),
        (UP + '"uk-to-au/x": y', f"not as revision r1: uk-to-au/x is loaded, and {conf} has no such connection"),
    ):
        with pytest.raises(LayerError) as error:
            look(deployed(), status=status)
        assert (type(error.value), error.value.args) == (LayerError, (evidence,))
