"""Compares a resource's state with a program's new inputs, property by property."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pulumi.provider.experimental.provider import DiffResponse, PropertyDiff, PropertyDiffKind

from lab.resource_plugins.base.naming import DEFAULTS
from lab.resource_plugins.base.resource import Input, Resource, Rule
from lab.resource_plugins.base.values import Properties, is_known

_ADD, _DELETE, _UPDATE = PropertyDiffKind.ADD, PropertyDiffKind.DELETE, PropertyDiffKind.UPDATE
_REPLACING = {
    _ADD: PropertyDiffKind.ADD_REPLACE,
    _DELETE: PropertyDiffKind.DELETE_REPLACE,
    _UPDATE: PropertyDiffKind.UPDATE_REPLACE,
}


@dataclass(frozen=True)
class Difference:
    """A property that differs, with the differing paths inside it."""

    key: str
    replaces: bool
    paths: dict[str, PropertyDiffKind]


def differences(
    resource: Resource, state: Properties, inputs: Properties, ignored: tuple[str, ...] = ()
) -> list[Difference]:
    """Return what differs between `state` and `inputs`, in the order of the resource's declaration.

    An absent input has its default; absent and empty are the same. `ignored` are the program's `ignore_changes`, of
    which only top-level names count.
    """
    desired = resource.with_defaults(inputs)
    result = []
    for key, rule in resource.inputs.items():
        skipped = rule.write_only or key in ignored or (rule.computed and desired.get(key) is None)
        if skipped or decide(rule.ignored, state, desired):
            continue
        paths = dict(_compare(key, rule, state.get(key), desired.get(key)))
        if paths:
            replaces = resource.update is None or decide(rule.replaces, state, desired)
            result.append(Difference(key, replaces, paths))
    return result


def response(resource: Resource, inputs: Properties, changes: list[Difference]) -> DiffResponse:
    """Return the response to the engine's Diff request for `changes`."""
    replaces = [each.key for each in changes if each.replaces]
    return DiffResponse(
        changes=bool(changes),
        replaces=replaces,
        diffs=[each.key for each in changes],
        delete_before_replace=bool(replaces) and _must_go_first(resource, inputs, replaces),
        detailed_diff={
            path: PropertyDiff(_REPLACING[kind] if each.replaces else kind, input_diff=False)
            for each in changes
            for path, kind in each.paths.items()
        },
    )


def _must_go_first(resource: Resource, inputs: Properties, replaces: list[str]) -> bool:
    """Tell whether the old resource has to be deleted first, because the program gives both the same name."""
    name = resource.auto_name
    return name is not None and name not in replaces and name not in inputs.get(DEFAULTS, [])


def decide(rule: Rule, state: Properties, inputs: Properties) -> bool:
    """Return the value of `rule` for a change from `state` to `inputs`."""
    return rule(state, inputs) if callable(rule) else rule


def same(rule: Input, old: Any, new: Any) -> bool:
    """Tell whether two values of an input mean the same."""
    return not dict(_compare("value", rule, old, new))


def is_empty(value: Any) -> bool:
    """Tell whether a value means the same as an absent one: null, false, zero, an empty string or collection."""
    return value is None or (isinstance(value, bool | int | float | str | list | dict) and not value)


def _compare(path: str, rule: Input, old: Any, new: Any) -> Iterator[tuple[str, PropertyDiffKind]]:
    if is_empty(old) and is_empty(new):
        return  # The real providers do not distinguish absent from empty, because Terraform's SDK does not.
    if is_empty(old) or is_empty(new):
        yield path, _ADD if is_empty(old) and old is None else _DELETE if new is None else _UPDATE
    elif rule.same is not None and is_known(new):
        if not rule.same(old, new):
            yield path, _UPDATE
    elif isinstance(old, dict) and isinstance(new, dict):
        keys = new.keys() if rule.partial else old.keys() | new.keys()
        for key in sorted(keys):
            yield from _compare(_child(path, key), _nested(rule), old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list):
        yield from _compare_lists(path, rule, old, new)
    elif type(old) is not type(new) or old != new:
        yield path, _UPDATE


def _compare_lists(path: str, rule: Input, old: list[Any], new: list[Any]) -> Iterator[tuple[str, PropertyDiffKind]]:
    if rule.unordered:
        remaining = list(old)
        for item in new:
            match = next((each for each in remaining if same(_nested(rule), each, item)), None)
            if match is None:
                yield path, _UPDATE
                return
            remaining.remove(match)
        if remaining:
            yield path, _UPDATE
        return
    for index in range(max(len(old), len(new))):
        before = old[index] if index < len(old) else None
        after = new[index] if index < len(new) else None
        yield from _compare(f"{path}[{index}]", _nested(rule), before, after)


def _nested(rule: Input) -> Input:
    return Input(partial=rule.partial, unordered=rule.unordered)


def _child(path: str, key: str) -> str:
    return f"{path}.{key}" if re.fullmatch(r"[A-Za-z_]\w*", key) else f'{path}["{key}"]'
