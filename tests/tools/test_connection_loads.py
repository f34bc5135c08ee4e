"""Proves that a real pluto of each Debian release takes the connection of each profile.

`ipsec addconn --checkconfig` does not: 5.2 passes keywords there that it refuses when the connection is added.
"""

from dataclasses import replace

import pytest

from components.decisions.tunnel import TunnelProfile
from tests.tools import pluto
from tests.unit.gateway_documents import AU, UK, GatewayDocument, gateway_document


@pytest.mark.parametrize("profile", list(TunnelProfile))
def test_pluto_takes_the_connection_and_sets_its_trap(release: str, profile: TunnelProfile) -> None:
    _load(release, gateway_document(profile=profile))


@pytest.mark.parametrize("profile", list(TunnelProfile))
def test_pluto_takes_the_connection_of_a_gateway_with_several_ranges(release: str, profile: TunnelProfile) -> None:
    uk = replace(UK, cidr_blocks=("10.5.0.0/16", *UK.cidr_blocks))
    _load(release, gateway_document(uk, replace(AU, cidr_blocks=("10.20.0.0/16", *AU.cidr_blocks)), profile))


def _load(release: str, document: GatewayDocument) -> None:
    name = document.connections[0].name
    script = f"""
        start_pluto
        said=$(ipsec auto --add {name} 2>&1 || ipsec add {name} 2>&1) || true
        /usr/libexec/ipsec/whack --status | grep '"{name}"' | head -n 1
        echo "$said"
        kill $pluto; wait $pluto || true
    """
    done = pluto.run(release, script, document)
    assert f'"{name}":' in done.stdout, done.stdout + done.stderr
    assert "failed to add" not in done.stdout + done.stderr
