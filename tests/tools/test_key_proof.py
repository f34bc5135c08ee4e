"""vpn-verify's layer `key` with two real plutos of each release, which authenticate beside a standing IKE SA.

Does not prove that a tunnel loses nothing meanwhile, which needs a guest's kernel (tests/scenarios).
"""

import re

import pytest

from lab.machines import toolroot
from tests.tools import pluto_pair
from tests.unit.gateway_documents import AU, PPK, PSK, UK, gateway_document, installed_files

LOOK = f"""
import sys
sys.path[:0] = ['/usr/local/lib/vpn-verify', '/usr/local/lib/vpn-gateway']
from pluto import whack
from vpn_verify import key
from vpn_verify.layer import LayerError
from vpn_verify.machine import read
# Without ESP, 5.2 goes on to negotiate a Child SA.
key.SECONDS = 3
try:
    secret, status = read('{pluto_pair.SECRET}'), whack('--status') or ''
    print(key.key('uk-to-au', '{AU.public_ip}', ike_version=2, secret=secret, status=status, postquantum=True))
except LayerError as error:
    print('failed:', error)
"""
PREPARE = """
    tunnel() { uk_whack --showstates | grep -o '#[0-9]*: "uk-to-au":[0-9]* [A-Z0-9_]*ESTABLISHED_IKE_SA' || true; }
    look() { echo "== $1"; python3 /root/look.py; tunnel; uk_whack --showstates | grep -c '"key/' || true; }
    timeout 3 /usr/libexec/ipsec/whack --initiate --name uk-to-au >/dev/null || true
"""
PROVED = f"{AU.public_ip} has authenticated itself with the same keys"
DIFFER = "failed: the pre-shared keys differ, or else the peer has not run vpn-configure ("


def looks(release: str, script: str) -> dict[str, list[str]]:
    """Return what each look printed: the evidence, the tunnel's IKE SA, and how many states are left of the proof."""
    others = {"other": pluto_pair.secret(PSK[::-1]), "other-ppk": pluto_pair.secret(ppk=PPK[::-1])}
    others["old"] = pluto_pair.secret(names=False)
    more = {"/root/look.py": LOOK, **{f"/root/{name}": text for name, text in others.items()}}
    done = pluto_pair.run(release, PREPARE + script, more)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not any(key in done.stdout for key in (PSK, PSK[::-1], PPK, PPK[::-1]))
    return {head: lines for head, *lines in (part.splitlines() for part in done.stdout.split("== ")[1:])}


@pytest.mark.parametrize("other", ["other", "other-ppk"])
def test_the_keys_are_proved_beside_the_tunnel_and_one_of_one_side_alone_is_named(release: str, other: str) -> None:
    said = looks(
        release,
        f"""
        look same
        cp /root/{other} {pluto_pair.SECRET}; look written
        uk_whack --rereadsecrets >/dev/null; look one-side
        cp /root/{other} /au/ipsec.secrets; au_whack --rereadsecrets >/dev/null; look both
        """,
    )
    assert {name: lines[0][: len(DIFFER)] for name, lines in said.items()} == {
        "same": PROVED,
        "written": PROVED,
        "one-side": DIFFER,
        "both": PROVED,
    }
    assert '"key/uk-to-au" #' in said["one-side"][0]
    assert "AUTHENTICATION_FAILED" in said["one-side"][0]
    # The tunnel's IKE SA is the same before and after, and nothing is left of those that prove the key.
    (tunnel,) = {lines[1] for lines in said.values()}
    assert re.match(r'#1: "uk-to-au":', tunnel)
    left = {name: lines[2] for name, lines in said.items()}
    # After a wrong key, Libreswan 5.2 tries a second time by itself.
    assert left.pop("one-side") in {"0", "1", "2"}
    assert set(left.values()) == {"0"}


def test_an_ike_sa_of_the_peers_own_look_is_ended_and_another_one_begun(release: str) -> None:
    said = looks(
        release,
        """
        at_au timeout 2 /usr/libexec/ipsec/whack --ctlsocket /run/au/pluto.ctl --initiate --name key/au-to-uk \\
            >/dev/null || true
        look standing
        """,
    )
    assert said["standing"] == [PROVED, said["standing"][1], "0"]


def test_two_looks_at_once_prove_the_key_on_both_sides(release: str) -> None:
    said = looks(
        release,
        """
        try() { at_au timeout 3 /usr/libexec/ipsec/whack --ctlsocket /run/au/pluto.ctl --initiate --name key/au-to-uk; }
        try >/run/au.said & other=$!
        look at-once
        wait $other || true
        echo "== au"; grep -c 'initiator established IKE SA; authenticated' /run/au.said
        """,
    )
    assert said["at-once"][0] == PROVED
    assert said["au"] == ["1"]


def test_a_peer_with_the_secret_of_an_older_release_is_named(release: str) -> None:
    said = looks(release, "cp /root/old /au/ipsec.secrets; au_whack --rereadsecrets >/dev/null; look old")
    assert said["old"][0].startswith(DIFFER)


def test_libreswan_reads_the_file_beside_that_of_the_tunnel_without_a_warning(release: str) -> None:
    script = "rm -f /etc/resolv.conf; : >/etc/resolv.conf; /usr/libexec/ipsec/addconn --checkconfig"
    tunnel = installed_files(gateway_document())[pluto_pair.CONF]
    files = {pluto_pair.CONF: tunnel, pluto_pair.KEY_CONF: pluto_pair.key_conf(UK, AU)}
    done = toolroot.run(release, ["sh", "-euc", f"{script} --config /etc/ipsec.conf"], files=files)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
