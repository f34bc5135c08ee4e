"""strongSwan in the place of one of the pair's gateways: the other one is not changed in any way.

In the lab's Internet, rules that come before its routes lead the Elastic IP to strongSwan's namespace and drop what the
gateway itself sends from there. Nothing that the lab made is altered: without the rules all is as before. The
lab's data plane leaves rules of other priorities alone, and looks at links again only when the API changes.
"""

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from components.decisions.tunnel import End
from lab import hosts, settings
from tests.scenarios import strongswan
from tests.scenarios.operations import on_gateway
from tests.scenarios.sites import Site
from tests.scenarios.strongswan import NAMESPACE, Stranger, change, linked

_RULES = (40, 41, 42)
_TABLE = "40"
_HERE, _THERE = "169.254.254.1", "169.254.254.0"
_VERIFY_SECONDS = 120


@contextmanager
def in_the_place_of(replaced: Site, partner: Site) -> Iterator[Stranger]:
    """Let strongSwan be the gateway, and the private host, of `replaced`, towards the unmodified gateway of `partner`.

    It has the Elastic IP, the private addresses of gateway and private host, and the pre-shared key. On return the pair
    is as before, and both gateways say that their tunnel carries packets.
    """
    end = _end(replaced)
    addresses = [replaced.public_ip, replaced.gateway_ip, replaced.private_ip]
    try:
        with (
            linked(settings.INTERNET_NAMESPACE, here=_HERE, there=_THERE, addresses=addresses),
            _routed(replaced.public_ip),
            strongswan.running(end, _end(partner), _psk(partner)) as stranger,
        ):
            # The SAs of before belong to the gateway that is out of the way.
            on_gateway(partner, "systemctl restart ipsec")
            yield stranger
    finally:
        restore(replaced, partner)


def restore(*sites: Site) -> None:
    """Let the gateways negotiate anew, and wait until each verifies; raises AssertionError with its report."""
    for site in sites:
        on_gateway(site, "systemctl restart ipsec")
    for site in sites:
        command = ["vpn-verify", "--json", "--wait", str(_VERIFY_SECONDS)]
        report = hosts.run(site.gateway_id, command, timeout=_VERIFY_SECONDS + 60)
        assert report.returncode == 0, report.stderr.decode(errors="replace")


def _end(site: Site) -> End:
    return End(site=site.name, public_ip=site.public_ip, private_ip=site.gateway_ip, cidr_blocks=(str(site.network),))


def _psk(site: Site) -> str:
    """Return the pre-shared key from a gateway's secrets file; it is never printed."""
    found = re.search(r'PSK "([^"]+)"', on_gateway(site, f"cat /etc/ipsec.d/{site.connection}.secrets"))
    if found is None:
        raise LookupError(f"{site.gateway} has no pre-shared key for {site.connection}")
    return found[1]


@contextmanager
def _routed(public_ip: str) -> Iterator[None]:
    """Let the Internet know `public_ip` at strongSwan's link and nowhere else."""
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
        # There may be none, or several of an interrupted run.
        while subprocess.run(command, capture_output=True, check=False).returncode == 0:
            pass
