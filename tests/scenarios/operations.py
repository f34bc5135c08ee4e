"""What the fault cases do to the pair: commands on the gateways, calls of the API, and when a machine is up again.

A machine counts as booted when its sshd greets (RFC 4253, 4.2): from then on it is a machine like any other, and what
the tunnel takes longer is the tunnel's.
"""

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from components.resources.proof import installer
from components.user_data import proof_files
from lab import hosts, stack
from lab.api.client import client
from lab.machines import record
from lab.network.sockets import call_in
from tests.scenarios.sites import Pair, Site

BOOT_SECONDS: Final = 300.0
_POLL_SECONDS = 0.25
_SSH_SECONDS = 1.0
_API_SECONDS = 90.0
_COMMAND_SECONDS = 60.0

ADD_CONNECTION: Final = "/usr/libexec/ipsec/addconn --config /etc/ipsec.conf"
"""Reads a connection again, in all versions (`ipsec auto --add` is gone in 5.x, `ipsec add` is not there in 4.x)."""


class OperationError(Exception):
    """A fault could not be brought about; says where, what and why."""


def on_gateway(site: Site, script: str, *, stdin: str = "", timeout: float = _COMMAND_SECONDS) -> str:
    """Run a shell script as root on a gateway and return what it printed. Raises OperationError when it fails."""
    done = hosts.run(site.gateway_id, ["sh", "-ec", script], stdin=stdin.encode(), timeout=timeout)
    if done.returncode:
        words = (done.stdout + done.stderr).decode(errors="replace").strip()[-1000:]
        raise OperationError(f"{site.gateway}: {script!r} exits with {done.returncode}: {words}")
    return done.stdout.decode(errors="replace")


def install_verify(site: Site) -> None:
    """Install `vpn-verify` on a gateway as the proof does, for a gateway that no proof can log in to."""
    files = [(file.path, file.mode, file.text) for file in proof_files()]
    on_gateway(site, "python3 -", stdin=installer(files))


def wait_until(what: str, condition: Callable[[], bool], seconds: float) -> float:
    """Wait for a condition and return when it held, seconds since the epoch. Raises OperationError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise OperationError(f"{what}: not within {seconds:.0f} s")
        time.sleep(_POLL_SECONDS)
    return time.time()


def greets(site: Site) -> bool:
    """Say whether the gateway's sshd greets whoever asks from within the VPC."""

    def ask() -> bool:
        with socket.create_connection((site.gateway_ip, 22), timeout=_SSH_SECONDS) as link:
            return link.recv(4) == b"SSH-"

    try:
        return call_in(site.vpc_namespace, ask)
    except OSError:
        return False


def reboot(*sites: Site) -> float:
    """Reboot gateways through the API; return when the last one had booted."""
    for site in sites:
        client("ec2", site.region).reboot_instances(InstanceIds=[site.gateway_id])
    for site in sites:
        wait_until(f"{site.gateway} goes down", lambda site=site: not greets(site), _API_SECONDS)  # type: ignore[misc]
    return max(
        wait_until(f"{site.gateway} boots", lambda site=site: greets(site), BOOT_SECONDS)  # type: ignore[misc]
        for site in sites
    )


def stop_instance(site: Site) -> None:
    """Stop a gateway's instance through the API; return when its machine is off."""
    client("ec2", site.region).stop_instances(InstanceIds=[site.gateway_id])

    def is_off() -> bool:
        machine = record.load(site.gateway_id)
        return (machine is None or machine.process is None) and instance_state(site) == "stopped"

    wait_until(f"{site.gateway} stops", is_off, _API_SECONDS)


def start_instance(site: Site) -> float:
    """Start a stopped gateway's instance through the API; return when it has booted."""
    client("ec2", site.region).start_instances(InstanceIds=[site.gateway_id])
    return wait_until(f"{site.gateway} boots", lambda: greets(site), BOOT_SECONDS)


def instance_state(site: Site) -> str:
    """Return the API's name of the state that the gateway's instance is in."""
    answer = client("ec2", site.region).describe_instances(InstanceIds=[site.gateway_id])
    return str(answer["Reservations"][0]["Instances"][0]["State"]["Name"])


def take_address(site: Site) -> None:
    """Take the Elastic IP from a gateway."""
    ec2 = client("ec2", site.region)
    (address,) = ec2.describe_addresses(PublicIps=[site.public_ip])["Addresses"]
    ec2.disassociate_address(AssociationId=address["AssociationId"])


def give_address(site: Site) -> None:
    """Give the Elastic IP back to the gateway's interface."""
    ec2 = client("ec2", site.region)
    (address,) = ec2.describe_addresses(PublicIps=[site.public_ip])["Addresses"]
    ec2.associate_address(AllocationId=address["AllocationId"], NetworkInterfaceId=site.gateway_eni)


def instance_urn(site: Site) -> str:
    """Return the URN of a gateway's instance in the stack."""
    exported = stack.pulumi(["stack", "export", "--stack", stack.STACK], capture=True)
    for resource in json.loads(exported.stdout)["deployment"]["resources"]:
        if resource.get("id") == site.gateway_id:
            return str(resource["urn"])
    raise OperationError(f"the stack holds no resource with the id {site.gateway_id} of {site.gateway}")


