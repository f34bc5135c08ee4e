"""What the gateway's own tools say of its files, for both Debian releases, with the packages that a gateway installs.

Proves that cloud-init, Libreswan, sshd and systemd of the release accept the files; iptables is in
test_packet_filter.py. Does not prove ESP, which needs a guest's kernel (tests/lab).
"""

from dataclasses import replace
from pathlib import Path

import pytest

from components.decisions.tunnel import TunnelProfile
from components.user_data import login_files
from lab.machines import toolroot
from tests.unit.gateway_documents import (
    AUTHORIZED_KEYS,
    IN_SSM,
    INLINE,
    OTHER_PUBLIC_KEY,
    PPK,
    PSK,
    PUBLIC_KEY,
    UK,
    gateway_document,
    installed_files,
)

PROFILES = pytest.mark.parametrize("profile", list(TunnelProfile))
UNITS = ("vpn-filter.service", "vpn-sysctl.service", "vpn-secrets.service", "vpn-watch.service")


@PROFILES
def test_cloud_init_knows_every_key_of_the_document(release: str, profile: TunnelProfile) -> None:
    for secrets in (IN_SSM, INLINE):
        document = gateway_document(profile=profile, secrets=secrets)
        argv = ["cloud-init", "schema", "--config-file", "/root/user-data"]
        done = toolroot.run(release, argv, files={"/root/user-data": document.user_data})
        assert done.returncode == 0, done.stdout + done.stderr
        assert "deprecat" not in (done.stdout + done.stderr).lower()


@PROFILES
@pytest.mark.parametrize("more", [(), ("10.5.0.0/16", "10.6.0.0/16")])
def test_libreswan_reads_the_connection_without_a_warning(
    release: str, profile: TunnelProfile, more: tuple[str, ...]
) -> None:
    uk = replace(UK, cidr_blocks=(*UK.cidr_blocks, *more))
    files = installed_files(gateway_document(uk, profile=profile))
    # The image's resolv.conf is a link into /run, which is empty here; 4.10 speaks of it.
    script = "rm -f /etc/resolv.conf; : >/etc/resolv.conf; /usr/libexec/ipsec/addconn --checkconfig"
    argv = ["sh", "-euc", script + " --config /etc/ipsec.conf"]
    done = toolroot.run(release, argv, files={"/etc/ipsec.d/vpn.conf": files["/etc/ipsec.d/vpn.conf"]})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_libreswan_refuses_a_connection_with_a_keyword_that_it_does_not_know(release: str) -> None:
    text = installed_files(gateway_document())["/etc/ipsec.d/vpn.conf"].replace("narrowing=", "narrowness=")
    argv = ["/usr/libexec/ipsec/addconn", "--config", "/etc/ipsec.conf", "--checkconfig"]
    assert toolroot.run(release, argv, files={"/etc/ipsec.d/vpn.conf": text}).returncode != 0


@PROFILES
def test_libreswan_knows_the_algorithms(release: str, profile: TunnelProfile) -> None:
    document = gateway_document(profile=profile)
    (connection,) = document.connections
    keywords, expected = connection.profile.keywords, connection.profile
    algorithms = {"ike": expected.ike_algorithm, "esp": expected.esp_algorithm}
    for keyword, name in algorithms.items():
        argv = ["ipsec", "algparse", f"-v{expected.ike_version}", "-pfs=yes", f"{keyword}={keywords[keyword]}"]
        done = toolroot.run(release, argv)
        assert done.returncode == 0, done.stderr
        assert name in done.stdout


