"""strongSwan as a gateway's peer: one process in a network namespace, with ESP in user space."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from components.decisions.tunnel import End
from lab.network import namespaces
from tests.scenarios.strongswan import configuration
from tests.scenarios.strongswan.configuration import CONNECTION, Association, Offer
from tests.scenarios.strongswan.confined import Confined, confined
from tests.scenarios.strongswan.tree import ensure_tree

NAMESPACE = "t-strongswan"
"""The lab's data plane removes unknown namespaces under its own prefix, so this one has another."""

_FOLDER = "/etc/swanctl/conf.d"


class Peer:
    """A strongSwan at `local` with one connection to the gateway at `remote`."""

    def __init__(self, program: Confined, local: End, remote: End) -> None:
        self.program = program
        self.local = local
        self.remote = remote

    def offer(self, offer: Offer) -> None:
        """End all SAs. From now on, offer and accept only `offer`."""
        self.terminate()
        self.program.write(f"{_FOLDER}/connection.conf", configuration.connection_conf(self.local, self.remote, offer))
        # The error names the proposal that strongSwan does not know.
        self.program.run("swanctl --load-conns")

    def replace_keys(self, psk: str, ppk: str | None) -> None:
        """Replace all pre-shared keys that strongSwan has by these."""
        self.program.write(f"{_FOLDER}/secrets.conf", configuration.secrets_conf(self.local, self.remote, psk, ppk))
        self.program.run("swanctl --load-creds --clear --noprompt")

    def initiate(self, *, seconds: int = 15) -> subprocess.CompletedProcess[str]:
        """Negotiate both phases. Return strongSwan's log, with exit code 0 when both SAs are up."""
        command = f"swanctl --initiate --child {CONNECTION} --timeout {seconds}"
        return self.program.ask(command, timeout=seconds + 15)

    def rekey(self) -> None:
        """Ask for a new Child SA in place of the present one. `associations` and the log show the result."""
        self.program.ask(f"swanctl --rekey --child {CONNECTION}")

    def terminate(self) -> None:
        """End all SAs, if there are any, and notify the gateway."""
        self.program.ask(f"swanctl --terminate --ike {CONNECTION} --timeout 3")
        self.program.ask(f"swanctl --terminate --ike {CONNECTION} --force")

    def associations(self) -> list[Association]:
        """Return the present IKE SAs."""
        return configuration.associations(self.program.ask("swanctl --list-sas").stdout)

    def ping(self, source: str, target: str, *, count: int = 5) -> subprocess.CompletedProcess[str]:
        """Ping `target` from one of the peer's own addresses; exit code 0 when a reply came."""
        return self.program.ask(f"ping -n -c {count} -i 0.3 -W 2 -I {source} {target}")


@contextmanager
def running(local: End, remote: End, psk: str, ppk: str | None = None) -> Iterator[Peer]:
    """Run strongSwan in `NAMESPACE`, which has `local`'s addresses. The keys are in memory, never in an argument."""
    files = {
        "/etc/strongswan.conf": configuration.strongswan_conf(),
        "/etc/swanctl/swanctl.conf": "include conf.d/*.conf\n",
        f"{_FOLDER}/secrets.conf": configuration.secrets_conf(local, remote, psk, ppk),
    }
    daemon = ["/usr/lib/ipsec/charon"]
    with confined("strongswan", daemon, namespace=NAMESPACE, tree=ensure_tree(), files=files) as program:
        program.wait_until("swanctl --load-creds --noprompt")
        yield Peer(program, local, remote)


@contextmanager
def fresh(namespace: str, *addresses: str) -> Iterator[None]:
    """Create a namespace with these addresses and remove it afterwards, also one that an interrupted run has left."""
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
    """Create `NAMESPACE` with `addresses` and a link to the namespace `to`, its only way out.

    `here` and `there` are the addresses of the link's two ends. In `to` the link is called like `NAMESPACE`.
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
    """Change links, addresses, routes or rules of a namespace, by arguments of ip(8)."""
    subprocess.run(["ip", "-n", namespace, *arguments], check=True)
