"""Which connections are deleted, added and routed, and which stay as they are."""

from collections.abc import Mapping

import pytest

from ipsec_conf import IpsecConf
from vpn_configure.reconcile import Orders, orders

OWNER, OTHER, THIRD = "uk-to-au", "uk-to-au/10.1.0.0/16=10.20.0.0/16", "uk-to-au/10.1.0.0/16=10.21.0.0/16"


def conf(*names: str, **changed: str) -> IpsecConf:
    return IpsecConf({}, {name: {"auto": "ondemand", "right": "198.51.100.20", **changed} for name in names})


def loaded(*names: str) -> dict[str, bool]:
    return dict.fromkeys(names, True)


@pytest.mark.parametrize(
    ("old", "new", "seen", "wanted"),
    [
        (conf(OWNER), conf(OWNER), loaded(OWNER), Orders([], [], [], [], [])),
        (conf(OWNER), conf(OWNER, OTHER), loaded(OWNER), Orders([], [OTHER], [OTHER], [], [])),
        (conf(OWNER, OTHER), conf(OWNER), loaded(OWNER, OTHER), Orders([OTHER], [], [], [], [])),
        (conf(OWNER, OTHER), conf(OTHER, OWNER), loaded(OWNER, OTHER), Orders([], [], [], [], [])),
        (conf(OWNER), conf(OWNER, esp="x"), loaded(OWNER), Orders([OWNER], [OWNER], [OWNER], [OWNER], [])),
    ],
    ids=["nothing", "added", "removed", "another order", "changed"],
)
def test_only_what_differs_is_deleted_and_added(
    old: IpsecConf, new: IpsecConf, seen: Mapping[str, bool], wanted: Orders
) -> None:
    assert orders(old, new, seen) == wanted


def test_the_owner_of_the_ike_sa_stays_when_only_others_change() -> None:
    new = IpsecConf({}, {**conf(OWNER).connections, **conf(OTHER, connalias="uk-to-au/others").connections})
    assert orders(conf(OWNER, OTHER, THIRD), new, loaded(OWNER, OTHER, THIRD)) == Orders(
        [OTHER, THIRD], [OTHER], [OTHER], [], []
    )


def test_what_owns_the_ike_sa_is_deleted_last_and_started_again() -> None:
    old, new = conf(OWNER, OTHER, THIRD), conf(OWNER, leftsubnet="10.1.0.0/17")
    wanted = orders(old, new, loaded(OWNER, OTHER, THIRD))
    assert wanted == Orders([OTHER, THIRD, OWNER], [OWNER], [OWNER], [OWNER], [])


def test_only_the_side_with_the_smaller_address_starts_a_connection_again() -> None:
    old = conf(OWNER, leftid="198.51.100.20", right="203.0.113.10")
    new = conf(OWNER, leftid="198.51.100.20", right="203.0.113.10", ppk="insist")
    assert orders(old, new, loaded(OWNER))[2:] == ([OWNER], [OWNER], [])
    old = conf(OWNER, leftid="203.0.113.10")
    new = conf(OWNER, leftid="203.0.113.10", ppk="insist")
    assert orders(old, new, loaded(OWNER))[2:] == ([OWNER], [], [OWNER])


def test_the_connection_that_proves_the_key_is_never_started() -> None:
    key = "key/uk-to-au"
    old, new = (IpsecConf({}, {key: {"auto": "add", "left": each}}) for each in ("10.1.1.254", "10.1.1.253"))
    assert orders(old, new, {key: False}) == Orders([key], [key], [], [], [])


def test_a_connection_that_somebody_deleted_is_added_and_one_that_somebody_added_is_deleted() -> None:
    both = conf(OWNER, OTHER)
    assert orders(both, both, loaded(OWNER, THIRD)) == Orders([THIRD], [OTHER], [OTHER], [], [])


def test_connections_of_other_names_are_somebody_elses() -> None:
    assert orders(conf(OWNER), conf(OWNER), loaded(OWNER, "road", "uk-to-australia")) == Orders([], [], [], [], [])


def test_the_connections_of_a_peer_that_is_gone_are_deleted() -> None:
    assert orders(conf(OWNER, "uk-to-us"), conf(OWNER), loaded(OWNER, "uk-to-us")).delete == ["uk-to-us"]


def test_a_loaded_connection_without_policies_is_routed_and_one_that_waits_for_packets_is_not() -> None:
    assert orders(conf(OWNER), conf(OWNER), {OWNER: False}) == Orders([], [], [OWNER], [], [])
    waiting = conf(OWNER, auto="add")
    assert orders(waiting, waiting, {OWNER: False}) == Orders([], [], [], [], [])


def test_lists_of_ranges_are_deleted_pair_by_pair_when_connections_of_one_pair_replace_them() -> None:
    lists = conf(OWNER, leftsubnets="{10.1.0.0/16,10.2.0.0/16}")
    seen = loaded(f"{OWNER}/1x0", f"{OWNER}/2x0")
    assert orders(lists, lists, seen) == Orders([], [], [], [], [])
    assert orders(lists, conf(OWNER, OTHER), seen) == Orders([*seen], [OWNER, OTHER], [OWNER, OTHER], [OWNER], [])
    assert orders(conf(OWNER, OTHER), lists, loaded(OWNER, OTHER)) == Orders(
        [OTHER, OWNER], [OWNER], [OWNER], [OWNER], []
    )
