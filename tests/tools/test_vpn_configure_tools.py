"""vpn-configure on a root of each Debian release, with the real tools that check files and a real pluto.

systemctl is a stand-in. Does not prove what a tunnel loses (tests/scenarios).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

import ipsec_conf
from components.decisions.files import File
from components.decisions.tunnel import TunnelProfile
from components.user_data import configure_files, key_files, update_files
from lab.machines import toolroot
from tests.tools import pluto
from tests.unit.gateway_documents import AU, PSK, UK, gateway_document

CONF, ROUTES = "/etc/ipsec.d/vpn.conf", "/etc/vpn-gateway/routes"
KEY, LEFT = "/etc/ipsec.d/vpn-key.conf", "left=10.1.1.254"
OTHER = "uk-to-au/10.1.0.0/16=10.20.0.0/16"
SECRET = f'203.0.113.10 198.51.100.20 : PSK "{PSK}"\n# /vpn/uk/psk:1\n'
PROGRAM = {file.path: file.text for file in configure_files()}

SYSTEMD = """
    exec 2>&1
    mkdir /tmp/fake
    printf '#!/bin/sh\\n! grep -qsxe "systemctl $*" /tmp/refused\\n' >/tmp/fake/systemctl
    chmod +x /tmp/fake/systemctl
    PATH=/tmp/fake:$PATH
    mkdir -p /var/lib/vpn-gateway
    echo done >/var/lib/vpn-gateway/boot
    ssh-keygen -A >/dev/null
    configure() {
        echo "== $1"
        cp "/lists/$1" /var/lib/vpn-gateway/desired.json
        vpn-configure || echo "exit code $?"
    }
    connections() { /usr/libexec/ipsec/whack --status | grep -e === -e 'conn serial'; }
"""


LOADED = """until /usr/libexec/ipsec/whack --status | grep -q '"uk-to-au"'; do sleep 0.1; done"""


def gateway() -> dict[str, File]:
    """Return path -> file of a gateway whose address is on no default route of the test's network."""
    files = {file.path: file for file in gateway_document().files}
    return edited(files, CONF, "left=%defaultroute", LEFT)


def edited(files: Mapping[str, File], path: str, old: str, new: str) -> dict[str, File]:
    text = files[path].text
    assert old in text
    return {**files, path: replace(files[path], text=text.replace(old, new))}


def listed(files: Mapping[str, File], revision: str) -> str:
    return json.dumps({"revision": revision, "files": [vars(file) for file in files.values()]})


def run(release: str, lists: Mapping[str, Mapping[str, File]], script: Sequence[str]) -> dict[str, list[str]]:
    """Return the lines that each run of vpn-configure, and what follows it, has printed."""
    more = {f"/lists/{name}": listed(files, name) for name, files in lists.items()}
    more |= {CONF: gateway()[CONF].text, "/etc/ipsec.d/uk-to-au.secrets": SECRET} | PROGRAM
    lines = "\n".join(script)
    # The exit code of a pluto that is killed says nothing about the test.
    done = pluto.run(release, SYSTEMD + f"start_pluto\n{LOADED}\n{lines}\nkill $pluto; wait $pluto || true", more=more)
    assert done.returncode == 0, done.stdout + done.stderr
    parts = [part.splitlines() for part in done.stdout.split("== ")[1:]]
    return {head: lines for head, *lines in parts}


def test_pluto_gets_the_connections_of_the_file_and_keeps_those_that_are_right(release: str) -> None:
    one = gateway()
    second = one[CONF].text.partition("conn uk-to-au\n")[2].replace("172.31.0.0/16", "10.20.0.0/16")
    more = f"conn {OTHER}\n{second}\n  connalias=uk-to-au/others\n\nconn uk-to-au\n"
    two = edited(one, CONF, "conn uk-to-au\n", more)
    broken = edited(two, ROUTES, "172.31", "172.30")
    script = [
        *(f"configure {name}; connections" for name in ("one", "two", "back")),
        "/usr/libexec/ipsec/whack --delete --name uk-to-au >/dev/null; configure repaired; connections",
        "echo 'systemctl restart vpn-sysctl' >/tmp/refused; configure broken; connections",
    ]
    said = run(release, {"one": one, "two": two, "back": one, "repaired": one, "broken": broken}, script)

    def routed(name: str) -> dict[str, bool]:
        return ipsec_conf.loaded("\n".join(said[name]))

    def serial(name: str) -> list[str]:
        return re.findall(r'"uk-to-au":.* conn serial: (\S+);', "\n".join(said[name]))

    assert said["two"][:3] == [f"{CONF}: changed", f"connection {OTHER}: added", "revision two"]
    assert said["back"][:3] == [f"{CONF}: changed", f"connection {OTHER}: deleted", "revision back"]
    assert said["repaired"][:2] == ["connection uk-to-au: added", "revision repaired"]
    assert said["broken"][0].startswith("vpn-configure: systemctl restart vpn-sysctl fails with 1:")
    assert routed("two") == {"uk-to-au": True, OTHER: True}
    assert [routed(name) for name in ("one", "back", "repaired", "broken")] == [{"uk-to-au": True}] * 4
    assert serial("one") == serial("two") == serial("back") != serial("repaired")
    assert len(serial("one")) == 1


