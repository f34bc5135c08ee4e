"""The answers of `vpn-verify`, and whether they are the diagnosis expected. Pure but for the functions that ask."""

import json
import math
import re
import subprocess
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.scenarios.diagnosis.cause import Symptom
from tests.scenarios.gateway import Gateway, StepError

SCREEN_LINES = 24
SCREEN_COLUMNS = 160
"""One screen."""

SILENT_SECONDS = 30.0
"""Limit for one run of vpn-verify when the peer is silent."""

WELL_SECONDS = 5.0
"""Limit for one run of vpn-verify when all is well."""

MARGIN = 1.5
"""The machines are emulated and share their cores. Times above the limit by more than this are no noise."""

_LONGEST_LOOK = 120.0
_POLL_SECONDS = 2.0


@dataclass(frozen=True)
class Layer:
    """One layer of a document of vpn-verify."""

    name: str
    status: str
    evidence: str
    remedy: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """One run of vpn-verify."""

    exit_code: int
    seconds: float
    layers: tuple[Layer, ...]
    text: str
    """Its output for people."""
    raw: str
    """Its whole output."""

    @property
    def failed(self) -> Layer | None:
        """The diagnosis: the first layer that failed; None when all hold."""
        return next((layer for layer in self.layers if layer.status == "failed"), None)

    @property
    def diagnosis(self) -> str:
        """The diagnosis in one line."""
        return "ok" if self.failed is None else f"{self.failed.name}: {self.failed.evidence}"


def ask(gateways: Sequence[Gateway], *, wait: float = 0.0) -> dict[str, Answer]:
    """Run `vpn-verify --json` on the gateways at the same time. Return each gateway's answer by its name.

    `wait` is the option of that name, in seconds.
    """
    with ThreadPoolExecutor(max_workers=max(1, len(gateways))) as pool:
        found = pool.map(lambda gateway: _ask(gateway, wait), gateways)
        return {gateway.name: answer for gateway, answer in zip(gateways, found, strict=True)}


def _ask(gateway: Gateway, wait: float) -> Answer:
    command = f"vpn-verify --json{f' --wait {wait:.0f}' if wait else ''}"
    began = time.monotonic()
    done = gateway.ask(command, timeout=wait + _LONGEST_LOOK)
    return read(done, time.monotonic() - began)


def read(done: subprocess.CompletedProcess[str], seconds: float) -> Answer:
    """Return the answer of a run that has ended. Raises ValueError when it printed no document."""
    printed, for_people = done.stdout, done.stderr
    try:
        document = json.loads(printed)
        layers = tuple(Layer(**{key: str(each[key]) for key in Layer.__annotations__}) for each in document["layers"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"no document of vpn-verify: {error}: {printed!r} {for_people!r}") from error
    return Answer(exit_code=done.returncode, seconds=seconds, layers=layers, text=for_people, raw=printed + for_people)


def await_diagnosis(gateway: Gateway, layer: str, evidence: str, *, within: float) -> Answer:
    """Ask a gateway until its diagnosis is `layer` and `evidence` (a regular expression) matches. Return that answer.

    Raises StepError with the last diagnosis after `within` seconds.
    """
    deadline, last = time.monotonic() + within, "nothing"
    while time.monotonic() < deadline:
        try:
            answer = _ask(gateway, 0)
        except (ValueError, subprocess.TimeoutExpired) as error:
            # It is booting and has no vpn-verify yet.
            last = str(error)
        else:
            last = answer.diagnosis
            if answer.failed and answer.failed.name == layer and re.search(evidence, answer.failed.evidence, re.I):
                return answer
        time.sleep(_POLL_SECONDS)
    raise StepError(f"{gateway.name} does not say {layer}: {evidence!r} within {within:.0f} s, but {last}")


def judge(answer: Answer, expected: Symptom | None, secrets: Sequence[str]) -> list[str]:
    """Return the differences between an answer and the diagnosis expected, and broken rules."""
    problems = [f"a secret of {len(secret)} characters is in the output" for secret in secrets if secret in answer.raw]
    if answer.exit_code != (0 if answer.failed is None else 1):
        problems.append(f"exit code {answer.exit_code} with {answer.diagnosis}")
    if answer.seconds > SILENT_SECONDS * MARGIN:
        problems.append(f"one look took {answer.seconds:.0f} s, not {SILENT_SECONDS:.0f}")
    failed = answer.failed
    if expected is None:
        return problems + ([] if failed is None else [f"{answer.diagnosis}, but all is to be well"])
    if failed is None:
        return [*problems, f"all is well, where {expected.layer} is to fail"]
    if not re.fullmatch(expected.layer, failed.name):
        problems.append(f"{answer.diagnosis}: the layer is to be {expected.layer}")
    elif not re.search(expected.evidence, failed.evidence, re.I):
        problems.append(f"{answer.diagnosis}: the evidence is to say {expected.evidence!r}")
    if not failed.remedy:
        problems.append(f"{failed.name} has no remedy")
    if rows(answer.text.splitlines()) > SCREEN_LINES:
        problems.append(f"{rows(answer.text.splitlines())} rows of {SCREEN_COLUMNS} columns, not {SCREEN_LINES}")
    return problems


def rows(lines: Iterable[str]) -> int:
    """Return how many rows of a screen the lines take when long ones are folded."""
    return sum(max(1, math.ceil(len(line) / SCREEN_COLUMNS)) for line in lines)
