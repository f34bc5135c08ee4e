"""A gateway on a temporary root, for tests of vpn-configure: its commands are models that note what they are asked."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import dropwhile
from pathlib import Path

import pytest

import ipsec_conf
from components.decisions.files import File as UserDataFile
from components.decisions.tunnel import TunnelProfile
from components.user_data import key_files
from tests.unit.gateway_documents import PSK, gateway_document
from vpn_configure import boot, pluto
from vpn_configure.commit import TREE
from vpn_configure.configure import configure, prepare_next
from vpn_configure.errors import ConfigureError
from vpn_configure.files import DEPLOYED, DESIRED, NEXT, File
from vpn_configure.machine import Done, Machine
from vpn_configure.pluto import ADDCONN, WHACK

FILES: Mapping[str, UserDataFile] = {file.path: file for file in gateway_document().files}
SECRET = "/etc/ipsec.d/uk-to-au.secrets"  # noqa: S105 - a path


AT = {
    "conf": "/etc/ipsec.d/vpn.conf",
    "filter": "/usr/local/sbin/vpn-filter",
    "gateway": "/etc/vpn-gateway/gateway.json",
    "key": ipsec_conf.KEY_PATH,
    "healing": "/usr/local/lib/vpn-gateway/healing.py",
    "program": "/usr/local/sbin/vpn-secrets",
    "routes": "/etc/vpn-gateway/routes",
    "rules": "/etc/vpn-gateway/filter.rules",
    "secrets": "/etc/vpn-gateway/secrets.json",
    "sshd": "/etc/ssh/sshd_config.d/vpn-gateway.conf",
    "sysctl": "/etc/systemd/system/vpn-sysctl.service",
    "watch": "/etc/systemd/system/vpn-watch.service",
}
"""What the tests call the files that they change -> path."""


def listed(revision: str = "r1", **texts: str | None) -> str:
    """Return a list of the gateway's files, some of them with another text; None: without that file."""
    changed = {AT[name]: text for name, text in texts.items()}
    files = [
        {"path": path, "mode": file.mode, "text": changed.get(path, file.text)}
        for path, file in FILES.items()
        if changed.get(path, "") is not None
    ]
    if key := texts.get("key"):
        files.append({"path": AT["key"], "mode": 0o644, "text": key})
    return json.dumps({"revision": revision, "files": files})


def key_text(public_ip: str = "203.0.113.10") -> str:
    """Return the file that no user data has."""
    (file,) = key_files("uk", public_ip, {"au": "198.51.100.20"}, TunnelProfile.MODERN, postquantum=True)
    return file.text


KEY = key_text()


OTHER = "uk-to-au/10.1.0.0/16=10.20.0.0/16"
CONF = FILES[AT["conf"]].text
TWO = f"{CONF}\nconn {OTHER}\n  auto=ondemand\n  leftsubnet=10.1.0.0/16\n  rightsubnet=10.20.0.0/16\n"
ROUTES = FILES[AT["routes"]].text + "10.20.0.0/16 mtu 1400\n"
RULES = FILES[AT["rules"]].text.replace("# end", "# more\nCOMMIT\n# end")