def with_key(files: Mapping[str, File], old: str = "", new: str = "") -> dict[str, File]:
    """Return the files with the one that proves the key, in which `new` stands in the place of `old`."""
    (file,) = key_files("uk", UK.public_ip, {"au": AU.public_ip}, TunnelProfile.MODERN, postquantum=True)
    return edited(edited({**files, file.path: file}, file.path, "left=%defaultroute", LEFT), file.path, old, new)


def test_the_connection_that_proves_the_key_is_loaded_but_not_routed_and_the_tunnels_stays(release: str) -> None:
    one = gateway()
    lists = {"one": one, "key": with_key(one), "other": with_key(one, "=120s", "=130s"), "back": one}
    lists["refused"] = with_key(one, "rekey=no", "rekey=perhaps")
    said = run(release, lists, [f"configure {name}; connections" for name in lists])

    def serial(name: str, connection: str) -> list[str]:
        return re.findall(rf'"{connection}":.* conn serial: (\S+);', "\n".join(said[name]))

    key = "key/uk-to-au"
    assert said["key"][:3] == [f"{KEY}: added", f"connection {key}: added", "revision key"]
    assert said["other"][:3] == [f"{KEY}: changed", f"connection {key}: changed", "revision other"]
    assert said["back"][:3] == [f"{KEY}: removed", f"connection {key}: deleted", "revision back"]
    assert said["refused"][0] == "vpn-configure: refused, and nothing has changed:"
    assert said["refused"][1].startswith(f"{KEY}: addconn: ")
    assert ipsec_conf.loaded("\n".join(said["key"])) == {"uk-to-au": True, key: False}
    assert ipsec_conf.loaded("\n".join(said["back"])) == {"uk-to-au": True}
    assert serial("key", key) != serial("other", key)
    assert len({tuple(serial(name, "uk-to-au")) for name in lists}) == 1


REFUSED = {
    "sh": ("/usr/local/sbin/vpn-sysctl", "set -eu", "set -eu\nif then fi", ": 6: Syntax error:"),
    "filter": ("/etc/vpn-gateway/filter.rules", "-i lo -j RETURN", "-i lo --nonsense", "Error occurred at line: "),
    "keyword": (CONF, "  auto=ondemand", "  auto=whatever", "auto"),
    "algorithm": (CONF, "esp=aes_gcm256-none", "esp=nonsense", "'nonsense' is not recognized"),
    "sshd": ("/etc/ssh/sshd_config.d/vpn-gateway.conf", "MACs ", "MACs nonsense,", "line 6: Bad SSH2 mac spec"),
    "unit": ("/etc/systemd/system/vpn-watch.service", "RestartSec=2", "Nonsense=1", ":11: Unknown key"),
    "drop-in": ("/etc/systemd/system/ipsec.service.d/vpn.conf", "RestartSec=500ms", "Nonsense=1", ":9: Unknown key"),
    "python": ("/usr/local/lib/vpn-gateway/icmp.py", "import os\n", "import os\nif\n", ":5: invalid syntax"),
}
"""Name -> path, text and what stands in its place, and what the tool says."""


def test_what_the_tools_refuse_is_named_with_its_own_path_and_changes_nothing(release: str) -> None:
    one = gateway()
    lists = {name: edited(one, path, old, new) for name, (path, old, new, _) in REFUSED.items()}
    script = ["configure one", *(f"configure {name}; ls /var/lib/vpn-gateway" for name in REFUSED)]
    said = run(release, {"one": one, **lists}, script)
    for name, (path, _, _, words) in REFUSED.items():
        first, second, *rest = said[name]
        assert first == "vpn-configure: refused, and nothing has changed:"
        assert second.startswith(f"{path}:"), (name, second)
        assert words in "\n".join([second, *rest]), (name, second, rest)
        assert "/stage/" not in "\n".join(said[name])
        assert rest[-4:] == ["exit code 1", "boot", "deployed.json", "desired.json"], (name, rest)


