"""The stream and the captures while `pulumi up` boots both gateways for the first time."""

import threading
import time

from botocore.exceptions import BotoCoreError, ClientError

from lab import stack
from lab.progress import say
from tests.scenarios import runner, sites
from tests.scenarios.report import Result
from tests.scenarios.scenario import BOTH_SEND, Expectation, Scenario, Steps, Variant
from tests.scenarios.sites import Pair
from tests.scenarios.stream import Stream, StreamError

_POLL_SECONDS = 0.5


class FirstBoot:
    """One `pulumi up` from nothing, observed from the moment the private hosts have a network."""

    def __init__(self, *, judged: bool = True) -> None:
        expectation = Expectation(
            limit_seconds=0, before_end=True, goal="before pulumi up ends", healed_by="the first boots"
        )
        self.code: int | None = None
        """Exit code of `pulumi up`."""
        self.scenario = Scenario(
            name="first-boot",
            title="pulumi up boots both gateways for the first time",
            description="`pulumi up` makes the stack from nothing. It may turn green only when packets cross.",
            expectation=expectation if judged else expectation.untimed(),
            steps=self._steps,
            seconds=200,
            at=("uk", "au"),
            is_down=True,
            brief=True,
        )
        self._up = threading.Event()
        self._stream: Stream | None = None

    def run(self) -> Result:
        """Bring the stack up and return the result of the stream. `code` then has the exit code of `pulumi up`."""
        deploying = threading.Thread(target=self._deploy, name="pulumi-up")
        deploying.start()
        try:
            pair, self._stream = self._first_sight()
            with self._stream:
                result = runner.observe(self.scenario, pair, self._stream)
        finally:
            deploying.join()
        if not self.code:
            self._print_watch_log()
        return result

    def _steps(self, _pair: Pair, _variant: Variant) -> Steps:
        assert self._stream
        self._stream.send(BOTH_SEND)
        self._up.wait()
        yield

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
                with Stream(pair):
                    pass
            except (OSError, LookupError, StopIteration, StreamError, BotoCoreError, ClientError) as error:
                if self._up.is_set():
                    raise RuntimeError(f"pulumi up ended with {self.code}, and there is no pair: {error}") from error
                time.sleep(_POLL_SECONDS)
                continue
            return pair, Stream(pair)

    def _print_watch_log(self) -> None:
        # The log explains a first boot that took long.
        for gateway in sites.find().gateways:
            for line in gateway.run("journalctl -b -u vpn-watch -o short-monotonic").splitlines():
                if " tunnel " in line:
                    say(f"{self.scenario.name}: {line}")
