"""Proves that a real pluto of each Debian release takes the connection of each profile.

`ipsec addconn --checkconfig` does not: 5.2 passes keywords there that it refuses when the connection is added.
"""

import pytest

from components.decisions.tunnel import TunnelProfile
from tests.tools import pluto
from tests.unit.gateway_documents import gateway_document


@pytest.mark.parametrize("profile", list(TunnelProfile))
def test_pluto_takes_the_connection_and_sets_its_trap(release: str, profile: TunnelProfile) -> None:
    document = gateway_document(profile=profile)
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