def test_a_new_unit_may_come_together_with_its_program_but_not_without_one(release: str) -> None:
    one = gateway()
    program, unit = "/usr/local/sbin/vpn-new", "/etc/systemd/system/vpn-new.service"
    text = f"[Service]\nType=oneshot\nExecStart={program}\n\n[Install]\nWantedBy=multi-user.target\n"
    alone = {**one, unit: File(path=unit, mode=0o644, text=text)}
    both = {**alone, program: File(path=program, mode=0o755, text="#!/bin/sh\n")}
    said = run(
        release, {"one": one, "alone": alone, "both": both}, [f"configure {n}" for n in ("one", "alone", "both")]
    )
    assert f"{unit}: systemd-analyze: " in said["alone"][1]
    assert "is not executable" in "\n".join(said["alone"])
    assert sorted(said["both"]) == [f"{unit}: added", f"{program}: added", "revision both"]


def with_window(files: Mapping[str, File], window: str) -> dict[str, File]:
    """Return the files with those of a window for updates."""
    return {**files, **{file.path: file for file in update_files(window)}}


LISTED = "systemd-analyze cat-config systemd/system/apt-daily.timer | grep UTC"

UNMASKED = "rm -f /etc/systemd/system/apt-daily.timer /etc/systemd/system/apt-daily-upgrade.timer"
"""The lab's image has Debian's timers masked."""


def test_apt_and_systemd_take_the_files_of_a_window_and_name_what_they_refuse(release: str) -> None:
    window = with_window(gateway(), "23:30")
    apt, timer = "/etc/apt/apt.conf.d/90vpn-updates", "/etc/systemd/system/apt-daily.timer.d/vpn-updates.conf"
    lists = {
        "one": gateway(),
        "quotes": edited(window, apt, '"always";\nAPT', '"always;\nAPT'),
        "time": edited(window, timer, "23:30:00", "25:30:00"),
        "window": window,
    }
    show = f"apt-config dump | grep -e Origins -e Automatic-Reboot; vpn-updates --pending; {LISTED}"
    said = run(release, lists, [UNMASKED, *(f"configure {name}" for name in lists), show])
    assert said["quotes"][1].startswith(f"{apt}: apt-config: E: Syntax error {apt}:")
    assert said["time"][1].startswith(f"{timer}: systemd-analyze: ")
    assert "Failed to parse calendar specification" in "\n".join(said["time"])
    added = [f"{file.path}: added" for file in update_files("23:30")]
    assert said["window"][: len(added) + 1] == [*added, "revision window"]
    assert said["window"][len(added) + 1 :] == [
        'Unattended-Upgrade::Origins-Pattern "";',
        'Unattended-Upgrade::Origins-Pattern:: "origin=Debian,codename=${distro_codename}-security,'
        'label=Debian-Security";',
        'Unattended-Upgrade::Automatic-Reboot "false";',
        "",
        "OnCalendar=*-*-* 23:30:00 UTC",
    ]


def test_pluto_reads_a_secret_with_the_name_of_its_version_after_it(release: str) -> None:
    script = """
        start_pluto; sleep 1
        /usr/libexec/ipsec/whack --listpsks
        grep -ie secret -e unexpected /run/pluto.log
        kill $pluto; wait $pluto || true
    """
    done = pluto.run(release, script, more={"/etc/ipsec.d/uk-to-au.secrets": SECRET})
    assert "198.51.100.20" in done.stdout, done.stdout + done.stderr
    assert "unexpected" not in done.stdout


@pytest.mark.parametrize("unit", ["vpn-commit", "vpn-configure"])
def test_systemd_finds_nothing_wrong_with_the_units_that_finish_a_change_at_boot(release: str, unit: str) -> None:
    script = f"chmod -R a+rX /etc/systemd; systemd-analyze verify --man=no {unit}.service"
    done = toolroot.run(release, ["sh", "-euc", script], files=PROGRAM)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_program_of_that_unit_finishes_a_commit_without_the_rest_of_the_gateway(release: str) -> None:
    top = "/var/lib/vpn-gateway/commit"
    files = {
        f"{top}/tree/etc/vpn-gateway/routes": "10.20.0.0/16 mtu 1400\n",
        f"{top}/list.json": json.dumps({"files": [ROUTES], "removed": ["/etc/vpn-gateway/old"]}),
        "/etc/vpn-gateway/old": "x",
    }
    script = f"vpn-commit; cat {ROUTES}; ls /etc/vpn-gateway; ls /var/lib/vpn-gateway; vpn-commit"
    done = toolroot.run(release, ["sh", "-euc", script], files=files | PROGRAM)
    assert done.stdout.splitlines() == [
        f"put in place: {ROUTES} /etc/vpn-gateway/old",
        *("10.20.0.0/16 mtu 1400", "routes", "put in place:"),
    ], done.stderr
