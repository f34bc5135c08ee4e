"""The base of every stand-in for a resource plugin.

A plugin declares `Resource`s and `Function`s and passes them to a `Provider`, which `serve` runs for the engine:

    serve(Provider("random", [RANDOM_ID, RANDOM_BYTES]))

The base uses `pulumi.provider.experimental` of the SDK.
"""

from lab.resource_plugins.base.dispatch import Provider, UnsupportedError
from lab.resource_plugins.base.resource import Call, CancelledError, Function, Input, Resource, TimedOutError
from lab.resource_plugins.base.server import serve
from lab.resource_plugins.base.values import UNKNOWN, Properties, is_known

__all__ = [
    "UNKNOWN",
    "Call",
    "CancelledError",
    "Function",
    "Input",
    "Properties",
    "Provider",
    "Resource",
    "TimedOutError",
    "UnsupportedError",
    "is_known",
    "serve",
]
