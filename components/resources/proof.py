"""The remote commands that prove a pair: `vpn-verify` on each gateway, the article's ping on each probe host."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from .scope import HOST_USER

PINGS = 5
"""As in the article: `ping -c 5`."""

EXPECTED_TTL = 62
"""Of a reply that two gateways have forwarded: a host's 64 less one each."""

DIAL_SECONDS = 2
"""For TCP, in one dial. Short: an address that says nothing is then given up soon after one that refuses. A lost first
packet is sent again after one second (RFC 6298, 2.1).
"""

_FIRST_DELAY, _BACK_OFF, _LONGEST_DELAY = 0.1, 1.5, 5.0
"""Between the plugin's dials, in seconds (pulumi/sdk, go/common/util/retry/until.go)."""

_LAST_LOOK = 120
"""Seconds that `vpn-verify` may take beyond what it waits: its last look begins before the time is up."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """A machine to log in to."""

    site: str
    address: pulumi.Input[str]
    instance: pulumi.Resource
    host_public_key: pulumi.Output[str] | None
    """None: not pinned. Probe hosts have no user data to set it; they are reached through a pinned gateway."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What all commands of one pair share."""

    parent: pulumi.Resource
    resource_name: str
    private_key: pulumi.Output[str]
    triggers: Sequence[pulumi.Output[str]]
    """Ids of all that packets cross: when one is new, everything is proved anew."""
    timeout: int
    """Seconds that SSH may take to answer, then the tunnel, then a probe host's SSH."""
    files: Sequence[tuple[str, int, str]]
    """`vpn-verify`: path, mode and text of each file."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """The way of a probe host's ping, by what answers on it: private addresses, in the order they are passed."""

    site: str
    gateway: str
    peer_site: str
    peer_gateway: str
    target: str
    """The peer's probe host."""


def dials(timeout: int) -> int:
    """Return after how many failed dials `timeout` seconds are over: the plugin's `dialErrorLimit`.

    A limit in place of a time: when its time is up the plugin says `context deadline exceeded`, and after the last of a
    number of dials why it failed. A dial that is refused takes no time, so it is never less than `timeout`; one that
    nothing answers takes `DIAL_SECONDS`, so it may be up to half as long again and 20 s.
    """
    count, waited, delay = 0, 0.0, _FIRST_DELAY
    while waited < timeout:
        count, waited, delay = count + 1, waited + delay, min(_BACK_OFF * delay, _LONGEST_DELAY)
    return count


_INSTALL = """
import os, sys
try:
    for path, mode, text in files:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path + ".new", "w", encoding="utf-8") as draft:
            draft.write(text)
        os.chmod(path + ".new", mode)
        os.replace(path + ".new", path)
except OSError as error:
    sys.exit(f"vpn-verify cannot be installed: {error}")
"""
"""Replaces each file as a whole: a `vpn-verify` that runs at the same time never reads half a file."""

_INSTALL_SECONDS = 60


def installer(files: Sequence[tuple[str, int, str]]) -> str:
    """Return a Python program that writes files (path, mode, text) on a gateway."""
    return f"files = {list(files)!a}\n{_INSTALL}"


def verify_gateway(proof: Proof, gateway: Host, *, probe_host: str | None) -> remote.Command:
    """Install `vpn-verify` on a gateway and run it; red unless every layer of its tunnels holds.

    Another `vpn-verify` is an update of this command alone, because the user data does not contain it. Then the command
    waits for the SSH server at the address `probe_host`, if there is one, so that the ping is dialled once.
    """
    script = verify_script(probe_host, wait=proof.timeout)
    connection = _connection(proof, gateway)
    return _command(proof, f"verify-{gateway.site}", connection, gateway, script, stdin=installer(proof.files))


def verify_script(probe_host: str | None, *, wait: int) -> str:
    """Return a POSIX shell script that runs the `installer` on its standard input, then `vpn-verify`.

    The engine shows a red script whole, but not its input. `vpn-verify` waits up to `wait` seconds; the script then
    waits as long for a probe host. Nothing ends a script that the plugin has started, so all that it runs is limited by
    timeout(1).
    """
    most = wait + _LAST_LOOK
    # Red, the engine shows everything printed: then not the JSON, only the lines for people that went to stderr.
    verify = f"""\
sudo timeout --kill-after=10 {_INSTALL_SECONDS} python3 - || exit
report=$(sudo timeout --kill-after=10 {most} vpn-verify --json --wait {wait}) || {{
  code=$?
  case $code in 124 | 137) echo "vpn-verify has not ended within {most} s: see the machine's system log" >&2 ;; esac
  exit "$code"
}}
"""
    arrival = f"""\
deadline=$(($(date +%s) + {wait}))
until timeout 10 ssh-keyscan -T 5 {probe_host} 2>/dev/null | grep -q . || [ "$(date +%s)" -ge "$deadline" ]; do
  sleep 1
done
"""
    return verify + (arrival if probe_host else "") + "printf '%s\\n' \"$report\"\n"


