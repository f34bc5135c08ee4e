"""The remote commands that prove a pair: `vpn-verify` on each gateway, the article's ping on each probe host."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from .scope import HOST_USER

PINGS = 5
"""As in the article: `ping -c 5`."""

EXPECTED_TTL = 62
"""TTL of a reply: 64, minus one for each of the two gateways."""

DIAL_SECONDS = 2
"""Limit of one dial over TCP. It is short, so that a silent address does not take much longer than one that refuses. It
leaves time for one retransmission, which TCP sends after one second (RFC 6298, 2.1).
"""

_FIRST_DELAY, _BACK_OFF, _LONGEST_DELAY = 0.1, 1.5, 5.0
"""Seconds between the plugin's dials (pulumi/sdk, go/common/util/retry/until.go)."""

_LAST_LOOK = 120
"""Seconds that `vpn-verify` may take after the end of its wait, because its last look begins before that."""


@dataclass(frozen=True, kw_only=True)
class Host:
    """A machine to log in to."""

    site: str
    address: pulumi.Input[str]
    instance: pulumi.Resource
    host_public_key: pulumi.Output[str] | None
    """None if it is not pinned. Probe hosts have no user data that could set it. The gateway before them is pinned."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """The settings that all commands of one pair share."""

    parent: pulumi.Resource
    resource_name: str
    private_key: pulumi.Output[str]
    triggers: Sequence[pulumi.Output[str]]
    """Ids of the resources that packets cross. When one changes, all commands run again."""
    timeout: int
    """Seconds that SSH may take to answer, then the tunnel, then a probe host's SSH."""
    files: Sequence[tuple[str, int, str]]
    """`vpn-verify`: path, mode and text of each file."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """The private addresses on the path of a probe host's ping, in the order in which packets pass them."""

    site: str
    gateway: str
    peer_site: str
    peer_gateway: str
    target: str
    """The peer's probe host."""


def dials(timeout: int) -> int:
    """Return the number of failed dials that take `timeout` seconds: the plugin's `dialErrorLimit`.

    After the last dial the plugin reports why that dial failed. With a time limit instead, it would report only
    `context deadline exceeded`. A refused dial takes no time, so the dials take at least `timeout`. A silent one takes
    `DIAL_SECONDS`, so they may take up to half as long again, plus 20 s.
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
"""Replaces each file by a rename, so that a `vpn-verify` that runs at the same time never reads half a file."""

_INSTALL_SECONDS = 60


def installer(files: Sequence[tuple[str, int, str]]) -> str:
    """Return a Python program that writes files (path, mode, text) on a gateway."""
    return f"files = {list(files)!a}\n{_INSTALL}"


def verify_gateway(proof: Proof, gateway: Host, *, probe_host: str | None) -> remote.Command:
    """Install `vpn-verify` on a gateway and run it. The command fails unless every layer holds.

    A new version of `vpn-verify` updates only this command, because the user data does not contain the program. With a
    `probe_host`, the command then waits for the SSH server at that address, so that the ping needs only one dial.
    """
    script = verify_script(probe_host, wait=proof.timeout)
    connection = _connection(proof, gateway)
    return _command(proof, f"verify-{gateway.site}", connection, gateway, script, stdin=installer(proof.files))


def verify_script(probe_host: str | None, *, wait: int) -> str:
    """Return a POSIX shell script that runs the `installer` on its standard input, then `vpn-verify`.

    The engine prints a failed script whole, but not its input. `vpn-verify` waits up to `wait` seconds. The script then
    waits as long for a probe host. The plugin never ends a script, so timeout(1) limits each program that it runs.
    """
    most = wait + _LAST_LOOK
    # The engine prints all output of a failed script. So a failure prints only the report for people, on stderr.
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
    """Run the article's ping on a probe host, through its gateway. It fails unless loss is 0 % and every ttl is 62."""
    script = ping_script(route, wait=proof.timeout)
    connection = _connection(proof, probe_host, gateway=gateway)
    return _command(proof, f"ping-{probe_host.site}", connection, probe_host, script, depends_on=depends_on)


def ping_script(route: Route, *, wait: int) -> str:
    """Return a POSIX shell script that waits up to `wait` seconds for the target, pings it five times, and judges that.

    The script prints ping's output. Its exit code is 0 only for 0 % loss and `EXPECTED_TTL` in every reply. Otherwise
    it pings each gateway on the path and names the cause, or all causes that it cannot tell apart from this host.
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
        # Behind a gateway the plugin uses one channel for all its logins, and a failed login closes it. So only the
        # first login can succeed or report a reason. The command on the gateway has waited for this host.
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
    name: str,
    connection: remote.ConnectionArgs,
    host: Host,
    script: str,
    *,
    stdin: str | None = None,
    depends_on: Sequence[pulumi.Resource] = (),
) -> remote.Command:
    return remote.Command(
        f"{proof.resource_name}-{name}",
        connection=connection,
        create=script,
        stdin=stdin,
        triggers=list(proof.triggers),
        # The stack's outputs have the output of a success, and the engine prints a failure whole.
        logging=remote.Logging.NONE,
        add_previous_output_in_env=False,
        # A custom timeout would end the dials without a reason, and would not end a running script.
        opts=pulumi.ResourceOptions(
            parent=proof.parent, depends_on=list(depends_on) or None, deleted_with=host.instance
        ),
    )
