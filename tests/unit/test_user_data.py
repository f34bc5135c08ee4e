"""The files of a gateway and its user data, rendered, parsed and asserted on parsed values.

Proves what they say. Does not prove that tools accept them (tests/tools) or that a machine boots with them (tests/lab).
"""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from jinja2 import UndefinedError

from components import user_data
from components.decisions.secrets import GivenSecrets, StoredSecrets
from components.decisions.tunnel import End, TunnelProfile, connect
from components.user_data import configure_files, encode, program_digest, proof_files
from tests.unit.gateway_documents import (
    AU,
    HOST_KEY,
    IN_SSM,
    INLINE,
    PSK,
    UK,
    gateway_document,
    installed_files,
    one_rule_for_each_address,
    with_networks,
)

ROOT = Path(__file__).parents[2]
SECRETS = "/etc/vpn-gateway/secrets.json"


READER = next(file for file in configure_files() if file.path.endswith("/ipsec_conf.py"))


def rules(document_files: dict[str, str], table: str) -> list[str]:
    text = one_rule_for_each_address(document_files["/etc/vpn-gateway/filter.rules"])
    return [line for line in text.split(f"*{table}\n")[1].split("COMMIT")[0].splitlines() if line.startswith("-A")]


def tree(folder: str) -> dict[str, int]:
    """Return path -> mode, as git has them, of the files of a file system in userdata/."""
    listed = subprocess.run(
        ["git", "ls-files", "--stage", f"userdata/{folder}"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    entries = (line.split(maxsplit=3) for line in listed)
    return {path.removeprefix(f"userdata/{folder}").removesuffix(".j2"): int(mode, 8) for mode, *_, path in entries}


def test_a_gateway_has_the_files_of_its_tree_with_the_modes_that_git_has_but_for_the_secret() -> None:
    modes = {path: mode & 0o777 for path, mode in tree("gateway").items()}
    assert {file.path: file.mode for file in gateway_document().files} == {**modes, SECRETS: 0o600}


def test_the_proof_has_the_files_of_its_tree_and_copies_of_the_gateways_modules() -> None:
    proof = {file.path: file for file in proof_files()}
    assert {path: mode & 0o777 for path, mode in tree("proof").items()}.items() <= {
        path: file.mode for path, file in proof.items()
    }.items()
    gateway = installed_files(gateway_document())
    copies = proof.keys() - tree("proof").keys() - {READER.path.replace("vpn-configure", "vpn-verify")}
    assert copies
    assert all(proof[path].text == gateway[path.replace("vpn-verify", "vpn-gateway")] for path in copies)
    assert not any("watch" in path for path in copies)


def test_the_proof_reads_connections_with_the_module_of_vpn_configure() -> None:
    (copy,) = (file for file in proof_files() if file.path.endswith("/ipsec_conf.py"))
    assert copy == replace(READER, path="/usr/local/lib/vpn-verify/ipsec_conf.py")


def test_vpn_configure_has_the_files_of_its_tree_with_the_modes_that_git_has() -> None:
    modes = {path: mode & 0o777 for path, mode in tree("configure").items()}
    assert {file.path: file.mode for file in configure_files()} == modes
    assert modes["/usr/local/sbin/vpn-configure"] == 0o755


@pytest.mark.parametrize("secrets", [IN_SSM, INLINE])
def test_cloud_init_reads_every_file_to_the_byte(secrets: StoredSecrets | GivenSecrets) -> None:
    document = gateway_document(secrets=secrets)
    written = [
        (each["path"], each["permissions"], each["content"])
        for each in yaml.safe_load(document.user_data)["write_files"]
    ]
    assert written == [(file.path, f"{file.mode:04o}", file.text) for file in document.files]


def test_the_user_data_is_plain_gzip_of_a_text_to_be_read_from_top_to_bottom() -> None:
    document = gateway_document()
    unpacked = subprocess.run(
        ["sh", "-c", "base64 -d | gunzip"], input=encode(document.user_data).encode(), capture_output=True, check=True
    ).stdout.decode()
    assert unpacked == document.user_data
    assert unpacked.startswith("#cloud-config\n")
    places = [unpacked.index(f"\n- path: {path}") for path in READ]
    assert places == sorted(places)
    assert yaml.safe_load(unpacked)["runcmd"] == [["/usr/local/sbin/vpn-boot"]]


READ = (
    "/usr/local/sbin/vpn-sysctl",
    "/usr/local/sbin/vpn-filter",
    "/etc/vpn-gateway/filter.rules",
    "/etc/ipsec.d/vpn.conf",
    "/etc/systemd/system/vpn-filter.service",
    "/usr/local/sbin/vpn-boot",
)


def test_the_digest_of_the_program_is_of_every_file_and_template(monkeypatch: pytest.MonkeyPatch) -> None:
    before, read_text = program_digest(), Path.read_text

    def digest(changed: Path) -> str:
        with monkeypatch.context() as patch:
            patch.setattr(Path, "read_text", lambda path, **_: read_text(path) + "#" * (path == changed))
            return program_digest()

    files = [each for each in (ROOT / "userdata").rglob("*") if each.is_file() and "__pycache__" not in each.parts]
    alike = {each.relative_to(ROOT / "userdata").parts[0] for each in files if digest(each) == before}
    brought = {"configure", "key", "login", "metrics", "proof", "updates"}
    assert alike == brought, "what remote commands bring is not in the user data"


def test_hidden_files_and_caches_in_the_tree_are_not_part_of_a_gateway(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = gateway_document().files, proof_files(), configure_files(), program_digest()
    shutil.copytree(ROOT / "userdata", tmp_path / "userdata")
    for tree in ("gateway", "proof", "configure"):
        for stray in (".DS_Store", "etc/.vpn.conf.swp", "usr/local/lib/__pycache__/icmp.cpython-311.pyc"):
            path = tmp_path / "userdata" / tree / stray
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"\xff\x00")
    monkeypatch.setattr(user_data, "_TREE", tmp_path / "userdata")
    assert (gateway_document().files, proof_files(), configure_files(), program_digest()) == before


def test_a_new_version_of_a_secret_changes_the_user_data() -> None:
    document = gateway_document()
    rotated = replace(document, secrets=replace(IN_SSM, psk_parameter="/vpn/uk/psk:2"))
    assert rotated.user_data != document.user_data


def test_no_secret_is_in_user_data_whose_secrets_are_in_ssm() -> None:
    settings = json.loads(installed_files(gateway_document())[SECRETS])
    assert "psk" not in settings
    assert "host_key" not in settings
    assert settings["ssm"]["psk"] == "/vpn/uk/psk:1"


def test_inline_secrets_are_in_one_file_for_root_only() -> None:
    document = gateway_document(secrets=INLINE)
    holding = [file for file in document.files if PSK in file.text]
    assert [(file.path, file.mode) for file in holding] == [(SECRETS, 0o600)]
    assert json.loads(holding[0].text)["host_key"] == HOST_KEY
    assert document.user_data.count(PSK) == 1


def test_a_secret_belongs_to_both_identities() -> None:
    settings = json.loads(installed_files(gateway_document())[SECRETS])
    assert settings["connections"] == {"uk-to-au": "203.0.113.10 198.51.100.20"}


def test_vpn_verify_expects_what_the_connection_says() -> None:
    assert json.loads(installed_files(gateway_document())["/etc/vpn-gateway/gateway.json"]) == {
        "gateway": "uk-gateway",
        "local_id": "203.0.113.10",
        "address": "10.1.1.254",
        "local_cidr_blocks": "10.1.0.0/16",
        "mtu": 1400,
        "internet_host": "ssm.eu-west-2.amazonaws.com",
        "internet_port": 443,
        "peers": [
            {
                "connection": "uk-to-au",
                "public_ip": "198.51.100.20",
                "private_ip": "172.31.12.198",
                "cidr_blocks": "172.31.0.0/16",
                "ike_version": 2,
                "ike_algorithm": "AES_GCM_16_256-HMAC_SHA2_512",
                "esp_algorithm": "AES_GCM_16_256-NONE",
            }
        ],
    }


def test_every_peer_has_a_connection_a_secret_and_its_expectations() -> None:
    us = End(site="us", public_ip="192.0.2.30", private_ip="10.9.0.4", cidr_blocks=("10.9.0.0/16",))
    document = gateway_document()
    both = (*document.connections, connect(UK, us, TunnelProfile.MODERN, postquantum=True))
    files = installed_files(replace(document, connections=both))
    names = ["uk-to-au", "uk-to-us"]
    assert re.findall(r"^conn (.*)", files["/etc/ipsec.d/vpn.conf"], re.MULTILINE) == names
    assert list(json.loads(files[SECRETS])["connections"]) == names
    assert [peer["connection"] for peer in json.loads(files["/etc/vpn-gateway/gateway.json"])["peers"]] == names
    assert files["/etc/vpn-gateway/routes"] == "1400 172.31.0.0/16,10.9.0.0/16\n"


def test_an_undefined_template_variable_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        user_data._render("{{ missing }}", {})


def test_the_exemption_from_nat_is_by_network_and_before_masquerade() -> None:
    nat = rules(installed_files(gateway_document()), "nat")
    assert nat == [
        "-A VPN-POSTROUTING -d 172.31.0.0/16 -j ACCEPT",
        "-A VPN-POSTROUTING -d 10.1.0.0/16 -j ACCEPT",
        "-A VPN-POSTROUTING -s 10.1.0.0/16 -j MASQUERADE",
    ]


def test_every_remote_network_is_dropped_in_the_clear_in_all_four_ways() -> None:
    remotes = ("172.31.0.0/16", "172.30.0.0/24")
    document = with_networks(gateway_document(), local=("10.1.0.0/16", "10.9.0.0/24"), remote=remotes)
    found = rules(installed_files(document), "filter")
    for remote in remotes:
        assert f"-A VPN-FORWARD -d {remote} -m policy --dir out --pol none -j DROP" in found
        assert f"-A VPN-OUTPUT -d {remote} -m policy --dir out --pol none -j DROP" in found
        assert f"-A VPN-FORWARD -s {remote} -m policy --dir in --pol none -j DROP" in found
        assert f"-A VPN-INPUT -s {remote} -m policy --dir in --pol none -j DROP" in found
    assert sum("--pol none" in rule for rule in found) == 8


def test_each_range_more_is_the_same_number_of_rules_more() -> None:
    def count(here: int, there: int) -> int:
        local = tuple(f"10.1.{number}.0/24" for number in range(here))
        remote = tuple(f"10.2.{number}.0/24" for number in range(there))
        text = installed_files(with_networks(gateway_document(), local=local, remote=remote))
        return one_rule_for_each_address(text["/etc/vpn-gateway/filter.rules"]).count("\n-A ")

    base, here, there = count(1, 1), count(2, 1) - count(1, 1), count(1, 2) - count(1, 1)
    assert count(20, 20) == base + 19 * (here + there)


def test_the_filter_ends_with_what_tells_that_it_is_whole() -> None:
    assert installed_files(gateway_document())["/etc/vpn-gateway/filter.rules"].endswith("\nCOMMIT\n# end\n")


def test_no_network_of_either_side_is_masqueraded_towards_another() -> None:
    local, remote = ("10.1.0.0/16", "10.9.0.0/24"), ("172.31.0.0/16",)
    nat = rules(installed_files(with_networks(gateway_document(), local=local, remote=remote)), "nat")
    for source in local:
        masquerade = nat.index(f"-A VPN-POSTROUTING -s {source} -j MASQUERADE")
        for target in local + remote:
            assert nat.index(f"-A VPN-POSTROUTING -d {target} -j ACCEPT") < masquerade


def test_neither_the_tunnel_nor_what_it_and_its_administrators_need_is_tracked() -> None:
    remotes = ("172.31.0.0/16", "172.30.0.0/24")
    document = with_networks(gateway_document(), local=("10.1.0.0/16",), remote=remotes)
    assert rules(installed_files(document), "raw") == [
        *(
            f"-A VPN-{chain} -{way} {remote} -j CT --notrack"
            for chain, way in (("PREROUTING", "s"), ("PREROUTING", "d"), ("OUTPUT", "d"))
            for remote in remotes
        ),
        "-A VPN-PREROUTING -s 198.51.100.20/32 -p udp -m multiport --ports 500,4500 -j CT --notrack",
        "-A VPN-OUTPUT -d 198.51.100.20/32 -p udp -m multiport --ports 500,4500 -j CT --notrack",
        "-A VPN-PREROUTING -d 10.1.1.254/32 -p tcp -m tcp --dport 22 -j CT --notrack",
        "-A VPN-OUTPUT -s 10.1.1.254/32 -p tcp -m tcp --sport 22 -j CT --notrack",
    ]


def test_the_segment_size_is_clamped_both_ways() -> None:
    mangle = rules(installed_files(gateway_document()), "mangle")
    assert [line.split()[2:4] for line in mangle] == [["-s", "172.31.0.0/16"], ["-d", "172.31.0.0/16"]]
    assert all(line.endswith("--tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1360") for line in mangle)


def test_each_sides_right_is_the_others_left() -> None:
    here, there = (
        dict(
            line.strip().split("=", 1)
            for line in installed_files(document)["/etc/ipsec.d/vpn.conf"].split("conn ")[1].splitlines()[1:]
        )
        for document in (gateway_document(UK, AU), gateway_document(AU, UK))
    )
    for keyword in ("id", "subnet"):
        assert here[f"left{keyword}"] == there[f"right{keyword}"]
        assert here[f"right{keyword}"] == there[f"left{keyword}"]
    assert {k: v for k, v in here.items() if not k.startswith(("left", "right"))} == {
        k: v for k, v in there.items() if not k.startswith(("left", "right"))
    }


def test_nothing_switches_forwarding_on_but_the_packet_filters_unit_when_the_rules_are_loaded() -> None:
    files = installed_files(gateway_document())
    naming = {path: line for path, text in files.items() for line in text.splitlines() if "ip_forward=1" in line}
    unit = "/etc/systemd/system/vpn-filter.service"
    assert naming == {unit: "ExecStartPost=/usr/sbin/sysctl -qw net.ipv4.ip_forward=1"}
    assert "ExecStart=/usr/local/sbin/vpn-filter\n" in files[unit]
    assert "ExecStopPost=/usr/sbin/sysctl -qw net.ipv4.ip_forward=0\n" in files[unit]


def test_the_rules_come_before_forwarding_and_the_secrets_before_ipsec() -> None:
    boot = installed_files(gateway_document())["/usr/local/sbin/vpn-boot"]
    steps = re.findall(r"^(\[.*\] \|\| )?(?:unit|begin) ([a-z].*)", boot, re.MULTILINE)
    assert steps == [
        ("", "units"),
        ('[ -z "$early" ] || ', "vpn-secrets"),
        ("", "packages"),
        ('[ -n "$early" ] || ', "vpn-secrets"),
        ("", "vpn-filter"),
        ("", "vpn-sysctl"),
        ("", "ipsec"),
        ("", "ipsec"),
        ("", "vpn-watch"),
    ]


def test_the_kernels_other_keys_come_after_forwarding_which_resets_some() -> None:
    unit = installed_files(gateway_document())["/etc/systemd/system/vpn-sysctl.service"]
    assert re.search(r"^After=.*vpn-filter.service", unit, re.MULTILINE)
