"""The size of user data: what the limits of ranges and peers allow fits, and what does not fit is refused.

Proves it for rendered and compressed text. Does not prove that a machine boots with it. Nothing to clean up.
"""

import gzip
import string
from collections.abc import Sequence
from ipaddress import IPv4Network
from random import Random

import pytest

from components import user_data
from components.decisions.secrets import GivenSecrets, StoredSecrets
from components.decisions.tunnel import End, TunnelProfile, connect
from components.inputs.arguments import SecretDelivery
from components.inputs.peer import MOST_RANGE_PAIRS
from components.inputs.problems import SettingsError
from components.inputs.psk import LONGEST_PPK, LONGEST_PSK
from components.inputs.room import MOST_INNER_ADMINISTRATORS, PEER_PLACES, ROOM, places
from components.inputs.settings import LONGEST_RESOURCE_NAME
from components.user_data import USER_DATA_LIMIT, encode
from tests.unit.gateway_documents import (
    HOST_KEY,
    INLINE,
    GatewayDocument,
    gateway_document,
    without_ppk,
)


def room_of(secrets: StoredSecrets | GivenSecrets) -> int:
    return ROOM[SecretDelivery.SSM if isinstance(secrets, StoredSecrets) else SecretDelivery.USER_DATA]


def allowed(here: int, shares: Sequence[int], room: int) -> bool:
    pairs = [here * share for share in shares]
    return max(pairs) <= MOST_RANGE_PAIRS and places(here + sum(shares), pairs) <= room


def largest(here: int, peers: int, room: int, *, evenly: bool) -> list[int]:
    """Return the most ranges that each of the peers may have, with `here` ranges at the site; none: not so many peers.

    Either all peers have nearly the same number, or the first ones have as many as possible.
    """
    shares = [1] * peers
    if not allowed(here, shares, room):
        return []
    grew = True
    while grew:
        grew = False
        for number in range(peers):
            while allowed(here, more := [*shares[:number], shares[number] + 1, *shares[number + 1 :]], room):
                shares, grew = more, True
                if evenly:
                    break
    return shares


def worst(
    secrets: StoredSecrets | GivenSecrets, profile: TunnelProfile, here: int, shares: Sequence[int]
) -> GatewayDocument:
    """Return a gateway with `here` ranges, and names and addresses that compress badly; `shares` are its peers'."""
    random = Random(len(shares) * 100 + here)  # noqa: S311 - the same at every run

    def name() -> str:
        return "".join(random.choices(string.ascii_lowercase, k=20))

    def address() -> str:
        return ".".join(str(random.randint(100, 255)) for _ in range(4))

    def end(ranges: int) -> End:
        networks = [str(IPv4Network((address(), random.randint(20, 28)), strict=False)) for _ in range(ranges)]
        private = networks[0].partition("/")[0]
        return End(site=name(), public_ip=address(), private_ip=private, cidr_blocks=tuple(networks))

    local = end(here)
    return GatewayDocument(
        local=local,
        connections=tuple(connect(local, end(share), profile, postquantum=secrets.postquantum) for share in shares),
        site_cidr_blocks=local.cidr_blocks,
        administrator_cidr_blocks=end(MOST_INNER_ADMINISTRATORS).cidr_blocks,
        secrets=secrets,
    )


LONG = Random(1)  # noqa: S311 - the same at every run
LONG_NAME = "".join(LONG.choices(string.ascii_lowercase, k=LONGEST_RESOURCE_NAME))


def long_key(length: int) -> str:
    """Return a key that compresses badly."""
    return "".join(LONG.choices(string.printable[:94].replace('"', ""), k=length))


LONGEST = (
    StoredSecrets(
        endpoint="ssm.ap-southeast-10.amazonaws.com.cn",
        region="ap-southeast-10",
        psk_parameter=f"{LONG_NAME}-psk-parameter-1234567:1000",
        ppk_parameter=f"{LONG_NAME}-ppk-parameter-2345671:1000",
        host_key_parameter=f"{LONG_NAME}-host-key-parameter-7654321:1000",
    ),
    GivenSecrets(
        psk=long_key(LONGEST_PSK),
        ppk=long_key(LONGEST_PPK),
        host_private_key=HOST_KEY,
    ),
)


def size_of(document: GatewayDocument) -> int:
    return len(gzip.compress(document.user_data.encode(), mtime=0))


@pytest.mark.parametrize("secrets", LONGEST, ids=["ssm", "user-data"])
@pytest.mark.parametrize("profile", list(TunnelProfile))
def test_the_largest_user_data_that_the_limits_allow_is_taken_by_ec2(
    secrets: StoredSecrets | GivenSecrets, profile: TunnelProfile
) -> None:
    if profile is TunnelProfile.ARTICLE_2014:
        secrets = without_ppk(secrets)
    sizes = {
        (here, *shares): size_of(worst(secrets, profile, here, shares))
        for here in (1, 2, 4, 8, 12, 16, 24, 32, 64)
        for peers in range(1, room_of(secrets) // PEER_PLACES)
        for evenly in (True, False)
        if (shares := largest(here, peers, room_of(secrets), evenly=evenly))
    }
    # Implementations of zlib differ by some bytes.
    assert max(sizes.values()) <= USER_DATA_LIMIT - 64, sizes


def test_user_data_larger_than_ec2_takes_is_refused_with_its_size(monkeypatch: pytest.MonkeyPatch) -> None:
    text = gateway_document(secrets=INLINE).user_data
    size = len(gzip.compress(text.encode(), mtime=0))
    monkeypatch.setattr(user_data, "USER_DATA_LIMIT", size)
    encode(text)
    monkeypatch.setattr(user_data, "USER_DATA_LIMIT", size - 1)
    with pytest.raises(SettingsError) as caught:
        encode(text)
    (problem,) = caught.value.problems
    assert str(problem) == (
        f"psk, host_private_key, peers '{size} bytes of user data': EC2 takes {size - 1}, after gzip; "
        "use secret_delivery ssm, or fewer ranges or peers"
    )