def test_the_kernel_gets_the_keys_for_its_interface_and_the_tunnels_mtu_but_no_forwarding(release: str) -> None:
    script = """
        mount -o remount,rw /proc/sys 2>/dev/null || true
        # Only the first network namespace may size the table, and that is this machine's own.
        mkdir /tmp/conntrack
        for key in max buckets tcp_timeout_established udp_timeout udp_timeout_stream icmp_timeout; do
            echo 1 >/tmp/conntrack/nf_conntrack_$key
        done
        mount --bind /tmp/conntrack /proc/sys/net/netfilter
        # These keys belong to no namespace at all.
        for key in panic panic_on_oops; do
            echo 0 >/tmp/$key
            mount --bind /tmp/$key /proc/sys/kernel/$key
        done
        ip link add ens5 type veth peer name other; ip link set other up; ip link set ens5 up
        ip addr add 10.1.1.254/24 dev ens5
        ip route add default via 10.1.1.1
        vpn-sysctl
        vpn-sysctl
        grep -H . /tmp/conntrack/* | sed 's/.*nf_conntrack_//' | xargs
        cat /tmp/panic /tmp/panic_on_oops | xargs
        ip route show 172.31.0.0/16
        cat /etc/sysctl.d/90-vpn-gateway.conf /proc/sys/net/ipv4/ip_forward
        sysctl -qw net.ipv4.ip_forward=1
        layer() { PYTHONPATH=/usr/local/lib/vpn-verify:/usr/local/lib/vpn-gateway python3 -c "
from vpn_verify.table import LAYERS
print(next(layer for layer in LAYERS if layer.name == 'sysctl').look(None))"; }
        layer
        sysctl -qw net.ipv4.conf.ens5.send_redirects=1
        layer 2>&1 | tail -n 1
        rm /etc/vpn-gateway/routes; vpn-sysctl 2>/dev/null || echo "no routes: $?"
    """
    done = toolroot.run(release, ["sh", "-euc", script], files=installed_files(gateway_document()))
    assert done.returncode == 0, done.stdout + done.stderr
    table, crash, route, *keys, forwarding, found, broken, without = done.stdout.splitlines()
    size = memory_kib() // 8 // 512 * 512
    assert table.split() == [
        *(f"buckets:{size}", "icmp_timeout:60", f"max:{size}", "tcp_timeout_established:7440"),
        *("udp_timeout:120", "udp_timeout_stream:300"),
    ]
    assert crash == "10 1"
    assert route.strip() == "172.31.0.0/16 via 10.1.1.1 dev ens5 mtu 1400"
    assert sum("redirects=0" in key for key in keys) == 12
    assert forwarding == "0"
    assert not any("ip_forward" in key for key in keys)
    assert "net.ipv4.conf.ens5.send_redirects=0" in keys
    assert found == "13 keys, ens5"
    assert broken.endswith("net/ipv4/conf/ens5/send_redirects is 1, not 0")
    assert without.startswith("no routes: ")


def memory_kib() -> int:
    """Return how much memory this machine has."""
    return int(Path("/proc/meminfo").read_text().split()[1])


BOOT = """
    mkdir /tmp/fake; cd /tmp/fake
    for tool in apt-get systemctl journalctl sync sleep; do
        {
            printf '#!/bin/sh\\necho "%s $*" >>/tmp/asked\\n' $tool
            echo 'if grep -qsxe "$*" /tmp/affirmed; then echo yes; fi; ! grep -qsxe "$*" /tmp/refused'
        } >$tool
        chmod +x $tool
    done
    PATH=/tmp/fake:$PATH
"""
"""Tools that note what they were asked, say yes to each line of /tmp/affirmed and refuse those of /tmp/refused."""


def _boot(release: str, script: str) -> tuple[list[str], str, str]:
    done = toolroot.run(release, ["sh", "-uc", BOOT + script], files=installed_files(gateway_document()))
    asked, _, rest = done.stdout.partition("---\n")
    said, _, state = rest.rpartition("state: ")
    assert not done.stderr, done.stderr
    return asked.splitlines(), said, state.strip()


TOLD = "; cat /tmp/asked; echo ---; cat /tmp/said; echo state: $(cat /var/lib/vpn-gateway/boot)"


def test_the_boot_takes_its_steps_in_order_and_does_not_reload_the_manager(release: str) -> None:
    asked, said, state = _boot(release, "vpn-boot >/tmp/said; echo $? >>/tmp/said" + TOLD)
    assert (said, state) == ("0\n", "done")
    enabled = [line for line in asked if line.startswith("systemctl enable")]
    assert enabled == [
        "systemctl enable -q --no-reload vpn-secrets vpn-filter vpn-sysctl vpn-watch",
        "systemctl enable -q --no-reload ipsec",
    ]
    steps = [line for line in asked if not line.startswith(("systemctl enable", "systemctl show"))]
    assert [line.split()[-1] for line in steps] == [
        *("vpn-secrets", "update", "iputils-ping", "sync", "vpn-filter", "vpn-sysctl", "ipsec", "vpn-watch")
    ]


