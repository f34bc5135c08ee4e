"""How vpn-verify asks the network: the source of its packets, echoes through a narrow path."""

import json

from tests.tools import pluto
from tests.unit.gateway_documents import AU, UK

NARROW = f"""
    at_peer ip link set lo up; at_peer ip addr add {AU.private_ip}/32 dev lo
    cat >/tmp/look.py <<'END'
import json, sys
sys.path.insert(0, "/usr/local/lib/vpn-verify")
import vpn_verify
verify = vars(vpn_verify)
x = {{"address": "{UK.private_ip}", "private_ip": "{AU.private_ip}", "mtu": 1400}}
print(verify["source"]("{AU.public_ip}"))
try:
    print(verify["mtu"](x))
except Exception as error:
    print(*error.args)
print(json.dumps(verify["echoes"](x["address"], x["private_ip"], [84, 1500, 1501], 1)))
END
"""


def test_a_black_hole_on_the_path_is_measured_to_the_byte(release: str) -> None:
    # A veth drops without a word what is longer than its peer's MTU and a VLAN tag.
    script = NARROW + "python3 /tmp/look.py; at_peer ip link set eth0 mtu 1238; python3 /tmp/look.py"
    done = pluto.run(release, script)
    assert done.stdout.splitlines() == [
        UK.private_ip,
        "1400 bytes pass unfragmented",
        json.dumps([84, 1500]),
        UK.private_ip,
        "packets over 1242 bytes are lost on the path; the tunnel's MTU is 1400",
        json.dumps([84]),
    ], done.stderr
