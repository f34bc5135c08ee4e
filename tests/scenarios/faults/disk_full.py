"""The disk of a gateway is full."""

from tests.scenarios import ipsec
from tests.scenarios.scenario import Expectation, Steps, Variant
from tests.scenarios.sites import Pair

DESCRIPTION = (
    "Nothing can be written to the disk of uk's gateway. The tunnel stays, and a killed IKE daemon starts again."
)
EXPECTATION = Expectation(limit_seconds=10, goal="daemon", healed_by="systemd, then vpn-watch")
VARIANTS = (
    Variant(name="disk-full", title="the disk of uk's gateway is full, and its SAs are rekeyed", seconds=20),
    Variant(name="disk-full-killed", title="the disk of uk's gateway is full, and its daemon is killed", seconds=20),
)

_ALLOCATE = 'fallocate -l "$(df --output=avail --block-size=1 / | tail -1)" /var/tmp/full'
_WRITE_THE_REST = "! dd if=/dev/zero bs=4096 >>/var/tmp/full 2>/dev/null"


def steps(pair: Pair, variant: Variant) -> Steps:
    gateway = pair.uk.gateway
    try:
        # It fails when the file system needs the last blocks for itself.
        gateway.ask(_ALLOCATE)
        gateway.run(_WRITE_THE_REST)
        # apt and the journal try to write, as they do on a gateway whose disk has become full by itself.
        gateway.ask("apt-get update; sleep 10", timeout=120)
        assert gateway.run("df --output=avail / | tail -1").strip() == "0"
        if variant.name == "disk-full":
            ipsec.rekey(gateway, "child")
        else:
            gateway.run("kill -9 $(pidof pluto)")
        yield
    finally:
        gateway.run("rm -f /var/tmp/full")