def booted(root: Path, monkeypatch: pytest.MonkeyPatch) -> "Gateway":
    """Return a gateway whose disk is never waited for."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    monkeypatch.setattr(os, "sync", lambda: None)
    # No peer starts a connection here.
    monkeypatch.setattr(pluto, "PEER_SECONDS", 0)
    return Gateway(root)


class KilledError(BaseException):
    """The process is gone."""


class Gateway:
    """A gateway that has booted with its files, and what its commands answer."""

    def __init__(self, root: Path) -> None:
        self.machine = Machine(root, self.run)
        self.asked: list[str] = []
        self.refused: dict[str, Done] = {}
        """Beginning of a command -> what it answers instead."""
        self.failing: dict[str, Done] = {}
        """The same, for one time."""
        self.react: dict[str, Callable[[], None]] = {}
        """Beginning of a command -> what it does."""
        self.pluto: dict[str, bool] | None = {"uk-to-au": True}
        """The loaded connections, and whether they are routed; None: pluto does not run."""
        for path, file in FILES.items():
            self.machine.write(path, File(file.mode, file.text))
        self.machine.write(boot.STATE, File(0o644, "done\n"))
        self.machine.write("/etc/ssh/sshd_config", File(0o644, "Include /etc/ssh/sshd_config.d/*.conf\n"))
        self.machine.write(SECRET, File(0o600, f'203.0.113.10 198.51.100.20 : PSK "{PSK}"\n'))
        self.machine.place("/run").mkdir()

    def configure(self, text: str, wait: float = 0) -> list[str]:
        """Put a list in place; return what vpn-configure says."""
        self.machine.write(DESIRED, File(0o600, text))
        self.asked.clear()
        return configure(self.machine, wait)

    def apply(self, revision: str) -> list[str]:
        """Put in place what was prepared; return what vpn-configure says."""
        self.asked.clear()
        return configure(self.machine, 0, revision)

    def prepare(self, text: str, wait: float = 0) -> list[str]:
        """Prepare a list; return what vpn-configure says."""
        self.machine.write(NEXT, File(0o600, text))
        self.asked.clear()
        return prepare_next(self.machine, wait)

    def bring_key(self, text: str = "rotated") -> None:
        """Do what vpn-secrets does with what is staged."""
        self.machine.write(f"{TREE}{SECRET}", File(0o600, text))

    @contextmanager
    def killed_at(self, command: str) -> Iterator[None]:
        """Expect that the run in the block is killed when it asks for this command."""

        def kill() -> None:
            raise KilledError

        self.react[command] = kill
        with pytest.raises(KilledError):
            yield
        del self.react[command]

    def refuse(self, text: str, wait: float = 0) -> str:
        """Return why a list is not put in place."""
        with pytest.raises(ConfigureError) as error:
            self.configure(text, wait)
        assert PSK not in str(error.value)
        return str(error.value)

    @property
    def deployed(self) -> str:
        """The revision that is recorded."""
        text = self.machine.read(DEPLOYED)
        return str(json.loads(text)["revision"]) if text else ""

    def text(self, name: str) -> str:
        """Return the text of a file."""
        return self.machine.read(AT[name])

    def did(self, *but: str) -> list[str]:
        """Return what was asked that changes something, without some commands."""
        looks = (
            "whack --status",
            # It is asked in every run, and changes nothing if no key has changed.
            "whack --rereadsecrets",
            "pidof",
            "sh -n",
            "addconn --checkconfig",
            "iptables-restore",
            "ipsec algparse",
            *but,
        )
        looks += ("sshd", "systemd-analyze", "systemctl enable -q --no-reload")
        return [each for each in self.asked if not each.startswith(looks)]

    def run(self, argv: Sequence[str], _seconds: float) -> Done:
        """Answer a command."""
        words = list(dropwhile(lambda word: word == "env" or "=" in word, argv))
        words[0] = words[0].rpartition("/")[2]
        if argv[0] == ADDCONN and argv[-1] == "--checkconfig":
            words = ["addconn", "--checkconfig", *words[1:-1]]
        asked = " ".join(words)
        self.asked.append(asked)
        for start, act in self.react.items():
            if asked.startswith(start):
                act()
        for start in [start for start in self.failing if asked.startswith(start)]:
            return self.failing.pop(start)
        for start, done in self.refused.items():
            if asked.startswith(start):
                return done
        if argv[0] == WHACK:
            return self._whack(argv[1:])
        if argv[0] == ADDCONN and argv[-1] != "--checkconfig":
            self._add(argv[2], argv[3:])
        if asked == "systemctl restart ipsec":
            texts = "\n".join(map(self.machine.read, ipsec_conf.PATHS))
            found = ipsec_conf.parse(texts).connections
            self.pluto = {name: keys["auto"] != "add" for name, keys in found.items()}
        return Done(0, "")

    def _whack(self, arguments: Sequence[str]) -> Done:
        if self.pluto is None:
            return Done(33, "Pluto is not running")
        name = arguments[-1]
        if arguments[0] == "--status":
            states = {True: "routed-ondemand", False: "unrouted"}
            lines = [f'"{each}": a===b...c===d; {states[routed]}; x' for each, routed in self.pluto.items()]
            return Done(0, "\n".join(lines))
        if arguments[0] == "--delete":
            return Done(0 if self.pluto.pop(name, None) is not None else 21, "")
        if arguments[0] == "--route" and name not in self.pluto:
            return Done(21, f"no connection named {name}")
        if arguments[0] == "--route":
            self.pluto[name] = True
        return Done(0, "")

    def _add(self, path: str, names: Sequence[str]) -> None:
        assert self.pluto is not None
        known = ipsec_conf.parse(self.machine.read(path)).connections
        self.pluto |= {name: False for name in names if name in known}
