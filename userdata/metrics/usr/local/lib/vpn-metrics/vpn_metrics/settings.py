"""Where the metrics go: /etc/vpn-gateway/metrics.json, which vpn-configure brings."""

import json
from typing import NamedTuple

PATH = "/etc/vpn-gateway/metrics.json"


class Settings(NamedTuple):
    """Where the metrics go."""

    region: str
    endpoint: str
    """Host name of CloudWatch in the region."""
    namespace: str
    dimensions: dict[str, str]
    """Dimensions of each metric: name -> value. Those of a tunnel have its name as well."""
    detailed: bool
    """Whether to publish the metrics of the set `detailed` too."""


def read_settings(path: str = PATH) -> Settings:
    """Return the settings in a file; raises OSError, ValueError or KeyError."""
    with open(path, encoding="utf-8") as file:
        data = json.load(file)
    return Settings(*map(data.__getitem__, Settings._fields))
