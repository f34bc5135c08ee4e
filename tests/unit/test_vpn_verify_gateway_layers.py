"""vpn-verify's layers of the gateway itself: what each says about what it is called with."""

import json
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from tests.unit.gateway_documents import gateway_document, installed_files
from tests.unit.test_vpn_verify_parsers import ROUTES
from vpn_verify import gateway_layers, packet_filter
from vpn_verify.layer import FinalError, LayerError

DATE = "Mon, 23 Nov 2026 22:38:44 GMT"
NOW = 1795473524
WELL = '{"v1": {"datasource": "DataSourceEc2Local", "errors": []}}'
OURS = "('{}', RuntimeError('Runparts: 1 failures (runcmd) in 1 attempted commands'))"


def cloud_init(*errors: str) -> str:
    return json.dumps({"v1": {"errors": errors}})


def boot(state: str = "done", *, result: str = WELL, runs: bool = False) -> str:
    return gateway_layers.boot(lambda: state, "\nE: no mirror", result, lambda: runs)


@pytest.mark.parametrize("module", ["scripts_user", "scripts-user"], ids=["underscore", "hyphen"])
def test_a_boot_is_good_after_all_steps_also_when_they_were_run_again_by_hand(module: str) -> None:
    assert boot() == "all steps done"
    assert boot(result=cloud_init(OURS.format(module))) == "all steps done"


@pytest.mark.parametrize(
    ("state", "result", "evidence"),
    [
        ("failed packages", WELL, "step packages failed: ['E: no mirror']"),
        ("running packages", WELL, "step packages was interrupted"),
        ("done", cloud_init("write_files"), "cloud-init: ['write_files']"),
        ("done", cloud_init(OURS.format("scripts_user"), "write_files"), "cloud-init: ['write_files']"),
    ],
)
def test_waiting_does_not_mend_a_boot_that_has_failed(state: str, result: str, evidence: str) -> None:
    with pytest.raises(FinalError) as error:
        boot(state, result=result)
    assert error.value.args == (evidence,)


@pytest.mark.parametrize(
    ("state", "result", "runs", "evidence"),
    [
        ("", "", False, "cloud-init is running"),
        ("running packages", "", False, "running packages"),
        ("running packages", cloud_init(OURS.format("scripts-user")), True, "running packages"),
    ],
    ids=["no step yet", "first time", "again by hand"],
)
def test_steps_that_are_running_are_waited_for(state: str, result: str, runs: bool, evidence: str) -> None:
    with pytest.raises(LayerError) as error:
        boot(state, result=result, runs=runs)
    assert (error.value.args, isinstance(error.value, FinalError)) == ((evidence,), False)


@pytest.mark.parametrize(
    ("state", "later", "ran", "evidence"),
    [
        ("running ipsec", "done", True, "vpn-boot is running"),
        ("failed packages", "running units", True, "running units"),
        ("failed packages", "running units", False, "running units"),
    ],
    ids=["it ends", "it has begun", "it begins"],
)
def test_a_boot_that_begins_or_ends_between_two_looks_is_waited_for(
    state: str, later: str, ran: bool, evidence: str
) -> None:
    """`state` and `ran` are what the first looks see, `later` what there is after them."""
    looks = iter([ran, True])

    def runs() -> bool:
        nonlocal state
        seen, state = next(looks), later
        return seen

    with pytest.raises(LayerError) as error:
        gateway_layers.boot(lambda: state, "", cloud_init(OURS.format("scripts-user")), runs)
    assert (error.value.args, isinstance(error.value, FinalError)) == ((evidence,), False)


@pytest.mark.parametrize(
    ("offset", "evidence"),
    [
        (5 * 365 * 86400, f"157680000 s ahead of the metadata service's {DATE}"),
        (-360, f"360 s behind the metadata service's {DATE}"),
    ],
)
def test_a_clock_that_is_minutes_off_is_wrong(offset: float, evidence: str) -> None:
    assert gateway_layers.clock(DATE, NOW - 7) == "within 7 s of the metadata service's"
    assert gateway_layers.clock("", NOW).startswith("not compared")
    with pytest.raises(LayerError) as error:
        gateway_layers.clock(DATE, NOW + offset)
    assert error.value.args == (evidence,)


@pytest.mark.parametrize(
    ("key", "value", "evidence"),
    [
        ("ip_forward", "0", "net/ipv4/ip_forward is 0, not 1"),
        ("conf/ens5/send_redirects", "1", "net/ipv4/conf/ens5/send_redirects is 1, not 0"),
    ],
)
def test_the_articles_keys_hold_on_the_interface_of_the_default_route(key: str, value: str, evidence: str) -> None:
    keys = dict.fromkeys(
        [f"conf/{s}/{k}_redirects" for s in ("all", "default", "lo", "ens5") for k in ("accept", "secure", "send")], "0"
    ) | {"ip_forward": "1"}
    assert gateway_layers.sysctl(ROUTES, keys.__getitem__) == "13 keys, ens5"
    with pytest.raises(LayerError) as error:
        gateway_layers.sysctl(ROUTES, (keys | {key: value}).__getitem__)
    assert error.value.args == (evidence,)
    with pytest.raises(LayerError, match="no default route"):
        gateway_layers.sysctl("", keys.__getitem__)