def replace_instance(site: Site) -> None:
    """Let `pulumi up` replace a gateway's instance; return when the program is green again."""
    quiet = ["--yes", "--suppress-permalink", "--suppress-progress"]
    done = stack.pulumi(["up", "--stack", stack.STACK, *quiet, "--replace", instance_urn(site)], capture=True)
    if done.returncode:
        raise OperationError(f"pulumi up --replace exits with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr}")


def set_check(site: Site, *, interface: str, enabled: bool) -> None:
    """Switch the source/destination check of an interface."""
    client("ec2", site.region).modify_network_interface_attribute(
        NetworkInterfaceId=interface, SourceDestCheck={"Value": enabled}
    )


def security_associations(site: Site) -> dict[str, list[tuple[str, str, str]]]:
    """Return the kernel's ESP states on a gateway as (source, destination, SPI): those `in` and those `out`."""
    found: dict[str, list[tuple[str, str, str]]] = {"in": [], "out": []}
    source = to = ""
    for line in on_gateway(site, "ip xfrm state").splitlines():
        words = line.split()
        if words[0] == "src":
            source, to = words[1], words[3]
        elif words[:2] == ["proto", "esp"]:
            found["out" if source == site.gateway_ip else "in"].append((source, to, words[3]))
    return found


def delete_associations(site: Site, way: str) -> None:
    """Delete the kernel's ESP states of one way (`in`, `out`) on a gateway, behind the daemon's back."""
    states = security_associations(site)[way]
    if not states:
        raise OperationError(f"{site.gateway} has no ESP state {way} to delete")
    deletions = [f"ip xfrm state delete src {a} dst {b} proto esp spi {spi}" for a, b, spi in states]
    on_gateway(site, "; ".join(deletions))


def negotiate_in_vain(pair: Pair, deaf: Site, *, seconds: float) -> None:
    """Start both daemons anew, and take from one kernel what its peer's first SAs send by, so long after the first.

    Stands for negotiations that cross and leave each side with other SAs (libreswan #2184), which nobody can order.
    """
    for site in pair.sites:
        on_gateway(site, "systemctl stop vpn-watch ipsec")
    for site in pair.sites:
        on_gateway(site, "systemctl start --no-block ipsec vpn-watch")
    inward = f"dst {deaf.gateway_ip} proto esp"
    tenths = round(seconds * 10)
    on_gateway(
        deaf,
        f"until ip xfrm state list {inward} | grep -q spi; do sleep 0.1; done;"
        f" for _ in $(seq {tenths}); do ip xfrm state deleteall {inward}; sleep 0.1; done",
    )


def rekey(site: Site, what: str) -> None:
    """Rekey the `ike` or the `child` SA from a gateway's side, at once (4.x calls the second one `ipsec`)."""
    command = f"ipsec whack --rekey-{what} --name {site.connection}"
    older = f"ipsec whack --rekey-ipsec --name {site.connection}"
    on_gateway(site, f"{command} || {older}" if what == "child" else command)


def add_connection(site: Site) -> None:
    """Let the daemon read the connection anew and trap its traffic, as it does when it starts."""
    on_gateway(site, f"{ADD_CONNECTION} {site.connection}; ipsec whack --route --name {site.connection}")


@contextmanager
def without_tunnel(site: Site) -> Iterator[None]:
    """Take the daemon, its watcher and all policies from a gateway while the block runs: the packet filter is left."""
    on_gateway(site, "systemctl stop vpn-watch ipsec; ip xfrm policy flush; ip xfrm state flush")
    try:
        yield
    finally:
        on_gateway(site, "systemctl start ipsec vpn-watch")


def refused_by_policy(site: Site) -> int:
    """Return how many packets the gateway's kernel has dropped because they came without the IPsec they must have."""
    counters = on_gateway(site, "cat /proc/net/xfrm_stat").split()
    by_name = dict(zip(counters[::2], map(int, counters[1::2]), strict=True))
    # Linux, Documentation/networking/xfrm_proc.rst: no policy, or one that wants other states (here: any at all).
    return by_name["XfrmInNoPols"] + by_name["XfrmInTmplMismatch"]


def save_state(site: Site) -> str:
    """Return what tells most about a gateway afterwards; a gateway that does not answer says so."""
    commands = (
        "journalctl --no-pager -b -n 2000 -o short-precise",
        "ipsec status",
        "ip -s xfrm state",
        "ip xfrm policy",
        "iptables -nvxL",
        "iptables -t nat -nvxL",
        "cat /proc/net/xfrm_stat",
    )
    text = ""
    for command in commands:
        try:
            done = hosts.run(site.gateway_id, ["sh", "-c", command], timeout=20)
            text += f"# {command}\n{(done.stdout + done.stderr).decode(errors='replace')}\n"
        except Exception as error:
            text += f"# {command}\n{type(error).__name__}: {error}\n"
    return text


def saved_states(pair: Pair) -> dict[str, str]:
    """Return gateway -> save_state."""
    return {site.gateway: save_state(site) for site in pair.sites}
