"""The faults: what each does to the pair, when its cause ends, and how soon traffic must flow again.

An action brings its fault about and returns when the cause was over (seconds since the epoch): from then on the pair
has to help itself. It leaves nothing behind that the pair could not mend; what else it changed, its `restore` undoes
after the measurement.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from lab import network_faults
from tests.scenarios import endpoint, operations
from tests.scenarios.report import Expectation
from tests.scenarios.sites import Pair, Site

Action = Callable[[Pair], float]
Talkers = Mapping[str, Sequence[str]]

EVERYBODY: Final[Talkers] = {"uk": endpoint.KINDS, "au": endpoint.KINDS}

_PARTITION = Expectation(limit_seconds=5, goal="partition")
_DAEMON = Expectation(limit_seconds=10, goal="daemon")
_REBOOT = Expectation(limit_seconds=15, goal="bare boot + 15 s")
_LOSSLESS = Expectation(limit_seconds=0, lossless=True)
REKEY: Final = Expectation(limit_seconds=0, lossless=True, hiccup_seconds=0.25)
"""RFC 7296, 2.8: a responder that sends by a new Child SA at once, as Libreswan does, sends what the initiator cannot
take before it has done its arithmetic. That is milliseconds on a processor, and a tenth of a second on an emulated one.
"""
_NEW_PSK = "a-secret-that-was-changed-by-hand-0123456789"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One fault."""

    name: str
    title: str
    act: Action
    expectation: Expectation
    down: tuple[str, ...] = ()
    """Sites whose own gateway is down while the cause lasts, so that their way to the Internet is, too."""
    talkers: Talkers = field(default_factory=lambda: EVERYBODY)
    """Who sends what: a side that is not here is quiet."""
    restore: Action | None = None
    patience_seconds: float = 120.0
    """How long after the cause's end to wait for traffic before giving up."""
    brief: bool = False
    """Part of `make test`, which has not the time for all."""


def _reboot(*names: str) -> Action:
    return lambda pair: operations.reboot(*(pair.site(name) for name in names))


def _partition(seconds: float) -> Action:
    def act(pair: Pair) -> float:
        network_faults.inject("partition")
        try:
            time.sleep(seconds)
        finally:
            network_faults.heal()
        return time.time()

    return act


def _script(name: str, *scripts: str, pause: float = 0.0) -> Action:
    """Run scripts on one gateway, with a pause after each but the last."""

    def act(pair: Pair) -> float:
        for number, script in enumerate(scripts):
            time.sleep(pause if number else 0)
            operations.on_gateway(pair.site(name), script)
        return time.time()

    return act


def _kill(name: str) -> Action:
    # The cause is the killing; the daemon's new start is the gateway's own business.
    return _script(name, "kill -9 $(pidof pluto)")


def _connection_deleted(pair: Pair) -> float:
    operations.on_gateway(pair.uk, f"ipsec whack --delete --name {pair.uk.connection}")
    time.sleep(10)
    operations.add_connection(pair.uk)
    return time.time()


def _peer_stopped(pair: Pair) -> float:
    operations.stop_instance(pair.au)
    time.sleep(15)
    return operations.start_instance(pair.au)


def _replaced(pair: Pair) -> float:
    operations.replace_instance(pair.uk)
    return time.time()


def _rekeyed(pair: Pair) -> float:
    for site, what in ((pair.uk, "child"), (pair.uk, "ike"), (pair.au, "child"), (pair.au, "ike")):
        before = operations.security_associations(site)["out"]
        operations.rekey(site, what)
        if what == "child":
            operations.wait_until(
                f"a new Child SA on {site.gateway}",
                lambda site=site, before=before: not set(operations.security_associations(site)["out"]) <= set(before),  # type: ignore[misc]
                30,
            )
        time.sleep(3)
    return time.time()


def _secret_rotated(pair: Pair) -> float:
    """Change the secret on one side, try to negotiate with it, then change it on the other side as well."""
    for site in pair.sites:
        operations.on_gateway(site, f"cp -p {_secrets(site)} /root/psk.before")
    for site in pair.sites:
        line = f"{pair.uk.public_ip} {pair.au.public_ip} : PSK"
        operations.on_gateway(
            site,
            f"umask 077; cat >/root/psk.new; mv /root/psk.new {_secrets(site)}; ipsec whack --rereadsecrets",
            stdin=f'{line} "{_NEW_PSK}"\n',
        )
        # What stands would stand for hours; the next negotiation is what a new secret is about.
        operations.on_gateway(site, f"ipsec whack --rekey-ike --name {site.connection} || true")
        operations.on_gateway(site, f"ipsec whack --terminate --name {site.connection}; {_initiate(site)}")
        time.sleep(8)
    return time.time()


def _secret_restored(pair: Pair) -> float:
    for site in pair.sites:
        operations.on_gateway(site, f"mv /root/psk.before {_secrets(site)}; ipsec whack --rereadsecrets")
    return time.time()


def _secrets(site: Site) -> str:
    return f"/etc/ipsec.d/{site.connection}.secrets"


def _initiate(site: Site) -> str:
    return f"ipsec whack --initiate --asynchronous --name {site.connection}"


def _duplicated(pair: Pair) -> float:
    for site in pair.sites:
        operations.on_gateway(site, _initiate(site))
    return time.time()