TRACKED = """\
ipv4     2 tcp      6 7439 ESTABLISHED src=10.1.10.41 dst=192.0.2.80 sport=1024 dport=80 src=192.0.2.80 dst=10.1.1.254
ipv4     2 udp      17 119 src=10.1.10.7 dst=192.0.2.53 sport=5353 dport=53 [UNREPLIED] src=192.0.2.53 dst=10.1.1.254
ipv4     2 tcp      6 7439 ESTABLISHED src=10.1.10.41 dst=192.0.2.80 sport=1025 dport=80 src=192.0.2.80 dst=10.1.1.254
"""


@pytest.mark.parametrize(
    ("count", "tracked", "evidence"),
    [
        (60160, TRACKED, "the table is full: 60160 of 60160 connections, 2 of them from 10.1.10.41"),
        (57152, "", "the table is full: 57152 of 60160 connections"),
    ],
    ids=["full", "nearly full"],
)
def test_a_full_table_of_connections_is_named_with_who_has_most_of_them(
    count: int, tracked: str, evidence: str
) -> None:
    assert gateway_layers.conntrack(12, 60160, pytest.fail) == "12 of 60160 connections"
    with pytest.raises(LayerError) as error:
        gateway_layers.conntrack(count, 60160, lambda: tracked)
    assert error.value.args == (evidence,)


def test_a_daemon_that_does_not_answer_is_named_with_the_state_of_its_unit() -> None:
    assert gateway_layers.daemon("000 pluto_version=4.10, pluto_vendorid=x", pytest.fail) == "Libreswan 4.10"
    with pytest.raises(LayerError, match=r"^ipsec.service is inactive, pluto does not answer$"):
        gateway_layers.daemon("", lambda: "inactive")


def test_the_internet_is_reached_or_the_reason_is_named() -> None:
    opened, refused = Future[None](), Future[None]()
    opened.set_result(None)
    refused.set_exception(OSError("timed out"))
    assert gateway_layers.internet("ssm:443", opened) == "TCP to ssm:443"
    with pytest.raises(LayerError, match=r"^no TCP to ssm:443: timed out$"):
        gateway_layers.internet("ssm:443", refused)


RULES = installed_files(gateway_document())[packet_filter.RULES].strip()
EXEMPTION = "-A VPN-POSTROUTING -d 172.31.0.0/16 -j ACCEPT\n"
MASQUERADE = "-A VPN-POSTROUTING -s 10.1.0.0/16 -j MASQUERADE\n"


def loaded() -> str:
    """Return iptables-save's view of the rules file, with the jumps that vpn-filter makes."""
    lines = []
    for line in RULES.splitlines():
        lines.append(line)
        if line.startswith(":VPN-"):
            chain = line[5:].split()[0]
            lines += [f":{chain} ACCEPT [0:0]", f"-A {chain} -j VPN-{chain}"]
    return "\n".join(lines)


def exempt_last() -> str:
    """Return the rules with the exemption behind the rule that it exempts from."""
    head, _, rest = loaded().replace(EXEMPTION, "").replace(MASQUERADE, "").partition("*nat\n")
    own, _, tail = rest.partition("COMMIT")
    return f"{head}*nat\n{own}{MASQUERADE}{EXEMPTION}COMMIT{tail}"


FILTER = ("filter", "mangle", "raw")
BROKEN = {
    "exemption missing": (loaded().replace(EXEMPTION, ""), "nat POSTROUTING: no '-d 172.31.0.0/16 -j ACCEPT'"),
    "exemption after masquerade": (
        exempt_last(),
        "nat POSTROUTING: '-d 172.31.0.0/16 -j ACCEPT' comes after '-s 10.1.0.0/16 -j MASQUERADE'",
    ),
    "leak drop missing": (
        loaded().replace("-A VPN-OUTPUT -d 172.31.0.0/16 -m policy --dir out --pol none -j DROP\n", ""),
        "filter OUTPUT: no '-d 172.31.0.0/16 -m policy --dir out --pol none -j DROP'",
    ),
    "segments not clamped": (
        loaded().replace("-A FORWARD -j VPN-FORWARD\n", ""),
        "filter FORWARD: no '-j VPN-FORWARD'",
    ),
    "tunnel tracked": (
        loaded().replace("-A VPN-PREROUTING -s 172.31.0.0/16 -j CT --notrack\n", ""),
        "raw PREROUTING: no '-s 172.31.0.0/16 -j CT --notrack'",
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_rule_that_is_not_as_in_the_file_is_named_by_the_layer_of_its_table(name: str) -> None:
    rules, evidence = BROKEN[name]
    broken, whole = (FILTER, ("nat",)) if not evidence.startswith("nat") else (("nat",), FILTER)
    assert packet_filter.tables(RULES, rules, whole).endswith(" rules")
    with pytest.raises(LayerError) as error:
        packet_filter.tables(RULES, rules, broken)
    assert error.value.args == (evidence,)


@pytest.mark.parametrize("damage", [lambda _: "", lambda text: text.split("*nat")[0], lambda text: text[:-6]])
def test_rules_that_are_not_whole_are_no_expectation_and_no_waiting_mends_them(damage: Callable[[str], str]) -> None:
    with pytest.raises(FinalError, match=r"filter.rules is not whole: nothing is forwarded"):
        packet_filter.tables(damage(RULES), loaded(), FILTER)