def test_a_unit_that_has_changed_since_the_manager_read_it_is_read_again_before_it_starts(release: str) -> None:
    changed = "echo 'show -P NeedDaemonReload ipsec' >/tmp/affirmed; "
    asked, _, state = _boot(release, changed + "vpn-boot >/tmp/said" + TOLD)
    assert state == "done"
    assert asked.count("systemctl daemon-reload") == 1
    assert asked.index("systemctl daemon-reload") < asked.index("systemctl restart ipsec")


def test_packages_are_tried_again_and_then_the_step_is_named(release: str) -> None:
    refused = "echo '-q -o Acquire::Languages=none update' >/tmp/refused; "
    asked, said, state = _boot(release, refused + "vpn-boot >/tmp/said" + TOLD)
    assert state == "failed packages"
    assert said.startswith("step packages failed:\n")
    assert asked.count("apt-get -q -o Acquire::Languages=none update") == 20
    assert not any("install" in line or "ipsec" in line for line in asked)


def test_a_unit_that_does_not_start_ends_the_boot_with_its_name(release: str) -> None:
    asked, said, state = _boot(release, "echo restart vpn-filter >/tmp/refused; vpn-boot >/tmp/said" + TOLD)
    assert state == "failed vpn-filter"
    assert said.startswith("step vpn-filter failed:\n")
    assert asked[-1].startswith("journalctl -b -qocat -n5 -t vpn-filter")


def test_an_image_without_curl_gets_its_secrets_after_the_packages(release: str) -> None:
    asked, _, state = _boot(release, "rm -f /usr/bin/curl; vpn-boot >/tmp/said" + TOLD)
    assert state == "done"
    restarted = [line.split()[-1] for line in asked if "restart" in line or line == "sync "]
    assert restarted == ["sync", "vpn-secrets", "vpn-filter", "vpn-sysctl", "ipsec", "vpn-watch"]


def test_sshd_offers_the_pinned_key_and_no_other(release: str) -> None:
    script = 'ssh-keygen -A >/dev/null; sshd -t; sshd -T | grep "^hostkey "'
    done = toolroot.run(release, ["sh", "-euc", script], files=installed_files(gateway_document()))
    assert (done.returncode, done.stdout) == (0, "hostkey /etc/ssh/ssh_host_ed25519_key\n"), done.stderr


def test_with_the_list_of_keys_sshd_reads_no_other_and_the_list_is_one_that_ssh_keygen_reads(release: str) -> None:
    files = installed_files(gateway_document())
    files |= {file.path: file.text for file in login_files([PUBLIC_KEY, OTHER_PUBLIC_KEY])}
    script = "ssh-keygen -A >/dev/null; mkdir -p /run/sshd; sshd -T | grep ^authorizedkeys; ssh-keygen -l -f "
    done = toolroot.run(release, ["sh", "-euc", script + AUTHORIZED_KEYS], files=files)
    sshd, *keys = [line for line in done.stdout.splitlines() if "command" not in line]
    assert sshd == f"authorizedkeysfile {AUTHORIZED_KEYS.replace('admin', '%u')}", done
    assert [(key.split()[0], key.split()[-1]) for key in keys] == [("256", "(ED25519)")] * 2


