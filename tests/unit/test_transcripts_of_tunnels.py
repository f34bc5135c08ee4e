"""vpn-verify's parsers, and the tests' own, on what the tools print on gateways whose tunnel carries packets.

The transcripts were taken in the lab by tests/scenarios/matrix_transcripts.py, on uk or au, from SAs that stand;
more of them, taken later, are read by the same tests.
"""

import re
from pathlib import Path

import pytest

import pluto
from components.decisions.tunnel import PROFILES, TunnelProfile
from tests.scenarios import matrix_transcripts, negotiated
from vpn_verify import tunnel_layers
from vpn_verify.status import about, algorithms

NETWORKS = ("10.1.0.0/16", "172.31.0.0/16")


def taken(what: str) -> pytest.MarkDecorator:
    """Return every transcript of that kind there is, with the profile that its name says."""
    found = sorted(matrix_transcripts.FOLDER.glob(f"libreswan-*-{what}.txt"))
    names = re.compile(rf"libreswan-[\d.]+-({'|'.join(profile.value for profile in TunnelProfile)})-{what}\.txt")
    cases = [(path, TunnelProfile(match[1])) for path in found if (match := names.fullmatch(path.name))]
    return pytest.mark.parametrize(("path", "profile"), cases, ids=[path.stem for path, _ in cases])


def connection(text: str) -> str:
    """Return the connection's name: the transcript's own side comes first in it."""
    match = re.search(r'"(uk-to-au|au-to-uk)"', text)
    assert match
    return match[1]


@taken("status")
def test_vpn_verify_reads_version_and_algorithms_of_the_sas(path: Path, profile: TunnelProfile) -> None:
    status, expected = path.read_text(), PROFILES[profile]
    lines = about(connection(status), status)
    ike = algorithms("IKEv[12]", lines)
    assert ike.startswith(f"IKEv{expected.ike_version} {expected.ike_algorithm}")
    assert algorithms("ESP", lines) == f"ESP {expected.esp_algorithm}"


@taken("status")
def test_what_stands_is_told_only_together_with_what_it_carried(path: Path, profile: TunnelProfile) -> None:
    status, expected = path.read_text(), PROFILES[profile]
    name = connection(status)
    line = (
        f"#4: \"{name}\", type=ESP, add_time=1795480440, inBytes=84, outBytes=168, maxBytes=2^63B, id='198.51.100.1'\n"
    )
    found = negotiated.parse(name, status, line)
    assert (found.esp, found.bytes_in, found.bytes_out) == (expected.esp_algorithm, 84, 168)
    assert not negotiated.parse(name, status, "").is_up


@taken("traffic")
def test_every_sa_has_carried_something_both_ways(path: Path, profile: TunnelProfile) -> None:
    text = path.read_text()
    found = [carried for carried in pluto.traffic(connection(text), text).values() if carried]
    assert len(found) == len(text.splitlines()) > 0
    assert sum(inward for inward, _ in found) > 0
    assert sum(outward for _, outward in found) > 0
    assert negotiated.parse(connection(text), "", text).bytes_in == sum(inward for inward, _ in found)


@taken("policy")
def test_the_kernel_demands_esp_between_the_networks_each_way_and_nowhere_else(
    path: Path, profile: TunnelProfile
) -> None:
    found = tunnel_layers.policies(path.read_text())
    ((local, remote),) = [
        (local, remote) for local, remote in (NETWORKS, NETWORKS[::-1]) if f"{local} {remote} out" in found
    ]
    assert found == {f"{local} {remote} out", f"{remote} {local} in", f"{remote} {local} fwd"}


@taken("version")
def test_the_version_is_the_one_in_the_name(path: Path, profile: TunnelProfile) -> None:
    assert path.name.split("-")[1] in path.read_text()


def test_there_are_transcripts_of_both_profiles_and_both_releases() -> None:
    present = {path.name for path in matrix_transcripts.FOLDER.glob("*-status.txt")}
    assert present >= {
        "libreswan-5.2-modern-status.txt",
        "libreswan-5.2-article-2014-status.txt",
        "libreswan-4.10-article-2014-status.txt",
    }
