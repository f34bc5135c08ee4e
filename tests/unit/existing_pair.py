"""A pair whose left side is in an existing network, for tests of what it creates and refuses."""

from typing import Any

import pytest

from components import SettingsError, VpnGatewayPair
from tests.unit.existing_cloud import ExistingCloud
from tests.unit.recording import Deployment, Recorder

ROUTE = "aws:ec2/route:Route"
"""Type of a route."""


def pair(
    deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any], left: Any, *, preview: bool = False
) -> Recorder:
    """Deploy the pair, or preview it."""
    cloud.answer(deployment)
    args: Any = {**article, "left": left}
    return deployment.run(lambda: VpnGatewayPair("vpn", args), preview=preview)


def routes(recorder: Recorder) -> dict[str, tuple[str, str, str]]:
    """Return name -> table, destination and interface of each route of the left side."""
    return {
        each.name: tuple(each.inputs[key] for key in ("routeTableId", "destinationCidrBlock", "networkInterfaceId"))
        for each in recorder.of_type(ROUTE)
        if each.name.startswith("vpn-uk-")
    }


def refusals(deployment: Deployment, cloud: ExistingCloud, article: dict[str, Any], left: Any) -> list[str]:
    """Return the problems that a preview ends with."""
    with pytest.raises(SettingsError) as caught:
        pair(deployment, cloud, article, left, preview=True)
    return [str(problem) for problem in caught.value.problems]
