"""User data, rendered, parsed and asserted on parsed values.

Proves what the document says. Does not prove that tools accept it (test_userdata_tools) or that a machine boots it
(tests/lab).
"""

import ast
import base64
import bz2
import gzip
import hashlib
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from components.decisions.tunnel import TunnelProfile
from tests.unit.gateway_documents import (
    AU,
    HOST_KEY,
    IN_SSM,
    PSK,
    UK,
    gateway_document,
    installed_files,
    parsed,
    with_networks,
)
from userdata import SecretsInline, render_user_data
from userdata.encode import encode_user_data, gzipped
from userdata.programs import PROGRAMS, installed_programs, packed_programs
from userdata.render import USER_DATA_LIMIT, _template
from userdata.slim import slim_python, slim_shell

INLINE = SecretsInline(psk=PSK, host_key=HOST_KEY)
GATEWAY_FOLDER = Path(__file__).parents[2] / "userdata" / "gateway"


def rules(document_files: dict[str, str], table: str) -> list[str]:
    text = document_files["/etc/vpn-gateway/filter.rules"]
    return [line for line in text.split(f"*{table}\n")[1].split("COMMIT")[0].splitlines() if line.startswith("-A")]


@pytest.mark.parametrize("profile", list(TunnelProfile))
@pytest.mark.parametrize("secrets", [None, INLINE])
def test_the_document_leaves_an_eighth_of_the_room_and_is_ascii(
    profile: TunnelProfile, secrets: SecretsInline | None
) -> None:
    document = gateway_document(profile=profile)
    text = render_user_data(replace(document, secrets=secrets) if secrets else document)
    assert text.isascii()
    assert text.startswith("#cloud-config\n")
    # A key is random: no gzip makes it smaller.
    assert len(gzipped(text)) <= USER_DATA_LIMIT * 7 / 8 + (len(HOST_KEY) if secrets else 0)


def test_the_same_document_is_the_same_bytes_in_another_process() -> None:
    program = (
        "from tests.unit.gateway_documents import *;import hashlib;"
        "print(hashlib.sha256(render_user_data(gateway_document()).encode()).hexdigest())"
    )
    other = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=GATEWAY_FOLDER.parents[1]
    ).stdout.strip()
    assert other == hashlib.sha256(render_user_data(gateway_document()).encode()).hexdigest()


def test_bzip2_writes_the_bytes_that_it_always_wrote() -> None:
    text = "".join(f"line {number} of {number * number}\n" for number in range(2000)).encode()
    assert hashlib.sha256(bz2.compress(text)).hexdigest() == BZIP2_OF_2000_LINES


BZIP2_OF_2000_LINES = "e1eac2f9f0ffcaafaf9e790fa7fcc16f01aa1ac4d46702771d659cf8f660901d"


def test_what_ec2_takes_is_gzip_of_the_document_in_the_bytes_that_it_always_had() -> None:
    text = "".join(f"line {number} of {number * number}\n" for number in range(2000))
    assert gzip.decompress(base64.b64decode(encode_user_data(text))).decode() == text
    assert hashlib.sha256(gzipped(text)).hexdigest() == GZIP_OF_2000_LINES


GZIP_OF_2000_LINES = "6eff047189aa605836719b74817d8d638513e52fa4762ca768e45632a72e762c"


def test_a_changed_secret_revision_changes_the_document() -> None:
    document = gateway_document()
    rotated = replace(document, secrets=replace(IN_SSM, revision="fedcba9876543210"))
    assert render_user_data(rotated) != render_user_data(document)


def test_no_secret_is_in_a_document_whose_secrets_are_in_ssm() -> None:
    settings = json.loads(installed_files(gateway_document())["/etc/vpn-secrets.json"])
    assert "psk" not in settings
    assert "host_key" not in settings
    assert settings["ssm"]["psk"] == "/vpn/uk/psk"


def test_inline_secrets_are_in_one_file_for_root_only() -> None:
    document = gateway_document(secrets=INLINE)
    holding = [file for file in parsed(document)["write_files"] if PSK in file["content"]]
    assert [(file["path"], file["permissions"]) for file in holding] == [("/etc/vpn-secrets.json", "0600")]
    assert json.loads(holding[0]["content"])["host_key"] == HOST_KEY
    assert render_user_data(document).count(PSK) == 1


def test_a_secret_belongs_to_both_identities() -> None:
    settings = json.loads(installed_files(gateway_document())["/etc/vpn-secrets.json"])
    assert settings["connections"] == {"uk-to-au": "203.0.113.10 198.51.100.20"}


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
        return text["/etc/vpn-gateway/filter.rules"].count("\n-A ")

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
            for remote in remotes
            for chain, way in (("PREROUTING", "s"), ("PREROUTING", "d"), ("OUTPUT", "d"))
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


def test_the_boot_ends_with_its_steps_so_that_their_failure_is_the_boots() -> None:
    unpack, boot = parsed(gateway_document())["runcmd"]
    assert boot == ["/usr/local/sbin/vpn-boot"]
    assert unpack[:2] == ["python3", "-c"]


def test_the_rules_come_before_forwarding_and_the_secrets_before_ipsec() -> None:
    boot = installed_programs()["/usr/local/sbin/vpn-boot"]
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


