"""The declaration of a resource type or function: its inputs, its outputs, and its handlers."""

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from lab.resource_plugins.base.log import Logger
from lab.resource_plugins.base.values import Properties

T = TypeVar("T")


class CancelledError(Exception):
    """The engine asked the plugin to stop waiting."""


class TimedOutError(Exception):
    """A condition was not met within the time of the operation."""


@dataclass
class Call:
    """One request of the engine."""

    type: str
    """Token of the resource or function."""
    name: str
    """Logical name of the resource in the program; empty for functions."""
    configuration: Any
    """The return value of the plugin's `configure`."""
    timeout: float
    """Seconds the operation may take: the program's `custom_timeouts`, or the resource's default."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    created_id: str | None = None
    started: float = field(default_factory=time.monotonic)
    log: Logger = lambda _severity, _line: None
    """Shows the user a line about this resource while the operation runs."""

    def created(self, resource_id: str) -> str:
        """Record that the resource exists. If the operation fails later, the engine keeps the resource in the state."""
        self.created_id = resource_id
        return resource_id

    def wait_until(self, what: str, probe: Callable[[], T | None], *, interval: float = 0.1) -> T:
        """Call `probe` until it returns something other than None or False, and return that.

        The pause between calls doubles from `interval` seconds up to 5 s. Raises TimedOutError with `what` after
        `timeout` seconds, CancelledError when the engine cancels.
        """
        while True:
            result = probe()
            if result is not None and result is not False:
                return result
            if time.monotonic() - self.started > self.timeout:
                raise TimedOutError(
                    f"{what}: not within {self.timeout:.0f} s; find the reason or raise custom_timeouts"
                )
            if self.cancelled.wait(interval):
                raise CancelledError(f"{what}: cancelled while waiting")
            interval = min(interval * 2, 5.0)


Rule: TypeAlias = bool | Callable[[Properties, Properties], bool]
"""A constant, or a function of (old state, new inputs)."""


@dataclass(frozen=True)
class Input:
    """An input property and the effect of changing it."""

    replaces: Rule = False
    """Whether a change replaces the resource."""
    required: bool = False
    default: Any = None
    """Value of an absent input."""
    computed: bool = False
    """Whether the provider chooses a value for an absent input. Its absence is then not a difference."""
    ignored: Rule = False
    """Whether a change is ignored (for options of the provider itself, e.g. `forceDestroy`)."""
    write_only: bool = False
    """Whether the state never has it, so that a change cannot be detected."""
    unordered: bool = False
    """Whether a list is a set, whose order does not matter."""
    partial: bool = False
    """Whether only those keys of an object are compared that the program sets; the provider chooses the rest."""
    same: Callable[[Any, Any], bool] | None = None
    """Tells whether two present values mean the same, where equality is too strict (e.g. for JSON documents)."""


CreateHandler: TypeAlias = Callable[[Call, Properties], str | tuple[str, Properties]]
ReadHandler: TypeAlias = Callable[[Call, str, Properties], Properties | None]
UpdateHandler: TypeAlias = Callable[[Call, str, Properties, Properties, frozenset[str]], Properties | None]
DeleteHandler: TypeAlias = Callable[[Call, str, Properties], None]
PlanHandler: TypeAlias = Callable[[Call, Properties, Properties], Properties]
CheckHandler: TypeAlias = Callable[[Call, Properties], Properties | list[tuple[str, str]]]


@dataclass(frozen=True)
class Resource:
    """A resource type. Its state is all inputs, updated with the result of `read`."""

    token: str
    """For example `aws:ec2/vpc:Vpc`."""
    inputs: Mapping[str, Input]
    create: CreateHandler
    """(call, inputs with defaults) -> id, or (id, outputs). If it returns only the id, `read` returns the outputs."""
    read: ReadHandler | None = None
    """(call, id, previous state) -> outputs; None when the resource does not exist. On import the previous state is
    empty, and an output `id` replaces the id. Without a `read` the state never changes by itself, and import is
    refused."""
    update: UpdateHandler | None = None
    """(call, id, old state, new inputs with defaults, names of changed inputs) -> outputs, or None: then `read` returns
    them. Without an `update` every change replaces."""
    delete: DeleteHandler | None = None
    """(call, id, state). Must accept a resource that no longer exists. Without a `delete` nothing is done."""
    outputs: Sequence[str] = ()
    """Properties that are not inputs; unknown in the preview of a creation."""
    secret_outputs: Collection[str] = ()
    """Properties, including inputs, that are always secret."""
    moved_by: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Output -> inputs whose change makes it unknown in the preview of an update; `*` stands for any input."""
    plan: PlanHandler | None = None
    """(call, inputs with defaults, old state or {}) -> outputs that are known before the operation."""
    check: CheckHandler | None = None
    """(call, inputs) -> the inputs to use, or a list of (input, problem). Inputs may be unknown."""
    auto_name: str | None = None
    """Input that gets a generated name when absent; see `naming`."""
    name_length: int = 255
    timeout: float = 600.0
    """Seconds an operation may take when the program sets no `custom_timeouts`."""

    def with_defaults(self, inputs: Properties) -> Properties:
        """Return `inputs` without nulls, and with the defaults of absent inputs."""
        defaults = {key: each.default for key, each in self.inputs.items() if each.default is not None}
        return {**defaults, **{key: value for key, value in inputs.items() if value is not None}}


@dataclass(frozen=True)
class Function:
    """A function that programs can call ("invoke")."""

    token: str
    """For example `aws:ec2/getAmi:getAmi`."""
    handler: Callable[[Call, Properties], Properties]
    """(call, arguments) -> result."""
    secret_outputs: Collection[str] = ()
