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

DIAL_SECONDS = 15


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
    """Seconds that SSH may take to answer, and then again that the tunnel may take."""


@dataclass(frozen=True, kw_only=True)
class Route:
    """The way of a probe host's ping, by what answers on it: private addresses, in the order they are passed."""

    site: str
    gateway: str
    peer_site: str
    peer_gateway: str
    target: str
    """The peer's probe host."""


def verify_gateway(proof: Proof, gateway: Host) -> remote.Command:
    """Run `vpn-verify` on a gateway; red unless every layer of its tunnels holds."""
    # Red, the engine shows everything printed: then not the JSON, only the lines for people that went to stderr.
    script = f"report=$(sudo vpn-verify --json --wait {proof.timeout}) && printf '%s\\n' \"$report\""
    return _command(proof, f"verify-{gateway.site}", gateway, script)


def ping_from(
    proof: Proof, probe_host: Host, route: Route, *, gateway: Host, depends_on: Sequence[pulumi.Resource]
) -> remote.Command:
    """Run the article's ping on a probe host, reached through its gateway; red unless 0 % loss and ttl 62."""
    script = ping_script(route, wait=proof.timeout)
    return _command(proof, f"ping-{probe_host.site}", probe_host, script, gateway=gateway, depends_on=depends_on)


def ping_script(route: Route, *, wait: int) -> str:
    """Return a POSIX shell script: wait up to `wait` seconds for the target, ping it five times, judge what ping says.

    Prints ping's output; exit code 0 only for 0 % loss and `EXPECTED_TTL` in every reply. Else it asks what lies on the
    way, one after the other, and names the cause, or all that cannot be told apart from here.
    """
    here, there, target = route.site, route.peer_site, route.target
    return f"""\
answers() {{
  if ping -c 3 -W 2 "$1" >/dev/null 2>&1; then echo "$1 ($2) answers"; else
    echo "$1 ($2) is silent"
    return 1
  fi
}}
deadline=$(($(date +%s) + {wait}))
until ping -c 1 -W 1 {target} >/dev/null 2>&1 || [ "$(date +%s)" -ge "$deadline" ]; do sleep 1; done
report=$(ping -c {PINGS} {target})
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


def _connection(proof: Proof, host: Host, gateway: Host | None) -> remote.ConnectionArgs:
    return remote.ConnectionArgs(
        host=host.address,
        user=HOST_USER,
        private_key=proof.private_key,
        host_key=host.host_public_key,
        # The instance boots while we dial: how long that may take is for the timeout to say, not for a count.
        dial_error_limit=-1,
        per_dial_timeout=DIAL_SECONDS,
        proxy=None if gateway is None else _proxy(proof, gateway),
    )


def _proxy(proof: Proof, gateway: Host) -> remote.ProxyConnectionArgs:
    return remote.ProxyConnectionArgs(
        host=gateway.address,
        user=HOST_USER,
        private_key=proof.private_key,
        host_key=gateway.host_public_key,
        dial_error_limit=-1,
        per_dial_timeout=DIAL_SECONDS,
    )


def _command(
    proof: Proof,
    thing: str,
    host: Host,
    script: str,
    *,
    gateway: Host | None = None,
    depends_on: Sequence[pulumi.Resource] = (),
) -> remote.Command:
    whole = f"{2 * proof.timeout + 60}s"
    return remote.Command(
        f"{proof.resource_name}-{thing}",
        connection=_connection(proof, host, gateway),
        create=script,
        triggers=list(proof.triggers),
        # A success is the stack's output and needs no log; a failure is printed whole in any case.
        logging=remote.Logging.NONE,
        add_previous_output_in_env=False,
        opts=pulumi.ResourceOptions(
            parent=proof.parent,
            depends_on=list(depends_on) or None,
            deleted_with=host.instance,
            custom_timeouts=pulumi.CustomTimeouts(create=whole, update=whole),
        ),
    )
