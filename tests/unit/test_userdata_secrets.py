"""vpn-secrets against a metadata service and an SSM of this test, with the real curl and the real ssh-keygen.

Proves the signature (recomputed by botocore), the files with their modes, and the messages of failures. Does not
prove AWS's own IAM. Needs curl and ssh-keygen.
"""

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import metadata
from tests.generated import ROOT
from tests.unit.gateway_documents import PPK, PSK, gateway_document, installed_files

_PATH = ROOT / "userdata/gateway/usr/local/sbin/vpn-secrets"
vpn_secrets = ModuleType("vpn_secrets")
exec(compile(_PATH.read_text(encoding="utf-8"), _PATH, "exec"), vars(vpn_secrets))  # noqa: S102 - the program under test
LINE = "203.0.113.10 198.51.100.20 @key.203.0.113.10 @key.198.51.100.20"
KEYS = f'{LINE} : PSK "{PSK}"\n{LINE} : PPKS "vpn" "{PPK}"\n'
SECRET = f"{KEYS}# /vpn/uk/psk:1 /vpn/uk/ppk:1\n"
CREDENTIALS = {"AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": 'se/cr+et"\\key', "Token": "tok/en+=="}


@dataclass
class Cloud:
    """Metadata service and SSM on one port of loopback."""

    url: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    denied: set[str] = field(default_factory=set)
    requests: list[dict[str, str]] = field(default_factory=list)

    def ssm(self, name: str) -> tuple[int, dict[str, Any]]:
        """Return the answer to GetParameter."""
        if name in self.denied or name not in self.parameters:
            return 400, {"__type": "AccessDeniedException", "Message": f"not authorized to read {name}"}
        return 200, {"Parameter": {"Name": name.partition(":")[0], "Value": self.parameters[name]}}


def handler(cloud: Cloud) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self, code: int, body: str) -> None:
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def do_PUT(self) -> None:
            self.answer(200, "metadata-token")

        def do_GET(self) -> None:
            if self.headers["X-aws-ec2-metadata-token"] != "metadata-token":
                self.answer(401, "")
            else:
                self.answer(200, "the-role" if self.path.endswith("/") else json.dumps(CREDENTIALS))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            cloud.requests.append({key.lower(): value for key, value in self.headers.items()} | {"body": body})
            code, answer = cloud.ssm(json.loads(body)["Name"])
            self.answer(code, json.dumps(answer))

        def log_message(self, *_: Any) -> None:
            pass

    return Handler


@dataclass
class Machine:
    """A gateway's folders under a temporary one."""

    root: Path
    commands: list[list[str]] = field(default_factory=list)

    @property
    def settings(self) -> Path:
        """Where the program finds the secrets."""
        return self.root / "etc/vpn-gateway/secrets.json"

    @property
    def secret(self) -> Path:
        """The connection's secrets file."""
        return self.root / "etc/ipsec.d/uk-to-au.secrets"

    @property
    def host_key(self) -> Path:
        """The private host key."""
        return self.root / "etc/ssh/ssh_host_ed25519_key"


