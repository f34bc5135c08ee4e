"""The base of every stand-in for a resource plugin.

A plugin declares `Resource`s and `Function`s and hands them to a `Provider`; `serve` runs it for the engine:

    serve(Provider("random", [RANDOM_ID, RANDOM_BYTES]))

It is built on the SDK's own `pulumi.provider.experimental`.
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
