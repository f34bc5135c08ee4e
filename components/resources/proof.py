"""The remote commands that prove a pair: `vpn-verify` on each gateway, the article's ping on each probe host.

A gateway without peers is proved by `vpn-verify` alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi
from pulumi_command import remote

from ..decisions.files import File
from .remote_commands import INSTALL, Host, Login, installer, limited, or_exit, run_on
from .scope import Scope

PINGS = 5
"""As in the article: `ping -c 5`."""

EXPECTED_TTL = 62
"""TTL of a reply: 64, minus one for each of the two gateways."""

_FIRST_MINUTE = 150
"""Seconds until the first whole minute of metrics is published: at most 113 after `vpn-metrics` starts."""

_LAST_LOOK = 120
"""Seconds that `vpn-verify` may take after the end of its wait, because its last look begins before that."""


@dataclass(frozen=True, kw_only=True)
class Proof:
    """The settings that all commands of one pair share."""

    parent: pulumi.Resource
    resource_name: str
    login: Login
    """Its timeout is also that of the tunnel, and then of a probe host's SSH."""
    triggers: Sequence[pulumi.Output[str]]
    """Ids of the resources that packets cross. When one changes, all commands run again."""
    files: Sequence[File]
    """`vpn-verify`."""
    is_monitored: bool = False
    """Whether the gateways publish metrics, so that the proof waits for their first minute."""

    @property
    def wait(self) -> int:
        """Seconds that `vpn-verify` may take until every layer holds."""
        return max(self.login.timeout, _FIRST_MINUTE) if self.is_monitored else self.login.timeout


@dataclass(frozen=True, kw_only=True)
class Route:
    """The private addresses on the path of a probe host's ping, in the order in which packets pass them."""

    site: str
    gateway: str
    peer_site: str
    peer_gateway: str
    target: str
    """The peer's probe host."""


def verify_gateway(
    proof: Proof,
    gateway: Host,
    *,
    revision: pulumi.Output[str],
    probe_host: str | None,
    depends_on: Sequence[pulumi.Resource],
) -> remote.Command:
    """Install `vpn-verify` on a gateway and run it. The command fails unless every layer holds.

    It runs again when the `revision` of the gateway's files changes, and fails unless that is what the gateway runs. A
    new version of `vpn-verify` updates only this command, because the user data does not contain the program. With a
    `probe_host`, the command then waits for the SSH server at that address, so that the ping needs only one dial.
    """
    script = revision.apply(lambda known: verify_script(known, probe_host, wait=proof.wait))
    name = f"{proof.resource_name}-verify-{gateway.site}"
    options = pulumi.ResourceOptions(parent=proof.parent, depends_on=list(depends_on))
    stdin = installer(proof.files)
    return run_on(proof.login, gateway, name, script, stdin=stdin, triggers=proof.triggers, options=options)


def prove_alone(
    scope: Scope,
    login: Login,
    gateway: Host,
    *,
    revision: pulumi.Output[str],
    path: Sequence[pulumi.Output[str]],
    files: Sequence[File],
    configured: pulumi.Resource,
) -> remote.Command:
    """Run `vpn-verify` (`files`) on a gateway without peers, once it is `configured`.

    It runs again when its `revision` changes, or the id of a resource on the `path` of packets.
    """
    proof = Proof(
        parent=scope.parent,
        resource_name=scope.resource_name,
        login=login,
        triggers=[gateway.instance.id, *path],
        files=files,
    )
    return verify_gateway(proof, gateway, revision=revision, probe_host=None, depends_on=[configured])


def verify_script(revision: str, probe_host: str | None, *, wait: int) -> str:
    """Return a POSIX shell script that runs the `installer` on its standard input, then `vpn-verify`.

    The engine prints a failed script whole, but not its input. `vpn-verify` waits up to `wait` seconds. The script then
    waits as long for a probe host. The plugin never ends a script, so timeout(1) limits each program that it runs.
    """
    most = wait + _LAST_LOOK
    # The engine prints all output of a failed script. So a failure prints only the report for people, on stderr.
    run = limited("vpn-verify", f"--json --wait {wait} --revision {revision}", most)
    verify = f"{INSTALL}report=$({run}) {or_exit('vpn-verify', most)}"
    arrival = f"""\
deadline=$(($(date +%s) + {wait}))
until timeout 10 ssh-keyscan -T 5 {probe_host} 2>/dev/null | grep -q . || [ "$(date +%s)" -ge "$deadline" ]; do
  sleep 1
done
"""
    return verify + (arrival if probe_host else "") + "printf '%s\\n' \"$report\"\n"


def ping_from(
    proof: Proof,
    probe_host: Host,
    route: Route,
    *,
    gateway: Host,
    revisions: Sequence[pulumi.Output[str]],
    depends_on: Sequence[pulumi.Resource],
) -> remote.Command:
    """Run the article's ping on a probe host, through its gateway. It fails unless loss is 0 % and every ttl is 62.

    It runs again when one of the `revisions` of both gateways' files changes.
    """
    return run_on(
        proof.login,
        probe_host,
        f"{proof.resource_name}-ping-{probe_host.site}",
        ping_script(route, wait=proof.login.timeout),
        triggers=[*proof.triggers, *revisions],
        gateway=gateway,
        options=pulumi.ResourceOptions(parent=proof.parent, depends_on=list(depends_on)),
    )


def ping_script(route: Route, *, wait: int) -> str:
    """Return a POSIX shell script that waits up to `wait` seconds for the target, pings it five times, and judges that.

    If some pings are lost, it pings five times more and judges those alone: when both gateways have just begun the
    tunnel at the same time, `vpn-watch` may replace an SA once, which can lose a packet.

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
case "$report" in
  *' 0% packet loss'*) ;;
  *' ttl='*)
    printf '%s\\n' "$report" "Some pings were lost. Pinging again:" >&2
    report=$(timeout 60 ping -c {PINGS} {target})
    ;;
esac
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
