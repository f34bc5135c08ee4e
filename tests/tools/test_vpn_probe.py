"""The question whether an IKE daemon answers, put to a real pluto.

Libreswan 4.10 and 5.2 answer it on both ports and in either profile. They do so before they look at connections, at
`ikev1-policy` or for a cookie (DDoS mode), and log two lines and one.

Other questions do worse. Both releases drop IKEv1's first message in the profile `modern`, and 5.2 also drops it where
no connection matches. An IKE_SA_INIT is answered, but costs a cookie in DDoS mode and may leave a half-open SA.
"""

import pytest

from components.decisions.tunnel import TunnelProfile
from tests.tools import pluto
from tests.unit.gateway_documents import UK, gateway_document

ASK = f"""
    ask() {{
        at_peer python3 -c "
import sys; sys.path.insert(0, '/usr/local/lib/vpn-gateway')
from ike_probe import probe
for port in 500, 4500: print(probe('{UK.private_ip}', port))"
    }}
"""


@pytest.mark.parametrize("profile", list(TunnelProfile))
def test_pluto_answers_on_both_ports_and_keeps_nothing_also_under_attack(release: str, profile: TunnelProfile) -> None:
    script = """
        start_pluto
        lines=$(wc -l </run/pluto.log)
        ask
        ipsec whack --ddos-busy >/dev/null
        ask
        ipsec status | grep -c '^\\(000 \\)\\?IKE SAs: total(0), half-open(0)'
        tail -n +$((lines + 1)) /run/pluto.log | grep -c 'packet from'
        kill $pluto; wait $pluto || true
        ask
    """
    done = pluto.run(release, ASK + script, gateway_document(profile=profile))
    *up, states, logged, one, other = done.stdout.split()
    assert (up, states) == (["answers"] * 4, "1"), done.stdout + done.stderr
    assert int(logged) <= 8
    assert (one, other) == ("refused", "refused")