def test_a_disk_on_which_nothing_can_be_written_keeps_no_secret_that_is_there_from_ipsec(release: str) -> None:
    secret = Path("/etc/ipsec.d/uk-to-au.secrets")
    script = f"""
        printf %s "$(sed -n 's/.*"host_public_key": "\\([^"]*\\)".*/\\1/p' /etc/vpn-gateway/secrets.json)" \\
            >/etc/ssh/ssh_host_ed25519_key.pub
        mount -t tmpfs -o size=16k none {secret.parent}
        vpn-secrets; echo first: $?
        dd if=/dev/zero of={secret.parent}/full bs=4k 2>/dev/null
        vpn-secrets; echo equal: $?
        sed -i 's/{PSK}/rotated-{PSK}/' /etc/vpn-gateway/secrets.json
        vpn-secrets; echo rotated: $?
        mount -o remount,ro {secret.parent}
        vpn-secrets; echo read-only: $?
        mount -o remount,rw {secret.parent}
        rm {secret}
        dd if=/dev/zero of={secret.parent}/more bs=4k 2>/dev/null
        vpn-secrets 2>&1; echo none: $?
        ls {secret.parent}
        rm {secret.parent}/more
        vpn-secrets; echo room: $?
        cat {secret}
    """
    document = gateway_document(secrets=INLINE)
    done = toolroot.run(release, ["sh", "-uc", script], files=installed_files(document))
    no_space, read_only = "[Errno 28] No space left on device", "[Errno 30] Read-only file system"
    keeping = "keeping the secret of an earlier boot"
    draft = f"'{secret.with_suffix('.new')}'"
    ids = "203.0.113.10 198.51.100.20 @key.203.0.113.10 @key.198.51.100.20"
    assert done.stdout.splitlines() == [
        "first: 0",
        "equal: 0",
        f"{keeping}: {no_space}",
        "rotated: 0",
        f"{keeping}: {read_only}: {draft}",
        "read-only: 0",
        f"cannot install the secrets: {no_space}",
        "none: 1",
        "full",
        "more",
        "room: 0",
        f'{ids} : PSK "rotated-{PSK}"',
        f'{ids} : PPKS "vpn" "{PPK}"',
    ], done.stderr


SSHD = {
    "ciphers": {
        "chacha20-poly1305@openssh.com",
        *(f"aes{bits}-{mode}" for bits in (128, 256) for mode in ("gcm@openssh.com", "ctr")),
        "aes192-ctr",
    },
    "macs": {"hmac-sha2-512-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "umac-128-etm@openssh.com"},
    "kexalgorithms": {
        "mlkem768x25519-sha256",
        "sntrup761x25519-sha512",
        "sntrup761x25519-sha512@openssh.com",
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
    },
}
"""What sshd may offer: nothing of SHA-1, of 64 bits, of NIST's curves, of CBC."""

GO_SPEAKS = {
    "ciphers": {"aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr"},
    "macs": {"hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"},
    "kexalgorithms": {"curve25519-sha256", "curve25519-sha256@libssh.org"},
}
"""golang.org/x/crypto/ssh, by which Pulumi's command plugin logs in: defaults that all its versions have."""


def test_sshd_offers_what_a_scanner_of_today_passes_and_what_pulumi_speaks(release: str) -> None:
    script = "ssh-keygen -A >/dev/null; mkdir -p /run/sshd; sshd -T"
    done = toolroot.run(release, ["sh", "-euc", script], files=installed_files(gateway_document()))
    offered = {key: value for key, _, value in (line.partition(" ") for line in done.stdout.splitlines())}
    for kind, allowed in SSHD.items():
        found = offered[kind].split(",")
        assert set(found) <= allowed, kind
        assert set(found) >= GO_SPEAKS[kind], kind
    # Updates of Debian 12 offer the same method by its newer name first.
    first = offered["kexalgorithms"].split(",")[0].removesuffix("@openssh.com")
    assert first == ("mlkem768x25519-sha256" if release == "debian-13" else "sntrup761x25519-sha512")
    assert offered["authenticationmethods"] == "publickey"


def test_systemd_finds_nothing_wrong_with_the_units(release: str) -> None:
    script = f"chmod -R a+rX /etc/systemd; systemd-analyze verify --man=no ipsec.service {' '.join(UNITS)}"
    done = toolroot.run(release, ["sh", "-euc", script], files=installed_files(gateway_document()))
    assert done.returncode == 0
    assert "vpn" not in done.stdout + done.stderr


def test_the_package_leaves_ipsec_disabled_until_the_boot_enables_it(release: str) -> None:
    assert toolroot.run(release, ["systemctl", "is-enabled", "ipsec"]).stdout == "disabled\n"
