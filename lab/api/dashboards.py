"""Dashboards belong to the account, not to a region."""

import json
from typing import Any

from moto.cloudwatch.exceptions import DashboardInvalidInputError
from moto.cloudwatch.models import CloudWatchBackend, Dashboard, cloudwatch_backends

from lab.api.corrections import corrects

_HOME = "us-east-1"
"""The region whose backend keeps the dashboards of all regions."""
_PAGE = "AmazonCloudWatch/latest/APIReference/API_PutDashboard.html"


class DashboardBackend(CloudWatchBackend):
    """The account's dashboards, seen from a region."""

    @property
    @corrects("All dashboards of an account are global, not of one region.", _PAGE, adds=True)
    def dashboards(self) -> dict[str, Dashboard]:
        home: Any = self if self.region_name == _HOME else cloudwatch_backends[self.account_id][_HOME]
        kept: dict[str, Dashboard] = home.kept_dashboards
        return kept

    @dashboards.setter
    def dashboards(self, new: dict[str, Dashboard]) -> None:
        self.kept_dashboards = new

    @corrects("The body of a dashboard is a JSON object with a list of widgets.", _PAGE)
    def put_dashboard(self, name: str, body: str) -> Dashboard:
        content = json.loads(body)
        if not isinstance(content, dict) or not isinstance(content.get("widgets"), list):
            raise DashboardInvalidInputError(
                'The dashboard body is invalid, there are validation errors: "widgets" must be a list of objects'
            )
        return super().put_dashboard(name, body)
