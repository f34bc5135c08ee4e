"""The stream and the captures while `pulumi up` boots both gateways for the first time."""

import threading
import time
from typing import Final

from botocore.exceptions import BotoCoreError, ClientError

from lab import stack
from lab.progress import say
from tests.scenarios import report, runner, sites
from tests.scenarios.captures import capturing, places
from tests.scenarios.report import Result
from tests.scenarios.runner import Times
from tests.scenarios.scenario import BOTH_SEND, Expectation, Scenario, Steps, Variant
from tests.scenarios.sites import Pair
from tests.scenarios.stream import IN_FLIGHT_SECONDS, Stream, StreamError

_POLL_SECONDS = 0.5
_PATIENCE_SECONDS = 30.0


def _no_steps(_pair: Pair, _variant: Variant) -> Steps:
    yield


FIRST_BOOT: Final = Scenario(
    name="first-boot",
    title="pulumi up boots both gateways for the first time",
    description="`pulumi up` makes the stack from nothing. It may only turn green when the tunnel carries packets.",
    steps=_no_steps,
    expectation=Expectation(limit_seconds=0, goal="before pulumi up ends", healed_by="the first boots"),
    seconds=200,
    at=("uk", "au"),
    is_down=True,
)


class FirstBoot:
    """One `pulumi up` from nothing, watched from the moment the private hosts have a network."""

    def __init__(self) -> None:
        self.code: int | None = None
        """Exit code of `pulumi up`."""
        self._up = threading.Event()

    def run(self) -> Result:
        """Bring the stack up and return the result of the stream. `code` then has the exit code of `pulumi up`."""
        deploying = threading.Thread(target=self._deploy, name="pulumi-up")
        deploying.start()
        try:
            pair, stream = self._first_sight()
            with stream:
                return self._watch(pair, stream)
        finally:
            deploying.join()

    def _deploy(self) -> None:
        try:
            self.code = stack.up()
        finally:
            self._up.set()

    def _first_sight(self) -> tuple[Pair, Stream]:
        """Return the pair and a stream as soon as the private hosts run."""
        while True:
            try:
                pair = sites.find()
                stream = Stream(pair)
                with stream:
                    pass
            except (OSError, LookupError, StopIteration, StreamError, BotoCoreError, ClientError) as error:
                if self._up.is_set():
                    raise RuntimeError(f"pulumi up ended with {self.code}, and there is no pair: {error}") from error
                time.sleep(_POLL_SECONDS)
                continue
            return pair, Stream(pair)

    def _watch(self, pair: Pair, stream: Stream) -> Result:
        folder = report.FOLDER / "captures" / FIRST_BOOT.name
        with capturing(places(pair), folder, stream.marker) as captures:
            began = time.time()
            stream.send(BOTH_SEND)
            say(f"{FIRST_BOOT.name}: the stream has begun, the gateways boot")
            self._up.wait()
            ended = time.time()
            runner.wait_until_steady(stream, BOTH_SEND, since=ended, deadline=ended + _PATIENCE_SECONDS)
            measured = time.time() - IN_FLIGHT_SECONDS
        if not self.code:
            self._print_watch_log()
        result = runner.evaluate(FIRST_BOOT, stream, captures, Times(began, ended, measured))
        runner.conclude(result, captures, sites.find(), folder)
        return result

    @staticmethod
    def _print_watch_log() -> None:
        # The log explains a first boot that took long.
        for gateway in sites.find().gateways:
            for line in gateway.run("journalctl -b -u vpn-watch -o short-monotonic").splitlines():
                if " tunnel " in line:
                    say(f"{FIRST_BOOT.name}: {line}")
