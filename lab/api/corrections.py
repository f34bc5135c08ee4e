"""AWS's rules that moto lacks or breaks: how each is declared, and how moto is made to follow them.

There are two kinds of rules. Both carry AWS's rule in one sentence and the page that states it:

- `@refuses(action, …)` marks a check that runs before an action and raises AWS's error when the rule is broken. It sees
  the call as the client made it: what moto does internally (e.g. deleting a VPC's default group) is not checked.
- `@corrects(…)` marks a method or property of a subclass of a moto class that behaves as AWS does.

`verify` compares every `@corrects` method with the one it replaces, so that a different moto is refused.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, TypeVar

from moto.ec2.models import EC2Backend

MOTO_VERSION: Final = "5.2.5"
"""The only supported version: every correction depends on the signatures and behaviour of its methods."""

_MARK: Final = "__aws_rule__"
Function = TypeVar("Function", bound=Callable[..., Any])


class IncompatibleMotoError(RuntimeError):
    """The installed moto is not the version that the corrections were written for."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A rule of AWS in one sentence, and the page that states it."""

    statement: str
    source: str
    """Path below https://docs.aws.amazon.com/."""
    adds: bool = False
    """Whether the method is new, rather than a replacement of a method of moto."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of the EC2 API, as the client made it."""

    action: str
    backend: EC2Backend
    """The backend of the call's region."""
    parameter: Callable[..., Any]
    """`parameter(name, default=None)`: a request parameter; `IamInstanceProfile.Name` is a field of a structure."""


Check = Callable[[Call], None]

_checks: dict[str, list[tuple[Rule, Check]]] = {}


def refuses(*actions: str, rule: str, source: str) -> Callable[[Check], Check]:
    """Run the decorated check before each of `actions` (names as in the API, e.g. `DeleteSubnet`)."""

    def decorate(check: Check) -> Check:
        for action in actions:
            _checks.setdefault(action, []).append((Rule(statement=rule, source=source), check))
        return check

    return decorate


def checked_actions() -> frozenset[str]:
    """Return the actions that have at least one check."""
    return frozenset(_checks)


def run_checks(call: Call) -> None:
    """Raise AWS's error when `call` breaks a rule. The checks run in the order of their declaration."""
    for _, check in _checks.get(call.action, ()):
        check(call)


def corrects(rule: str, source: str, *, adds: bool = False) -> Callable[[Function], Function]:
    """Mark a method (or the getter of a property) of a subclass of a moto class as AWS's behaviour.

    With `adds`, moto's class has no such method or property and the subclass adds it.
    """

    def decorate(function: Function) -> Function:
        setattr(function, _MARK, Rule(statement=rule, source=source, adds=adds))
        function.__doc__ = f"{rule} Source: https://docs.aws.amazon.com/{source}"
        return function

    return decorate


def rules_of(subclass: type) -> Iterator[tuple[str, Rule]]:
    """Yield the name and the rule of every correction that `subclass` itself declares."""
    for name, member in vars(subclass).items():
        rule = getattr(_function(member), _MARK, None)
        if rule is not None:
            yield name, rule


def all_refusals() -> Iterator[tuple[str, Rule]]:
    """Yield the action and the rule of every check."""
    for action, checks in sorted(_checks.items()):
        for rule, _ in checks:
            yield action, rule


def require_moto_version() -> None:
    """Raise `IncompatibleMotoError` unless the supported version of moto is installed."""
    installed = version("moto")
    if installed != MOTO_VERSION:
        raise IncompatibleMotoError(
            f"moto {installed} is installed, but the lab's corrections are for moto {MOTO_VERSION}: "
            f"install moto=={MOTO_VERSION}, or review moto's changes and update MOTO_VERSION in {__name__}"
        )


def verify(subclass: type, original: type) -> None:
    """Raise `IncompatibleMotoError` when `original` has no counterpart of the same shape for a correction."""
    for name, rule in rules_of(subclass):
        replaced = inspect.getattr_static(original, name, None)
        method = f"{subclass.__module__}.{subclass.__qualname__}.{name}"
        if rule.adds:
            if replaced is not None:
                raise IncompatibleMotoError(f"{method} is declared as new, but moto's {original.__qualname__} has it")
            continue
        if replaced is None:
            raise IncompatibleMotoError(f"{method} corrects nothing: moto's {original.__qualname__} has no {name}")
        correction = inspect.getattr_static(subclass, name)
        if _shape(correction) != _shape(replaced):
            raise IncompatibleMotoError(f"{method}{_shape(correction)} does not fit moto's {name}{_shape(replaced)}")


def _function(member: object) -> object:
    return member.fget if isinstance(member, property) else member


def _shape(member: object) -> tuple[object, ...]:
    function = _function(member)
    if not callable(function):
        return ("attribute",)
    parameters = inspect.signature(function).parameters.values()
    return (isinstance(member, property), *((p.name, p.kind) for p in parameters))
