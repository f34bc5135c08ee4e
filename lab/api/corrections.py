"""AWS's rules that moto lacks or breaks: how each is declared, and how moto is made to obey them.

A rule is one of two kinds, and both carry the sentence of AWS's rule and the page it comes from:

- `@refuses(action, …)` marks a check that runs before an action and raises AWS's error when the rule is broken. It sees
  the call as the client made it, so what moto does internally (deleting a VPC's default group, say) is not checked.
- `@corrects(…)` marks a method or property of a subclass of a moto class that behaves as AWS does.

`verify` compares every `@corrects` method with the one it replaces, so that no other moto is half corrected.
"""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Final, TypeVar

from moto.ec2.models import EC2Backend

MOTO_VERSION: Final = "5.2.5"
"""The one version whose methods were read; every correction leans on their signatures."""

_MARK: Final = "__aws_rule__"
Function = TypeVar("Function", bound=Callable[..., Any])


class IncompatibleMotoError(RuntimeError):
    """The installed moto is not the one that the corrections were written for."""


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What AWS does, in one sentence, and where AWS says so."""

    statement: str
    source: str
    """Path below https://docs.aws.amazon.com/."""
    adds: bool = False
    """Whether the method is new to the class, not a replacement of one of moto's."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of the EC2 API, as the client made it."""

    action: str
    backend: EC2Backend
    """The region the call is for."""
    parameter: Callable[..., Any]
    """`parameter(name, default=None)`: a request parameter; dots go into structures (`IamInstanceProfile.Name`)."""


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
    """Raise AWS's error when `call` breaks a rule; in the order in which the checks were declared."""
    for _, check in _checks.get(call.action, ()):
        check(call)


def corrects(rule: str, source: str, *, adds: bool = False) -> Callable[[Function], Function]:
    """Mark a method (or the getter of a property) of a subclass of a moto class as AWS's behaviour.

    `adds`: moto's class has no such method or property, the subclass adds it.
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
    """Raise `IncompatibleMotoError` unless moto is the version that was read."""
    installed = version("moto")
    if installed != MOTO_VERSION:
        raise IncompatibleMotoError(
            f"moto {installed} is installed, the lab's corrections are for moto {MOTO_VERSION}: "
            f"install moto=={MOTO_VERSION}, or read its changes and raise MOTO_VERSION in {__name__}"
        )


def verify(subclass: type, original: type) -> None:
    """Raise `IncompatibleMotoError` when a correction of `subclass` has no counterpart of its shape in `original`."""
    for name, rule in rules_of(subclass):
        theirs = inspect.getattr_static(original, name, None)
        where = f"{subclass.__module__}.{subclass.__qualname__}.{name}"
        if rule.adds:
            if theirs is not None:
                raise IncompatibleMotoError(f"{where} is said to be new, but moto's {original.__qualname__} has it")
            continue
        if theirs is None:
            raise IncompatibleMotoError(f"{where} corrects nothing: moto's {original.__qualname__} has no {name}")
        ours = inspect.getattr_static(subclass, name)
        if _shape(ours) != _shape(theirs):
            raise IncompatibleMotoError(f"{where}{_shape(ours)} does not fit moto's {name}{_shape(theirs)}")


def _function(member: object) -> object:
    return member.fget if isinstance(member, property) else member


def _shape(member: object) -> tuple[object, ...]:
    function = _function(member)
    if not callable(function):
        return ("attribute",)
    parameters = inspect.signature(function).parameters.values()
    return (isinstance(member, property), *((p.name, p.kind) for p in parameters))
