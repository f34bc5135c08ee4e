"""The combinations of tests/scenarios/test_matrix.py: none is missing, and each step changes little."""

from itertools import pairwise, product

import yaml

from components.decisions.tunnel import TunnelProfile
from lab import settings
from tests.scenarios import matrix, negotiated
from tests.scenarios.matrix import CELLS, LIBRESWAN, Cell

OWN = (settings.ROOT / "Pulumi.lab.yaml").read_text()


def replaced(before: Cell, after: Cell) -> int:
    """Return how many gateways are replaced. The profile is in the user data of both."""
    if before.profile is not after.profile:
        return 2
    return (before.left != after.left) + (before.right != after.right)


def test_every_pair_of_releases_meets_in_both_profiles() -> None:
    met = {(frozenset((cell.left, cell.right)), cell.profile) for cell in CELLS}
    assert met == {(frozenset((a, b)), profile) for a, b, profile in product(LIBRESWAN, LIBRESWAN, TunnelProfile)}
    assert len(CELLS) == len(met)


def test_the_older_release_is_once_on_the_left_and_once_on_the_right_of_the_newer() -> None:
    assert {(cell.left, cell.right) for cell in CELLS if cell.left != cell.right} == {
        ("debian-12", "debian-13"),
        ("debian-13", "debian-12"),
    }


def test_six_boots_lead_through_all_of_them() -> None:
    assert sum(replaced(*step) for step in pairwise(CELLS)) == 6


def test_the_configuration_is_the_stacks_own_but_for_images_and_profile() -> None:
    own, changed = yaml.safe_load(OWN), yaml.safe_load(matrix.configuration(CELLS[4], OWN))
    assert changed["encryptionsalt"] == own["encryptionsalt"]
    assert {key: value for key, value in changed["config"].items() if own["config"].get(key) != value} == {
        "vpn-gateway-pair:leftImage": "debian-12",
        "vpn-gateway-pair:rightImage": "debian-13",
        "vpn-gateway-pair:profile": "article-2014",
    }


def test_the_engines_warnings_are_found_wherever_they_stand() -> None:
    output = "Diagnostics:\n  vpn-gateway-pair:index:VpnGateway (vpn-uk):\n    warning: profile x is weak: y. Use z.\n"
    assert matrix.warnings(output) == ["profile x is weak: y. Use z."]


def test_a_child_sas_algorithms_are_read_from_the_log_with_and_without_a_group() -> None:
    log = (
        '"uk-to-au" #2: initiator established Child SA using #1; IPsec tunnel [10.1.0.0/16===172.31.0.0/16] '
        "{ESPinUDP/ESN=>0xca8f5a3c <0x8e6d2c11 xfrm=AES_GCM_16_256-NONE NATD=198.51.100.20:4500 DPD=active}\n"
        '"uk-to-au" #6: responder rekeyed Child SA #4 using #3; IPsec tunnel [10.1.0.0/16===172.31.0.0/16] '
        "{ESPinUDP=>0x1a8f5a3c <0x2e6d2c11 xfrm=AES_GCM_16_256-NONE-DH20 NATD=198.51.100.1:4500 DPD=active}\n"
    )
    assert negotiated.parse_transforms(log) == ["AES_GCM_16_256-NONE", "AES_GCM_16_256-NONE-DH20"]