def new_key(path: Path) -> tuple[str, str]:
    subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-C", "pinned", "-f", path], check=True)
    return path.read_text(), path.with_suffix(".pub").read_text().strip()


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    made = Cloud()
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(made))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    made.url = f"127.0.0.1:{server.server_port}"
    monkeypatch.setattr(metadata, "METADATA", server.server_address)
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cloud: Cloud) -> Iterator[Machine]:
    made = Machine(root=tmp_path)
    for folder in ("etc/ssh", "etc/ipsec.d", "etc/vpn-gateway"):
        (tmp_path / folder).mkdir(parents=True)
    private, public = new_key(tmp_path / "key")
    cloud.parameters |= {"/vpn/uk/psk:1": PSK, "/vpn/uk/ppk:1": PPK, "/vpn/uk/host-key:1": private}
    settings = json.loads(installed_files(gateway_document())["/etc/vpn-gateway/secrets.json"])
    settings["host_public_key"] = public
    settings["ssm"]["endpoint"] = cloud.url
    made.settings.write_text(json.dumps(settings))

    def run(argv: list[str], **options: Any) -> Any:
        made.commands.append([str(word) for word in argv])
        if argv[0] == "systemctl":
            return SimpleNamespace(returncode=0)
        if argv[0] == "curl":
            # AWS answers by TLS only; the signature is the same.
            options["input"] = options["input"].replace("https://", "http://")
        return subprocess.run(argv, **options)  # noqa: PLW1510 - the program under test says it

    monkeypatch.setattr(vpn_secrets, "subprocess", SimpleNamespace(run=run))
    monkeypatch.setattr(vpn_secrets, "time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr(vpn_secrets, "HOST_KEY", made.host_key)
    monkeypatch.setattr(vpn_secrets, "Path", lambda path: tmp_path / path.lstrip("/"))
    # The program sets the mask of the whole process, which other tests run in, too.
    mask = os.umask(0o022)
    yield made
    os.umask(mask)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_all_secrets_are_put_in_place_for_root_alone(machine: Machine, cloud: Cloud) -> None:
    for kind in ("rsa", "ecdsa", "ed25519"):
        (machine.root / f"etc/ssh/ssh_host_{kind}_key").write_text("throw-away")
    vpn_secrets.main()
    assert machine.secret.read_text() == SECRET
    assert machine.host_key.read_text() == cloud.parameters["/vpn/uk/host-key:1"]
    assert (mode(machine.secret), mode(machine.host_key)) == (0o600, 0o600)
    assert sorted(path.name for path in machine.host_key.parent.iterdir()) == [
        "ssh_host_ed25519_key",
        "ssh_host_ed25519_key.pub",
    ]
    assert ["systemctl", "reload-or-restart", "ssh"] in machine.commands


@pytest.mark.parametrize("arguments", [[], ["--fresh"]])
def test_without_peers_the_host_key_is_fetched_and_no_other_secret(
    machine: Machine, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["vpn-secrets", *arguments])
    settings = json.loads(machine.settings.read_text())
    del settings["ssm"]["psk"], settings["ssm"]["ppk"]
    machine.settings.write_text(json.dumps({**settings, "connections": {}}))
    # Only Libreswan creates it.
    machine.secret.parent.rmdir()
    vpn_secrets.main()
    assert machine.host_key.read_text() == cloud.parameters["/vpn/uk/host-key:1"]
    assert [json.loads(each["body"])["Name"] for each in cloud.requests] == ["/vpn/uk/host-key:1"]
    assert not machine.secret.parent.exists()


def test_the_request_is_signed_as_botocore_signs_it(machine: Machine, cloud: Cloud) -> None:
    vpn_secrets.main()
    for sent in cloud.requests:
        scope, _, signature = sent["authorization"].partition("Signature=")
        signed = scope.partition("SignedHeaders=")[2].strip(", ").split(";")
        assert {"host", "x-amz-date", "x-amz-security-token", "x-amz-target"} <= set(signed)
        request = AWSRequest("POST", f"http://{cloud.url}/", data=sent["body"].encode())
        for name in signed:
            request.headers[name] = sent[name]
        request.context["timestamp"] = sent["x-amz-date"]
        signer = SigV4Auth(Credentials(CREDENTIALS["AccessKeyId"], CREDENTIALS["SecretAccessKey"]), "ssm", "eu-west-2")
        canonical = signer.canonical_request(request)
        assert signer.signature(signer.string_to_sign(request, canonical), request) == signature


def test_no_secret_reaches_a_command_line_or_the_log(
    machine: Machine, cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    vpn_secrets.main()
    shown = json.dumps(machine.commands) + "".join(capsys.readouterr())
    private = cloud.parameters["/vpn/uk/host-key:1"].splitlines()[1]
    for secret in (PSK, PPK, private, "metadata-token", *CREDENTIALS.values()):
        assert secret not in shown
        assert json.dumps(secret)[1:-1] not in shown


def name_version(machine: Machine, cloud: Cloud, version: int) -> None:
    """Make the user data of the gateway that of a rotated secret."""
    settings = json.loads(machine.settings.read_text())
    settings["ssm"]["psk"] = f"/vpn/uk/psk:{version}"
    machine.settings.write_text(json.dumps(settings))
    cloud.parameters[f"/vpn/uk/psk:{version}"] = PSK[::-1]


def test_a_rotated_secret_is_fetched_by_its_version_and_sshd_left_alone(machine: Machine, cloud: Cloud) -> None:
    vpn_secrets.main()
    machine.commands.clear()
    name_version(machine, cloud, 2)
    vpn_secrets.main()
    assert machine.secret.read_text() == SECRET.replace(PSK, PSK[::-1]).replace("psk:1", "psk:2")
    assert not any(command[0] == "systemctl" for command in machine.commands)


def test_secrets_that_are_staged_are_written_beside_those_in_use(
    machine: Machine, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    vpn_secrets.main()
    host_key = machine.host_key.stat()
    name_version(machine, cloud, 2)
    staged = machine.root / "stage/tree"
    (staged / "etc/ipsec.d").mkdir(parents=True)
    machine.settings.parent.rename(staged / "etc/vpn-gateway")
    monkeypatch.setenv("VPN_ROOT", "/stage/tree")
    vpn_secrets.main()
    assert machine.secret.read_text() == SECRET
    written = staged / "etc/ipsec.d" / machine.secret.name
    assert written.read_text() == SECRET.replace(PSK, PSK[::-1]).replace("psk:1", "psk:2")
    assert mode(written) == 0o600
    assert machine.host_key.stat() == host_key


def test_a_version_that_is_there_is_not_asked_for_again(machine: Machine, cloud: Cloud) -> None:
    vpn_secrets.main()
    cloud.requests.clear()
    cloud.denied.add("/vpn/uk/psk:1")
    vpn_secrets.main()
    assert cloud.requests == []


def test_a_version_that_is_there_for_another_peer_is_asked_for(machine: Machine, cloud: Cloud) -> None:
    vpn_secrets.main()
    settings = json.loads(machine.settings.read_text())
    settings["connections"]["uk-to-us"] = "203.0.113.10 192.0.2.30"
    machine.settings.write_text(json.dumps(settings))
    vpn_secrets.main()
    assert machine.secret.with_name("uk-to-us.secrets").read_text() == SECRET.replace("198.51.100.20", "192.0.2.30")


def test_a_fresh_secret_is_asked_for_also_when_its_version_is_there(
    machine: Machine, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    vpn_secrets.main()
    machine.secret.write_text(SECRET.replace(PSK, PSK[::-1]))
    monkeypatch.setattr(vpn_secrets, "sys", SimpleNamespace(argv=["vpn-secrets", "--fresh"], exit=sys.exit))
    vpn_secrets.main()
    assert machine.secret.read_text() == SECRET
    cloud.denied.add("/vpn/uk/psk:1")
    with pytest.raises(SystemExit, match="cannot read /vpn/uk/psk:1"):
        vpn_secrets.main()


def test_a_secret_of_release_0_1_0_serves_a_boot_and_gets_its_other_names_when_asked_for_afresh(
    machine: Machine, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    vpn_secrets.main()
    old = f'203.0.113.10 198.51.100.20 : PSK "{PSK}"\n'
    machine.secret.write_text(old)
    cloud.denied.add("/vpn/uk/psk:1")
    vpn_secrets.main()
    assert machine.secret.read_text() == old
    cloud.denied.clear()
    monkeypatch.setattr(vpn_secrets, "sys", SimpleNamespace(argv=["vpn-secrets", "--fresh"], exit=sys.exit))
    vpn_secrets.main()
    assert machine.secret.read_text() == SECRET


def test_a_fresh_equal_secret_is_not_written_but_one_that_others_may_read_is(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vpn_secrets, "sys", SimpleNamespace(argv=["vpn-secrets", "--fresh"], exit=sys.exit))
    vpn_secrets.main()
    before = machine.secret.stat().st_ino
    vpn_secrets.main()
    assert machine.secret.stat().st_ino == before
    machine.secret.chmod(0o640)
    vpn_secrets.main()
    assert mode(machine.secret) == 0o600


def test_a_secrets_file_that_lacks_its_secret_is_no_secret_of_an_earlier_boot(machine: Machine, cloud: Cloud) -> None:
    vpn_secrets.main()
    machine.secret.write_bytes(bytes(60))
    cloud.denied.add("/vpn/uk/psk:1")
    with pytest.raises(SystemExit, match="cannot read /vpn/uk/psk:1"):
        vpn_secrets.main()
    cloud.denied.clear()
    vpn_secrets.main()
    assert PSK in machine.secret.read_text()


def test_a_gateway_without_a_postquantum_key_has_no_line_of_it_also_when_it_had_one(machine: Machine) -> None:
    vpn_secrets.main()
    settings = json.loads(machine.settings.read_text())
    del settings["ssm"]["ppk"]
    machine.settings.write_text(json.dumps(settings))
    vpn_secrets.main()
    assert machine.secret.read_text() == f'{LINE} : PSK "{PSK}"\n# /vpn/uk/psk:1\n'
    settings["ssm"]["ppk"] = "/vpn/uk/ppk:1"
    machine.settings.write_text(json.dumps(settings))
    vpn_secrets.main()
    assert machine.secret.read_text() == SECRET


def test_a_refused_psk_is_named_after_the_host_key_is_in_place(
    machine: Machine, cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    cloud.denied.add("/vpn/uk/psk:1")
    with pytest.raises(SystemExit) as ended:
        vpn_secrets.main()
    message = "AccessDeniedException: not authorized to read /vpn/uk/psk:1"
    assert ended.value.code == f"cannot install the secrets: cannot read /vpn/uk/psk:1 from {cloud.url}: {message}"
    assert capsys.readouterr().out.count(message) == vpn_secrets.TRIES
    assert machine.host_key.exists()
    assert not machine.secret.exists()


def test_the_secret_of_an_earlier_boot_stays_when_ssm_is_silent(
    machine: Machine, cloud: Cloud, capsys: pytest.CaptureFixture[str]
) -> None:
    vpn_secrets.main()
    name_version(machine, cloud, 2)
    cloud.denied.add("/vpn/uk/psk:2")
    vpn_secrets.main()
    assert machine.secret.read_text() == SECRET
    assert "keeping the secret of an earlier boot" in capsys.readouterr().out


def test_a_late_metadata_service_is_waited_for(machine: Machine, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    right, naps = metadata.METADATA, []
    monkeypatch.setattr(metadata, "METADATA", ("127.0.0.1", 9))

    def sleep(seconds: float) -> None:
        naps.append(seconds)
        if len(naps) == 3:
            metadata.METADATA = right

    monkeypatch.setattr(vpn_secrets, "time", SimpleNamespace(sleep=sleep))
    vpn_secrets.main()
    assert machine.secret.exists()


def test_a_host_key_that_is_not_the_pinned_one_fails_the_boot(machine: Machine, cloud: Cloud) -> None:
    machine.host_key.write_text("throw-away")
    cloud.parameters["/vpn/uk/host-key:1"], _ = new_key(machine.root / "other")
    with pytest.raises(SystemExit, match="the host key is not the private half of ssh-ed25519"):
        vpn_secrets.main()
    assert machine.host_key.read_text() == "throw-away"
    assert [path.name for path in machine.host_key.parent.iterdir()] == ["ssh_host_ed25519_key"]


@pytest.mark.parametrize("kind", ["psk", "ppk"])
@pytest.mark.parametrize("key", ['half"quoted', "two\nlines", "schl\u00fcssel"])
def test_a_key_that_the_file_cannot_carry_is_refused_without_showing_it(
    machine: Machine, cloud: Cloud, kind: str, key: str
) -> None:
    cloud.parameters[f"/vpn/uk/{kind}:1"] = key
    with pytest.raises(SystemExit, match=r"characters that ipsec\.secrets cannot carry") as ended:
        vpn_secrets.main()
    assert key not in str(ended.value)
    assert not machine.secret.exists()


def test_inline_secrets_come_out_the_same_without_any_request(machine: Machine, cloud: Cloud) -> None:
    settings = json.loads(machine.settings.read_text())
    del settings["ssm"]
    settings |= {"psk": PSK, "ppk": PPK, "host_key": cloud.parameters["/vpn/uk/host-key:1"]}
    machine.settings.write_text(json.dumps(settings))
    vpn_secrets.main()
    assert machine.secret.read_text() == KEYS
    assert machine.host_key.read_text() == settings["host_key"]
    assert cloud.requests == []
