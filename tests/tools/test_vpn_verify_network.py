"""How vpn-verify asks the network: the source of its packets, echoes through a narrow path."""

from tests.tools import pluto
from tests.unit.gateway_documents import AU, UK

IMPORTS = "import sys; sys.path[:0] = ['/usr/local/lib/vpn-verify', '/usr/local/lib/vpn-gateway']"
NARROW = f"""
    at_peer ip link set lo up; at_peer ip addr add {AU.private_ip}/32 dev lo
    cat >/tmp/look.py <<'END'
{IMPORTS}
from vpn_verify.echoes import answered
from vpn_verify import machine, tunnel_layers
ends = "{UK.private_ip}", "{AU.private_ip}"
print(machine.source("{AU.public_ip}"))
try:
    print(tunnel_layers.mtu(ends, 1400))
except Exception as error:
    print(*error.args)
print(answered(*ends, [84, 1500, 1501], 1))
END
"""


def test_a_black_hole_on_the_path_is_measured_to_the_byte(release: str) -> None:
    # A veth drops without a word what is longer than its peer's MTU and a VLAN tag.
    script = NARROW + "python3 /tmp/look.py; at_peer ip link set eth0 mtu 1238; python3 /tmp/look.py"
    done = pluto.run(release, script)
    assert done.stdout.splitlines() == [
        UK.private_ip,
        "1400 bytes pass unfragmented",
        "[84, 1500]",
        UK.private_ip,
        "packets over 1242 bytes are lost on the path; the tunnel's MTU is 1400",
        "[84]",
    ], done.stderr
