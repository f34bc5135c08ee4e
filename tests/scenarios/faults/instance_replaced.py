"""Pulumi replaces a gateway's instance."""

from lab import stack
from tests.scenarios.gateway import StepError
from tests.scenarios.scenario import Expectation, Steps, Variant
from tests.scenarios.sites import Pair

DESCRIPTION = "`pulumi up` replaces the instance of uk's gateway. It may turn green only when packets cross."
EXPECTATION = Expectation(
    limit_seconds=0, before_end=True, goal="before pulumi up ends", healed_by="the new instance's first boot"
)
VARIANTS = (
    Variant(name="instance-replaced", title="pulumi up replaces uk's instance", seconds=150, at=("uk",), is_down=True),
)


def steps(pair: Pair, _variant: Variant) -> Steps:
    quiet = ["--yes", "--suppress-permalink", "--suppress-progress"]
    done = stack.pulumi(["up", "--stack", stack.STACK, *quiet, "--replace", pair.uk.gateway.urn()], capture=True)
    if done.returncode:
        raise StepError(f"pulumi up --replace exits with {done.returncode}:\n{done.stdout[-3000:]}{done.stderr}")
    yield
