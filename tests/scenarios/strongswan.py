"""strongSwan as someone else's peer: one process in a network namespace, with ESP in user space."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from components.decisions.tunnel import End
from lab.network import namespaces
from tests.scenarios import strongswan_configuration as configuration
from tests.scenarios.strongswan_configuration import CONNECTION, Association, Offer
from tests.scenarios.strongswan_confinement import Confined, confined
from tests.scenarios.strongswan_tree import ensure_tree

NAMESPACE = "t-strongswan"
"""Not one of the lab's own: its data plane removes what it does not know under its prefix."""

_FOLDER = "/etc/swanctl/conf.d"


class Stranger:
    """A strongSwan with one connection to the gateway at `remote`."""

    def __init__(self, program: Confined, local: End, remote: End) -> None:
        self.program = program
        self.local = local
        self.remote = remote

    def offer(self, offer: Offer) -> None:
        """End all SAs; from now on offer, and take, nothing but `offer`."""
        self.terminate()
        self.program.write(f"{_FOLDER}/connection.conf", configuration.connection_conf(self.local, self.remote, offer))
        loaded = self.program.run("swanctl", "--load-conns")
        # strongSwan names the proposal that it does not know.
        assert loaded.returncode == 0, loaded.stderr + loaded.stdout

    def initiate(self, *, seconds: int = 15) -> subprocess.CompletedProcess[str]:
        """Negotiate both phases; exit code 0 when they stand, and strongSwan's own log of it in any case."""
        command = ["swanctl", "--initiate", "--child", CONNECTION, "--timeout", str(seconds)]
        return self.program.run(*command, timeout=seconds + 15)

    def rekey(self) -> subprocess.CompletedProcess[str]:
        """Ask for a new Child SA in place of the one there is; what came of it is in `associations` and the log."""
        return self.program.run("swanctl", "--rekey", "--child", CONNECTION)

    def terminate(self) -> None:
        """End all SAs, telling the peer; nothing there is fine."""
        self.program.run("swanctl", "--terminate", "--ike", CONNECTION, "--timeout", "3")
        self.program.run("swanctl", "--terminate", "--ike", CONNECTION, "--force")

    def associations(self) -> list[Association]:
        """Return the IKE SAs there are."""
        return configuration.associations(self.program.run("swanctl", "--list-sas").stdout)

    def ping(self, source: str, target: str, *, count: int = 5) -> subprocess.CompletedProcess[str]:
        """Ping `target` from one of its own addresses; exit code 0 when anything came back."""
        return self.program.run("ping", "-n", "-c", str(count), "-i", "0.3", "-W", "2", "-I", source, target)


@contextmanager
def running(local: End, remote: End, psk: str) -> Iterator[Stranger]:
    """Run strongSwan in `NAMESPACE`, which has `local`'s addresses. The key is in memory only, and in no argument."""
    files = {
        "/etc/strongswan.conf": configuration.strongswan_conf(),
        "/etc/swanctl/swanctl.conf": "include conf.d/*.conf\n",
        f"{_FOLDER}/secrets.conf": configuration.secrets_conf(local, remote, psk),
    }
    daemon = ["/usr/lib/ipsec/charon"]
    with confined("strongswan", daemon, namespace=NAMESPACE, tree=ensure_tree(), files=files) as program:
        program.wait_until("swanctl", "--load-creds", "--noprompt")
        yield Stranger(program, local, remote)


@contextmanager
def fresh(namespace: str, *addresses: str) -> Iterator[None]:
    """Make a namespace with these addresses, clearing away what an interrupted run has left of it; remove it after."""
    namespaces.remove(namespace)
    namespaces.create(namespace)
    try:
        change(namespace, "link", "set", "lo", "up")
        for address in addresses:
            change(namespace, "address", "add", address, "dev", "lo")
        yield
    finally:
        namespaces.remove(namespace)


@contextmanager
def linked(to: str, *, here: str, there: str, addresses: Sequence[str]) -> Iterator[None]:
    """Make `NAMESPACE` with `addresses`, joined to the namespace `to` by a link that is its only way out.

    `here` and `there` are the link's addresses at the two ends; at the far end the link is called as the namespace.
    """
    with fresh(NAMESPACE, *addresses):
        change(NAMESPACE, "link", "add", "eth0", "type", "veth", "peer", "name", NAMESPACE, "netns", to)
        change(to, "address", "add", there, "peer", here, "dev", NAMESPACE)
        change(to, "link", "set", NAMESPACE, "up")
        change(NAMESPACE, "address", "add", here, "peer", there, "dev", "eth0")
        change(NAMESPACE, "link", "set", "eth0", "up")
        change(NAMESPACE, "route", "add", "default", "via", there)
        yield


def change(namespace: str, *arguments: str) -> None:
    """Change links, addresses, routes or rules of a namespace, in the words of ip(8)."""
    subprocess.run(["ip", "-n", namespace, *arguments], check=True)
