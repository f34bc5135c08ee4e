"""Runs of `vpn-configure --prepare`, and of `--revision` after it: what is done before the peer is prepared too."""

import json
from pathlib import Path

import pytest

from components.decisions.tunnel import PROFILES, TunnelProfile
from tests.unit.configured_gateway import AT, FILES, OTHER, ROUTES, RULES, SECRET, TWO, Gateway, booted, listed
from tests.unit.gateway_documents import PSK, gateway_document, installed_files
from vpn_configure import boot
from vpn_configure.ciphers import ALGORITHMS
from vpn_configure.commit import STAGE
from vpn_configure.errors import ConfigureError
from vpn_configure.files import DESIRED, NEXT, UNFINISHED, File
from vpn_configure.machine import Done
from vpn_configure.prepare import PREPARED

OLD_KEY = File(0o600, f'203.0.113.10 198.51.100.20 : PSK "{PSK}"\n')
ROTATED = FILES[AT["secrets"]].text.replace("psk:1", "psk:2")


@pytest.fixture
def gateway(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gateway:
    made = booted(tmp_path, monkeypatch)
    made.configure(listed("r1"))
    made.react["vpn-secrets"] = made.bring_key
    return made


def test_what_is_prepared_is_checked_and_has_its_keys_and_the_gateway_runs_on_as_it_is(gateway: Gateway) -> None:
    said = gateway.prepare(listed("r2", secrets=ROTATED, rules=RULES, conf=TWO))
    assert sorted(said[:-1]) == sorted(f"{AT[name]}: changed" for name in ("rules", "secrets", "conf"))
    assert said[-1] == "revision r2 can come"
    assert [each.split()[0] for each in gateway.asked].count("iptables-restore") == 1
    assert gateway.did() == ["vpn-secrets"]
    assert gateway.text("rules") == FILES[AT["rules"]].text
    assert (gateway.machine.file(SECRET), gateway.pluto) == (OLD_KEY, {"uk-to-au": True})
    assert gateway.deployed == "r1"
    assert not gateway.machine.place(UNFINISHED).exists()


def test_what_was_prepared_is_then_put_in_place_without_asking_the_tools_again(gateway: Gateway) -> None:
    gateway.prepare(listed("r2", secrets=ROTATED, routes=ROUTES, conf=TWO))
    assert gateway.apply("r2")[-1] == "revision r2"
    asked = [each for each in gateway.asked if not each.startswith(("whack --status", "systemctl enable"))]
    assert asked == [
        "systemctl restart vpn-sysctl",
        "whack --rereadsecrets",
        f"addconn --config {AT['conf']} {OTHER}",
        f"whack --route --name {OTHER}",
    ]
    assert (gateway.machine.file(SECRET), gateway.text("routes")) == (File(0o600, "rotated"), ROUTES)
    assert gateway.deployed == "r2"
    assert not gateway.machine.place(STAGE).exists()
    assert not gateway.machine.place(PREPARED).exists()


def test_the_ciphers_of_another_profile_are_loaded_before_its_first_sa(gateway: Gateway) -> None:
    other = gateway_document(profile=TunnelProfile.ARTICLE_2014)
    gateway.prepare(listed("r2", conf=installed_files(other)[AT["conf"]]))
    added, deleted = (each for each in gateway.did() if each.startswith("ip xfrm"))
    sa = "src 127.0.0.1 dst 127.0.0.1 proto esp spi 0xfffffffe"
    assert added.startswith(f"ip xfrm state add {sa} auth-trunc hmac(sha1)")
    assert deleted == f"ip xfrm state delete {sa}"
    gateway.apply("r2")
    gateway.prepare(listed("r3"))
    assert "rfc4106(gcm(aes))" in next(each for each in gateway.did() if each.startswith("ip xfrm state add"))


def test_the_ciphers_that_are_in_use_are_not_loaded_again(gateway: Gateway) -> None:
    gateway.prepare(listed("r2", conf=TWO))
    assert not [each for each in gateway.asked if each.startswith("ip xfrm")]


@pytest.mark.parametrize("profile", list(TunnelProfile))
def test_the_ciphers_of_each_profile_are_known(profile: TunnelProfile) -> None:
    esp = PROFILES[profile].keywords["esp"]
    assert [cipher for cipher in ALGORITHMS if esp.startswith(cipher)]


def test_after_a_boot_what_was_prepared_is_checked_again(gateway: Gateway) -> None:
    gateway.prepare(listed("r2", secrets=ROTATED, rules=RULES))
    # It is in a folder that a boot empties.
    gateway.machine.place(PREPARED).unlink()
    gateway.apply("r2")
    assert [each.split()[0] for each in gateway.asked].count("iptables-restore") == 1
    assert "vpn-secrets" in gateway.asked
    assert gateway.text("rules") == RULES


def test_what_somebody_changes_after_it_was_prepared_is_prepared_again(gateway: Gateway) -> None:
    gateway.prepare(listed("r2", routes=ROUTES))
    gateway.machine.write(AT["rules"], File(0o644, "by hand\n"))
    assert f"{AT['rules']}: changed" in gateway.apply("r2")
    assert gateway.text("rules") == FILES[AT["rules"]].text


@pytest.mark.parametrize("failing", ["iptables-restore", "vpn-secrets"])
def test_what_cannot_be_prepared_leaves_nothing_behind(gateway: Gateway, failing: str) -> None:
    gateway.refused[failing] = Done(1, "no reason at all")
    with pytest.raises(ConfigureError, match=r"nothing has changed(.|\n)*no reason at all"):
        gateway.prepare(listed("r2", secrets=ROTATED, rules=RULES))
    assert not gateway.machine.place(STAGE).exists()
    assert not gateway.machine.place(PREPARED).exists()
    assert (gateway.machine.file(SECRET), gateway.text("rules")) == (OLD_KEY, FILES[AT["rules"]].text)


def test_without_a_revision_what_is_only_prepared_is_not_put_in_place(gateway: Gateway) -> None:
    gateway.prepare(listed("r2", routes=ROUTES))
    assert gateway.configure(gateway.machine.read(DESIRED)) == ["revision r1"]
    assert gateway.text("routes") == FILES[AT["routes"]].text


def test_a_revision_that_was_not_prepared_is_refused(gateway: Gateway) -> None:
    gateway.prepare(listed("r2", routes=ROUTES))
    with pytest.raises(ConfigureError, match=r"^revision r3 was not prepared on this gateway: pulumi up --replace "):
        gateway.apply("r3")
    assert not gateway.machine.place(UNFINISHED).exists()
    assert gateway.text("routes") == FILES[AT["routes"]].text


def test_a_revision_can_be_put_in_place_again(gateway: Gateway) -> None:
    gateway.prepare(listed("r2", routes=ROUTES))
    gateway.apply("r2")
    gateway.machine.write(NEXT, File(0o600, "{"))
    assert gateway.apply("r2") == ["revision r2"]


def test_the_way_back_from_a_change_that_was_cut_off_is_taken_when_it_is_prepared(gateway: Gateway) -> None:
    gateway.prepare(listed("r2", secrets=ROTATED, routes=ROUTES))
    with gateway.killed_at("systemctl restart vpn-sysctl"):
        gateway.apply("r2")
    assert gateway.machine.read(SECRET) == "rotated"
    gateway.react["vpn-secrets"] = lambda: gateway.bring_key(OLD_KEY.text)
    assert gateway.prepare(listed("r1"))[-1] == "revision r1"
    assert (gateway.machine.file(SECRET), gateway.text("routes")) == (OLD_KEY, FILES[AT["routes"]].text)
    assert json.loads(gateway.machine.read(DESIRED))["revision"] == "r1"


def test_a_change_that_goes_on_after_it_was_killed_can_still_be_taken_back_with_its_keys(gateway: Gateway) -> None:
    gateway.prepare(listed("r2", secrets=ROTATED, routes=ROUTES))
    with gateway.killed_at("systemctl restart vpn-sysctl"):
        gateway.apply("r2")
    gateway.react.clear()
    gateway.failing["systemctl restart vpn-sysctl"] = Done(1, "no")
    with pytest.raises(ConfigureError, match="The change was taken back"):
        gateway.apply("r2")
    assert (gateway.machine.file(SECRET), gateway.text("routes")) == (OLD_KEY, FILES[AT["routes"]].text)


@pytest.mark.parametrize("state", ["running packages", "failed packages"])
def test_a_gateway_that_has_not_booted_well_has_nothing_to_prepare_if_its_user_data_says_the_same(
    gateway: Gateway, state: str
) -> None:
    gateway.machine.write(boot.STATE, File(0o644, f"{state}\n"))
    assert gateway.prepare(listed("r2")) == ["revision r2 can come"]
    assert gateway.did() == []


def test_another_list_waits_for_the_end_of_the_first_boot(gateway: Gateway) -> None:
    gateway.machine.write(boot.STATE, File(0o644, "running packages\n"))
    with pytest.raises(ConfigureError, match="the first boot has not ended after 0 s: packages"):
        gateway.prepare(listed("r2", routes=ROUTES))