def test_nothing_switches_forwarding_on_but_the_packet_filters_unit_when_the_rules_are_loaded() -> None:
    files = installed_files(gateway_document())
    naming = {path: line for path, text in files.items() for line in text.splitlines() if "ip_forward=1" in line}
    unit = "/etc/systemd/system/vpn-filter.service"
    assert naming == {unit: "ExecStartPost=/usr/sbin/sysctl -qw net.ipv4.ip_forward=1"}
    assert "ExecStart=/usr/local/sbin/vpn-filter\n" in files[unit]
    assert "ExecStopPost=/usr/sbin/sysctl -qw net.ipv4.ip_forward=0\n" in files[unit]


def test_the_kernels_other_keys_come_after_forwarding_which_resets_some() -> None:
    unit = installed_programs()["/etc/systemd/system/vpn-sysctl.service"]
    assert re.search(r"^After=.*vpn-filter.service", unit, re.MULTILINE)


def test_unpacking_writes_every_program_with_its_mode(tmp_path: Path) -> None:
    python, flag, program, packed = parsed(gateway_document())["runcmd"][0]
    assert (python, flag) == ("python3", "-c")
    moved = program.replace("map(Path, parts)", f"(Path({str(tmp_path)!r} + path) for path in parts)")
    assert moved != program, "would write to this machine's own /etc"
    subprocess.run([sys.executable, flag, moved, packed], check=True)
    expected = {path: text for path, text in installed_files(gateway_document()).items() if "secrets.json" not in path}
    assert expected.items() >= installed_programs().items()
    assert {path: (tmp_path / path[1:]).read_text() for path in expected} == expected
    modes = {path: (tmp_path / path[1:]).stat().st_mode & 0o777 for path in expected}
    assert modes == {path: 0o755 if "bin/" in path else 0o644 for path in expected}


def test_too_many_networks_are_refused_with_the_sizes() -> None:
    many = tuple(f"10.{number // 250}.{number * 7 % 250}.0/24" for number in range(3000))
    with pytest.raises(ValueError, match=r"user data of uk-gateway is \d+ bytes of gzip, EC2 takes 16384"):
        render_user_data(with_networks(gateway_document(), local=("172.16.0.0/16",), remote=many))


def test_a_peer_of_no_connection_is_refused_by_name() -> None:
    document = gateway_document()
    with pytest.raises(ValueError, match=r"peer 198.51.100.20 names connection 'au'; there is \['uk-to-au'\]"):
        render_user_data(replace(document, peers=(replace(document.peers[0], connection="au"),)))


def test_an_undefined_template_variable_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        _template("filter.rules.j2", site_cidr_blocks=("10.1.0.0/16",), remote_cidr_blocks=("10.2.0.0/16",))


@pytest.mark.parametrize("path", sorted(GATEWAY_FOLDER.glob("*.py")), ids=lambda path: path.name)
def test_a_slim_program_is_the_same_program_without_docstrings_and_annotations(path: Path) -> None:
    source = path.read_text()
    slim = slim_python(source)

    class ForTheMachine(ast.NodeTransformer):
        def generic_visit(self, node: ast.AST) -> ast.AST:
            super().generic_visit(node)
            if isinstance(node, ast.arg):
                node.annotation = None
            if isinstance(node, ast.FunctionDef):
                node.returns = None
            if isinstance(node, ast.AnnAssign) and node.value:
                return ast.Assign([node.target], node.value)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                node.body = [s for s in node.body if not self.is_for_readers(s)] or [ast.Pass()]
            return node

        def is_for_readers(self, node: ast.stmt) -> bool:
            match node:
                case ast.Expr(value=ast.Constant()) | ast.ImportFrom(module="typing"):
                    return True
            return False

    assert ast.dump(ast.parse(slim)) == ast.dump(ForTheMachine().visit(ast.parse(source)))
    assert '"""' not in slim
    assert "Any" not in slim
    assert slim.splitlines()[0] == next(line for line in source.splitlines() if line[:1] in ("#", "i"))
    assert len(slim) < len(source)


def test_annotations_go_and_what_looks_like_them_stays() -> None:
    source = "def f(a: dict[str, int], *b: int, c: str = ' -> x: int', **d: Any) -> list[str]:\n    return a\n"
    assert slim_python(source) == "def f(a, *b, c = ' -> x: int', **d):\n    return a\n"
    source = "e: int = 1\nself.f: dict[str, int] | None = None\n"
    assert slim_python(source) == "e = 1\nself.f = None\n"
    same = "a[1:b] = 2\nif a: b = 3\nelse: b = 4\nf(lambda x: y, z=1)\ng = {1: 2}\n"
    assert slim_python(same) == same


def test_a_slim_script_keeps_its_first_line_and_loses_its_comments() -> None:
    assert slim_shell("#!/bin/sh\n# why\nset -eu\n\n  # what\necho '#'\n") == "#!/bin/sh\nset -eu\necho '#'\n"
    assert slim_shell("# why\n[Unit]\n") == "[Unit]\n"
    assert slim_shell("\n[Unit]\n") == "[Unit]\n"


def test_every_file_for_the_gateway_is_shipped() -> None:
    assert sorted(PROGRAMS.values()) == sorted(
        p.name for p in GATEWAY_FOLDER.iterdir() if p.name not in ("__pycache__", "__init__.py")
    )
    assert packed_programs().isascii()
