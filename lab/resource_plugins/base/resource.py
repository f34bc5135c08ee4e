"""What a plugin says about a resource type or a function: its inputs, its outputs, and the functions that act."""

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
    """What an operation waited for did not happen in its time."""


@dataclass
class Call:
    """One request as a handler sees it."""

    type: str
    """Token of the resource or function."""
    name: str
    """Logical name of the resource in the program; empty for functions."""
    configuration: Any
    """What the plugin's `configure` returned."""
    timeout: float
    """Seconds the operation may take: the program's `custom_timeouts`, else the resource's default."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    created_id: str | None = None
    started: float = field(default_factory=time.monotonic)
    log: Logger = lambda _severity, _line: None
    """Shows the user a line about this resource while the operation runs."""

    def created(self, resource_id: str) -> str:
        """Remember that the resource exists now: a failure from here on keeps it in the state, to be gone on with."""
        self.created_id = resource_id
        return resource_id

    def wait_until(self, what: str, probe: Callable[[], T | None], *, interval: float = 0.1) -> T:
        """Ask `probe` until it answers something else than None or False; return that.

        The pause doubles from `interval` seconds up to 5 s. Raises TimedOutError naming `what` after `timeout`
        seconds, CancelledError when the engine cancels.
        """
        while True:
            answer = probe()
            if answer is not None and answer is not False:
                return answer
            if time.monotonic() - self.started > self.timeout:
                raise TimedOutError(f"{what}: not within {self.timeout:.0f} s; raise custom_timeouts or look why")
            if self.cancelled.wait(interval):
                raise CancelledError(f"{what}: cancelled while waiting")
            interval = min(interval * 2, 5.0)


Rule: TypeAlias = bool | Callable[[Properties, Properties], bool]
"""A fact, or a decision by (old state, new inputs)."""


@dataclass(frozen=True)
class Input:
    """One input property, and what a change of it means."""

    replaces: Rule = False
    """Whether a change of it makes a new resource."""
    required: bool = False
    default: Any = None
    """Value that stands for an absent input."""
    computed: bool = False
    """Whether the provider chooses a value for an absent input: absence is then no difference."""
    ignored: Rule = False
    """Whether a change of it alone is no change (options of the provider itself, e.g. `forceDestroy`)."""
    write_only: bool = False
    """Whether the state never holds it, so that a change of it cannot be seen."""
    unordered: bool = False
    """Whether a list is a set: its order is no difference."""
    partial: bool = False
    """Whether an object is compared only in what the program says about it; the provider chooses the rest."""
    same: Callable[[Any, Any], bool] | None = None
    """Says whether two present values mean the same, where that is more than being equal (e.g. JSON documents)."""


CreateHandler: TypeAlias = Callable[[Call, Properties], str | tuple[str, Properties]]
ReadHandler: TypeAlias = Callable[[Call, str, Properties], Properties | None]
UpdateHandler: TypeAlias = Callable[[Call, str, Properties, Properties, frozenset[str]], Properties | None]
DeleteHandler: TypeAlias = Callable[[Call, str, Properties], None]
PlanHandler: TypeAlias = Callable[[Call, Properties, Properties], Properties]
CheckHandler: TypeAlias = Callable[[Call, Properties], Properties | list[tuple[str, str]]]


@dataclass(frozen=True)
class Resource:
    """A resource type. The state is every input, overlaid by what `read` returns."""

    token: str
    """For example `aws:ec2/vpc:Vpc`."""
    inputs: Mapping[str, Input]
    create: CreateHandler
    """(call, inputs with defaults) -> id, or (id, outputs). Given only the id, `read` is asked for the outputs."""
    read: ReadHandler | None = None
    """(call, id, state so far) -> outputs; None when the resource is gone. On import the state so far is empty, and
    `id` among the outputs says what the id is from now on. Without it the state never changes by itself, and import
    is refused."""
    update: UpdateHandler | None = None
    """(call, id, old state, new inputs with defaults, names of changed inputs) -> outputs, or None: `read` is asked.
    Without it every change replaces."""
    delete: DeleteHandler | None = None
    """(call, id, state). What is gone already is no error. Without it, deleting only forgets."""
    outputs: Sequence[str] = ()
    """Properties that are no inputs; unknown in the preview of a creation."""
    secret_outputs: Collection[str] = ()
    """Properties, inputs too, that are secret whatever the program said."""
    moved_by: Mapping[str, Collection[str]] = field(default_factory=dict)
    """Output -> inputs whose change makes it unknown in the preview of an update. `*` is any input."""
    plan: PlanHandler | None = None
    """(call, inputs with defaults, old state or {}) -> outputs that are known before the operation."""
    check: CheckHandler | None = None
    """(call, inputs) -> the inputs to use, or a list of (input, what is wrong with it). May see unknowns."""
    auto_name: str | None = None
    """Input that is filled in with `<logical name>-<7 hex>` when absent."""
    name_length: int = 255
    timeout: float = 600.0
    """Seconds an operation may take when the program sets no `custom_timeouts`."""

    def with_defaults(self, inputs: Properties) -> Properties:
        """Return `inputs` with the default of every absent one that has one, and without nulls."""
        defaults = {key: each.default for key, each in self.inputs.items() if each.default is not None}
        return {**defaults, **{key: value for key, value in inputs.items() if value is not None}}


@dataclass(frozen=True)
class Function:
    """A function that programs call ("invoke")."""

    token: str
    """For example `aws:ec2/getAmi:getAmi`."""
    answer: Callable[[Call, Properties], Properties]
    secret_outputs: Collection[str] = ()