def ping_from(
    proof: Proof, probe_host: Host, route: Route, *, gateway: Host, depends_on: Sequence[pulumi.Resource]
) -> remote.Command:
    """Run the article's ping on a probe host, reached through its gateway; red unless 0 % loss and ttl 62."""
    script = ping_script(route, wait=proof.timeout)
    connection = _connection(proof, probe_host, gateway=gateway)
    return _command(proof, f"ping-{probe_host.site}", connection, probe_host, script, depends_on=depends_on)


def ping_script(route: Route, *, wait: int) -> str:
    """Return a POSIX shell script: wait up to `wait` seconds for the target, ping it five times, judge what ping says.

    Prints ping's output; exit code 0 only for 0 % loss and `EXPECTED_TTL` in every reply. Else it asks what lies on the
    way, one after the other, and names the cause, or all that cannot be told apart from here.
    """
    here, there, target = route.site, route.peer_site, route.target
    return f"""\
answers() {{
  if timeout 30 ping -c 3 -W 2 "$1" >/dev/null 2>&1; then echo "$1 ($2) answers"; else
    echo "$1 ($2) is silent"
    return 1
  fi
}}
deadline=$(($(date +%s) + {wait}))
until timeout 10 ping -c 1 -W 1 {target} >/dev/null 2>&1 || [ "$(date +%s)" -ge "$deadline" ]; do sleep 1; done
report=$(timeout 60 ping -c {PINGS} {target})
printf '%s\\n' "$report"
answered=$(printf '%s\\n' "$report" | grep -c ' ttl=')
replies=$(printf '%s\\n' "$report" | grep -c ' ttl={EXPECTED_TTL} ')
case "$report" in *' 0% packet loss'*) lost=no ;; *) lost=yes ;; esac
if [ "$lost" = no ] && [ "$replies" -eq {PINGS} ]; then exit 0; fi
exec >&2
echo "failed: $replies of {PINGS} pings to {target} answered with ttl={EXPECTED_TTL}, as through two gateways."
if [ "$answered" -eq {PINGS} ]; then
  echo "cause: another path than the tunnel leads to {there}: look at the routes of both private route tables."
elif [ "$answered" -gt 0 ]; then
  echo "cause: the path between the gateways loses packets; vpn-verify on both says more."
elif ! answers {route.gateway} {here}-gateway; then
  echo "cause: {here}-gateway is stopped, or its security group does not admit its own VPC."
elif ! answers {route.peer_gateway} {there}-gateway; then
  echo "cause: the source/destination check of {here}-gateway's network interface is on, or the default route of" \\
    "{here}'s private route table does not lead to that interface."
else
  echo "cause, on the other side: {target} is down, or its security group does not admit this host, or the" \\
    "source/destination check of {there}-gateway's network interface is on, or the default route of {there}'s" \\
    "private route table does not lead to that interface."
fi
exit 1
"""


def _connection(proof: Proof, host: Host, *, gateway: Host | None = None) -> remote.ConnectionArgs:
    return remote.ConnectionArgs(
        host=host.address,
        user=HOST_USER,
        private_key=proof.private_key,
        host_key=host.host_public_key,
        # Behind a gateway the plugin tries each login on the channel of the first, which that has closed: the reason
        # would be lost, and no login would come off. The gateway has waited for this host.
        dial_error_limit=dials(proof.timeout) if gateway is None else 0,
        per_dial_timeout=DIAL_SECONDS,
        proxy=None if gateway is None else _proxy(proof, gateway),
    )


def _proxy(proof: Proof, gateway: Host) -> remote.ProxyConnectionArgs:
    return remote.ProxyConnectionArgs(
        host=gateway.address,
        user=HOST_USER,
        private_key=proof.private_key,
        host_key=gateway.host_public_key,
        dial_error_limit=dials(proof.timeout),
        per_dial_timeout=DIAL_SECONDS,
    )


def _command(
    proof: Proof,
    thing: str,
    connection: remote.ConnectionArgs,
    host: Host,
    script: str,
    *,
    stdin: str | None = None,
    depends_on: Sequence[pulumi.Resource] = (),
) -> remote.Command:
    return remote.Command(
        f"{proof.resource_name}-{thing}",
        connection=connection,
        create=script,
        stdin=stdin,
        triggers=list(proof.triggers),
        # A success is the stack's output and needs no log; a failure is printed whole in any case.
        logging=remote.Logging.NONE,
        add_previous_output_in_env=False,
        # No custom timeouts: they would end the dialling without a word of why, and a running script not at all.
        opts=pulumi.ResourceOptions(
            parent=proof.parent, depends_on=list(depends_on) or None, deleted_with=host.instance
        ),
    )