def _lost(way: str) -> Action:
    def act(pair: Pair) -> float:
        operations.delete_associations(pair.uk, way)
        return time.time()

    return act


def _first_sas_differ(pair: Pair) -> float:
    operations.negotiate_in_vain(pair, pair.au, seconds=5)
    return time.time()


def _address_moved(pair: Pair) -> float:
    operations.take_address(pair.uk)
    try:
        time.sleep(20)
    finally:
        operations.give_address(pair.uk)
    return time.time()


CASES: Final = (
    Case(
        name="partition-20s",
        brief=True,
        title="the Internet between the two sites carries nothing for twenty seconds",
        act=_partition(20),
        expectation=_PARTITION,
    ),
    Case(
        name="partition-60s",
        title="the Internet between the two sites carries nothing for a minute",
        act=_partition(60),
        expectation=_PARTITION,
    ),
    Case(
        name="daemon-killed",
        brief=True,
        title="uk's IKE daemon is killed with SIGKILL",
        act=_kill("uk"),
        expectation=_DAEMON,
    ),
    Case(
        name="ipsec-stopped",
        title="ipsec on uk is stopped for ten seconds and started",
        act=_script("uk", "systemctl stop ipsec", "systemctl start ipsec", pause=10),
        expectation=_DAEMON,
    ),
    Case(
        name="ipsec-restarted",
        title="ipsec on au is restarted",
        act=_script("au", "systemctl restart ipsec"),
        expectation=_DAEMON,
    ),
    Case(
        name="connection-deleted",
        title="uk's connection is deleted and added again ten seconds later",
        act=_connection_deleted,
        expectation=_DAEMON,
    ),
    Case(
        name="filter-reloaded",
        brief=True,
        title="uk's packet filter is reloaded five times",
        act=_script("uk", *["systemctl reload vpn-filter"] * 5, pause=0.5),
        expectation=_LOSSLESS,
    ),
    Case(
        name="rekeyed",
        brief=True,
        title="IKE and Child SAs are rekeyed by each side in turn",
        act=_rekeyed,
        expectation=REKEY,
    ),
    Case(
        name="sa-duplicated",
        title="both sides negotiate a second time at the same moment",
        act=_duplicated,
        expectation=Expectation(limit_seconds=5),
    ),
    Case(
        name="sa-lost-out",
        title="uk's kernel loses the SA towards au",
        act=_lost("out"),
        expectation=Expectation(limit_seconds=30),
    ),
    Case(
        name="sa-lost-in",
        title="uk's kernel loses the SA from au",
        act=_lost("in"),
        expectation=Expectation(limit_seconds=30),
    ),
    Case(
        name="first-sas-differ",
        brief=True,
        title="both daemons start anew, and au's kernel has not the SAs that uk sends by first",
        act=_first_sas_differ,
        expectation=Expectation(limit_seconds=30),
    ),
    Case(
        name="secret-rotated",
        title="the pre-shared key is changed by hand, first on uk, then on au",
        act=_secret_rotated,
        restore=_secret_restored,
        expectation=Expectation(limit_seconds=30),
    ),
    Case(
        name="address-moved",
        title="uk's Elastic IP is taken away for twenty seconds and given back",
        act=_address_moved,
        expectation=Expectation(limit_seconds=30),
        down=("uk",),
    ),
    Case(
        name="quiet-daemon-killed",
        title="uk's IKE daemon is killed, and only au has something to say",
        act=_kill("uk"),
        talkers={"au": ["udp"]},
        expectation=_DAEMON,
    ),
    Case(
        name="quiet-ipsec-restarted",
        title="ipsec on uk is restarted, and only uk has something to say",
        act=_script("uk", "systemctl restart ipsec"),
        talkers={"uk": ["udp"]},
        expectation=_DAEMON,
    ),
    Case(
        name="quiet-partition",
        title="the Internet carries nothing for a minute, and only au has something to say",
        act=_partition(60),
        talkers={"au": ["udp"]},
        expectation=_PARTITION,
    ),
    Case(
        name="reboot-uk",
        title="uk's gateway is rebooted",
        act=_reboot("uk"),
        expectation=_REBOOT,
        down=("uk",),
    ),
    Case(
        name="reboot-au",
        title="au's gateway is rebooted",
        act=_reboot("au"),
        expectation=_REBOOT,
        down=("au",),
    ),
    Case(
        name="reboot-both",
        title="both gateways are rebooted at once",
        act=_reboot("uk", "au"),
        expectation=_REBOOT,
        down=("uk", "au"),
    ),
    Case(
        name="quiet-reboot",
        title="uk's gateway is rebooted, and only au has something to say",
        act=_reboot("uk"),
        talkers={"au": ["udp"]},
        expectation=_REBOOT,
        down=("uk",),
    ),
    Case(
        name="peer-stopped",
        title="au's instance is stopped, and started a quarter of a minute later",
        act=_peer_stopped,
        expectation=_REBOOT,
        down=("au",),
    ),
    Case(
        name="instance-replaced",
        title="pulumi up replaces uk's instance",
        act=_replaced,
        expectation=Expectation(limit_seconds=0, goal="before pulumi up ends"),
        down=("uk",),
    ),
    Case(
        name="partition-10min",
        title="the Internet between the two sites carries nothing for ten minutes",
        act=_partition(600),
        expectation=_PARTITION,
    ),
)
"""In this order: what disturbs least comes first."""
