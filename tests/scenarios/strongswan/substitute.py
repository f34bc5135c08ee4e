"""strongSwan in place of one of the pair's gateways. The other gateway is not changed.

In the lab's Internet, rules that come before its routes lead the Elastic IP to strongSwan's namespace and drop what the
replaced gateway sends. They change nothing that the lab made, so removing them restores everything. The lab's
data plane leaves rules of other priorities alone, and looks at links again only when the API changes.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from components.decisions.tunnel import End
from lab import settings
from tests.scenarios.gateway import Gateway
from tests.scenarios.ipsec import pre_shared_keys
from tests.scenarios.sites import Site
from tests.scenarios.strongswan import peer
from tests.scenarios.strongswan.peer import NAMESPACE, Peer, change, linked

_RULES = (40, 41, 42)
_TABLE = "40"
_HERE, _THERE = "169.254.254.1", "169.254.254.0"
_VERIFY_SECONDS = 120


@contextmanager
def in_place_of(replaced: Site, site: Site) -> Iterator[Peer]:
    """Run strongSwan as the gateway and the private host of `replaced`, as peer of the unmodified gateway of `site`.

    It has the Elastic IP, the private addresses of gateway and private host, and the pre-shared keys. Afterwards
    the pair is as before, and `vpn-verify` holds on both gateways.
    """
    addresses = [replaced.gateway.public_ip, replaced.gateway.private_ip, replaced.private_host.private_ip]
    try:
        with (
            linked(settings.INTERNET_NAMESPACE, here=_HERE, there=_THERE, addresses=addresses),
            _routed(replaced.gateway.public_ip),
            peer.running(end(replaced), end(site), *pre_shared_keys(site.gateway).values()) as strongswan,
        ):
            # The present SAs belong to the replaced gateway.
            site.gateway.restart("ipsec")
            yield strongswan
    finally:
        restore(replaced.gateway, site.gateway)


def restore(*gateways: Gateway) -> None:
    """Let the gateways negotiate a new tunnel, and wait until both verify. Raises AssertionError with the report."""
    for gateway in gateways:
        gateway.restart("ipsec")
    for gateway in gateways:
        report = gateway.ask(f"vpn-verify --json --wait {_VERIFY_SECONDS}", timeout=_VERIFY_SECONDS + 60)
        assert report.returncode == 0, report.stderr


def end(site: Site) -> End:
    """Return a site as the end of a tunnel."""
    gateway = site.gateway
    return End(
        site=site.name,
        public_ip=gateway.public_ip,
        private_ip=gateway.private_ip,
        cidr_blocks=(str(site.network),),
    )


@contextmanager
def _routed(public_ip: str) -> Iterator[None]:
    """Route `public_ip` in the Internet to strongSwan's link and nowhere else."""
    internet = settings.INTERNET_NAMESPACE
    back, silence, there = map(str, _RULES)
    _forget_rules()
    try:
        change(internet, "route", "replace", "default", "via", _HERE, "dev", NAMESPACE, "table", _TABLE)
        change(internet, "rule", "add", "priority", back, "iif", NAMESPACE, "lookup", "main")
        change(internet, "rule", "add", "priority", silence, "from", public_ip, "blackhole")
        change(internet, "rule", "add", "priority", there, "to", public_ip, "lookup", _TABLE)
        yield
    finally:
        _forget_rules()


def _forget_rules() -> None:
    for priority in _RULES:
        command = ["ip", "-n", settings.INTERNET_NAMESPACE, "rule", "del", "priority", str(priority)]
        # An interrupted run may have left several.
        while subprocess.run(command, capture_output=True, check=False).returncode == 0:
            pass
