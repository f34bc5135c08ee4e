"""Prints every scenario and every cause, without running one: `python -m tests.scenarios`."""

from textwrap import fill

from tests.scenarios import scenario
from tests.scenarios.diagnosis.cause import Cause, Symptom
from tests.scenarios.diagnosis.causes import CAUSES
from tests.scenarios.first_boot import FirstBoot
from tests.scenarios.scenario import Scenario

_WIDTH, _INDENT = 100, " " * 4


def of_scenario(one: Scenario) -> list[str]:
    """Return the lines about a scenario."""
    healed_by = f"; healed by {one.expectation.healed_by}" if one.expectation.healed_by else ""
    return [
        f"{one.name}{' (make test)' if one.brief else ''}: {one.title}",
        one.description,
        f"lasts about {one.seconds:g} s; expected: {one.expectation}, no leak{healed_by}",
    ]


def of_cause(one: Cause) -> list[str]:
    """Return the lines about a cause."""
    answers = [f"{side} says {_answer(one.symptom(side))}" for side in one.sides()]
    pings = (f"ping of {side} says /{text}/" for side, text in one.pings.items())
    alarms = (f"alarm {name}" for name in sorted(one.alarms))
    silent = (f"{side} publishes nothing" for side in sorted(one.silent))
    return [f"{one.name}: {one.description}", "; ".join([*answers, *pings, *alarms, *silent])]


def _answer(symptom: Symptom | None) -> str:
    return f"{symptom.layer} failed, /{symptom.evidence}/" if symptom else "all is well"


def main() -> None:
    """Print the table."""
    for heading, entries in (
        (
            "Faults (tests/scenarios/faults): traffic has to flow again by itself",
            map(of_scenario, [FirstBoot().scenario, *scenario.load()]),
        ),
        ("Causes (tests/scenarios/diagnosis): vpn-verify has to name them", map(of_cause, CAUSES)),
    ):
        print(f"{heading}\n")
        for first, *others in entries:
            print(first)
            for text in others:
                print(fill(text, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT, break_on_hyphens=False))
        print()


if __name__ == "__main__":
    main()
