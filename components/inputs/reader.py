"""Reads arguments of any type one by one, and collects the problems instead of stopping at the first."""

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from ipaddress import IPv4Address, IPv4Network
from typing import Any, TypeVar

import pulumi

from ..decisions.addressing import parse_address, parse_network
from ..decisions.problems import Problem

EnumT = TypeVar("EnumT", bound=Enum)
ParsedT = TypeVar("ParsedT", IPv4Address, IPv4Network)
ItemT = TypeVar("ItemT")

NOT_KNOWN = "is not known before deployment, and decides what is created"

MOST_TAGS = 49
"""AWS takes 50 on a resource, and `Name` is one of them."""

_TAG_TEXT = r"[\w .:/=+@-]"


def _tag_problem(tag: str, text: Any) -> tuple[str, str] | None:
    """Return the rule that one tag breaks, and the remedy; None when it breaks none."""
    if tag.casefold() == "name":
        return "is set by the component", "leave it out"
    if tag.casefold().startswith("aws:"):
        return "`aws:` is reserved", "choose another prefix"
    if not isinstance(text, str):
        return "is not text known before deployment", "write the value as text, in quotes"
    if not re.fullmatch(_TAG_TEXT + "{1,128}", tag) or not re.fullmatch(_TAG_TEXT + "{0,256}", text):
        rule = "is not a tag that EC2, IAM and SSM all take"
        return rule, "use letters, digits, blanks and _ . : / = + - @, at most 128 in the key and 256 in the value"
    return None


class Reader:
    """Reads the keys of one mapping; `problems` is shared with the readers of nested mappings."""

    def __init__(self, path: str, args: Any, known: frozenset[str], problems: list[Problem]) -> None:
        self.path = path
        self.problems = problems
        self._args: Mapping[str, Any] = args if isinstance(args, Mapping) else {}
        names = ", ".join(f"`{name}`" for name in sorted(known))
        if isinstance(args, pulumi.Output):
            self.report(path, args, NOT_KNOWN, "write the mapping itself, with Outputs inside where they may be")
        elif not isinstance(args, Mapping):
            self.report(path, args, "is not a mapping of settings", f"give {names}")
        for key in self._args.keys() - known:
            self.report(self.setting(key), "…", "is not a known setting", f"use one of {names}")

    def setting(self, key: str) -> str:
        """Return the full path of a key, e.g. `left.cidr_block`, or of an item, e.g. `alarm_topic_arns[0]`."""
        if self.path and str(key).isdigit():
            return f"{self.path}[{key}]"
        return f"{self.path}.{key}" if self.path else key

    def report(self, setting: str, value: object, rule: str, remedy: str) -> None:
        """Add one problem."""
        # The text of an Output is an explanation of Outputs.
        shown = "Output" if isinstance(value, pulumi.Output) else str(value)
        self.problems.append(Problem(setting=setting, value=shown, rule=rule, remedy=remedy))

    def nested(self, key: str, known: frozenset[str]) -> "Reader":
        """Return a reader of the mapping under `key`."""
        return Reader(self.setting(key), self._args.get(key), known, self.problems)

    def nested_list(self, key: str, known: frozenset[str]) -> list["Reader"]:
        """Return a reader of each mapping in the list under `key`."""
        values = self._sequence(key)
        return [Reader(f"{self.setting(key)}[{n}]", each, known, self.problems) for n, each in enumerate(values)]

    def value(self, key: str) -> Any:
        """Return the value under `key`, unchecked; None when it is absent."""
        return self._args.get(key)

    def each(self, key: str, read: Callable[["Reader", str], ItemT | None]) -> tuple[ItemT, ...]:
        """Return what `read` makes of each item of the list under `key`, without None.

        It gets a reader of the items, and the key of one.
        """
        values = {str(n): value for n, value in enumerate(self._sequence(key))}
        items = Reader(self.setting(key), values, frozenset(values), self.problems)
        return tuple(value for n in values if (value := read(items, n)) is not None)

    def input_text(self, key: str) -> pulumi.Input[str] | None:
        """Return the text or Output under `key`, None when it is absent or a problem. No message shows the value."""
        value = self._args.get(key)
        if isinstance(value, str | pulumi.Output | Awaitable | None):
            return value
        remedy = "write it as text, in quotes, or give an Output"
        self.report(self.setting(key), type(value).__name__, "is not text", remedy)
        return None

    def text(
        self, key: str, *, pattern: str, remedy: str, default: str | None = None, rule: str | None = None
    ) -> str | None:
        """Return the text under `key`, or `default` when it is absent; None for a text that does not match `pattern`.

        Without a default the setting is required. `rule` replaces "does not match" in the message.
        """
        value = self._args.get(key)
        if value is None and default is not None:
            return default
        if value is None:
            self.report(self.setting(key), "", "is required", remedy)
        elif not isinstance(value, str):
            rule = NOT_KNOWN if isinstance(value, pulumi.Output) else "is not text"
            self.report(self.setting(key), type(value).__name__, rule, remedy)
        elif not re.fullmatch(pattern, value):
            self.report(self.setting(key), value, rule or f"does not match {pattern}", remedy)
        else:
            return value
        return None

    def optional_text(self, key: str, *, pattern: str, remedy: str) -> str | None:
        """Return the text under `key`; None when it is absent or a problem."""
        return None if self._args.get(key) is None else self.text(key, pattern=pattern, remedy=remedy)

    def texts(self, key: str, *, pattern: str, remedy: str) -> tuple[str, ...]:
        """Return the texts in the list under `key`, without those that are problems; empty when it is absent."""
        return self.each(key, lambda items, n: items.text(n, pattern=pattern, remedy=remedy))

    def text_or_output(
        self, key: str, *, pattern: str, remedy: str, rule: str | None = None
    ) -> pulumi.Input[str] | None:
        """Return the Output, or the text that matches `pattern`, under `key`; None when it is absent or a problem."""
        value = self._args.get(key)
        if value is None or isinstance(value, pulumi.Output):
            return value
        return self.text(key, pattern=pattern, remedy=remedy, rule=rule)

    def texts_or_outputs(
        self, key: str, *, pattern: str, remedy: str, rule: str | None = None
    ) -> tuple[pulumi.Input[str], ...]:
        """Return the texts and Outputs in the list under `key`, without those that are problems."""
        return self.each(key, lambda items, n: items.text_or_output(n, pattern=pattern, remedy=remedy, rule=rule))

    def identifier(self, key: str, prefix: str, *, required: bool = True) -> pulumi.Input[str] | None:
        """Return the AWS id under `key`, e.g. `vpc-…`, as text or Output; None when it is absent or a problem."""
        if self._args.get(key) is None and required:
            self.report(self.setting(key), "", "is required", f"give an id, {prefix}-…, or an Output of it")
        pattern, remedy = rf"{prefix}-([0-9a-f]{{8}}|[0-9a-f]{{17}})", f"use {prefix}-… or an Output of it"
        return self.text_or_output(key, pattern=pattern, rule=f"is not an id {prefix}-…", remedy=remedy)

    def identifiers(self, key: str, prefix: str) -> tuple[pulumi.Input[str], ...] | pulumi.Output[list[str]]:
        """Return the AWS ids in the list under `key`, as texts or Outputs, without those that are problems.

        An empty list is a problem. A list that is one Output is returned unchecked.
        """
        value = self._args.get(key)
        if isinstance(value, pulumi.Output):
            return value
        if value in (None, [], ()):
            self.report(self.setting(key), "", "is required", f"give at least one id, {prefix}-…, or an Output of it")
        ids = {str(n): each for n, each in enumerate(self._sequence(key))}
        for repeated, times in Counter(each for each in ids.values() if isinstance(each, str)).items():
            if times > 1:
                self.report(self.setting(key), repeated, "is given more than once", "give each once")
        items = Reader(self.setting(key), ids, frozenset(ids), self.problems)
        return tuple(each for n in ids if (each := items.identifier(n, prefix)) is not None)

    def network(self, key: str, *, required: bool = False) -> IPv4Network | None:
        """Return the CIDR block under `key`; None when it is absent or a problem."""
        return self._parsed(self.setting(key), self._args.get(key), parse_network, required=required)

    def networks(self, key: str) -> tuple[tuple[str, IPv4Network], ...]:
        """Return path and value of each CIDR block in the list under `key`, without those that are problems."""
        named = [(f"{self.setting(key)}[{n}]", value) for n, value in enumerate(self._sequence(key))]
        parsed = [(setting, self._parsed(setting, value, parse_network, required=True)) for setting, value in named]
        return tuple((setting, network) for setting, network in parsed if network is not None)

    def address(self, key: str) -> IPv4Address | None:
        """Return the address under `key`; None when it is absent or a problem."""
        return self._parsed(self.setting(key), self._args.get(key), parse_address, required=False)

    def flag(self, key: str, *, default: bool) -> bool:
        """Return the boolean under `key`; `default` when it is absent or a problem."""
        value = self._args.get(key)
        if value is not None and not isinstance(value, bool):
            self.report(self.setting(key), value, "is not a boolean", "use true or false")
        return value if isinstance(value, bool) else default

    def whole(self, key: str, unit: str, *, default: int, smallest: int, largest: int) -> int:
        """Return the number of units under `key`; `default` when it is absent or a problem."""
        value = self._args.get(key)
        if value is None:
            return default
        # Numbers of other Pulumi languages arrive as floats.
        if isinstance(value, bool) or not isinstance(value, int | float) or not smallest <= value <= largest:
            rule, remedy = f"is not a number of {unit} in range", f"use {smallest} to {largest}"
            self.report(self.setting(key), value, rule, remedy)
            return default
        return int(value)

    def choice(self, key: str, kind: type[EnumT], *, default: EnumT) -> EnumT:
        """Return the member of `kind` under `key`, written as member or as value, or `default`."""
        value = self._args.get(key)
        if value is None:
            return default
        try:
            return kind(value)
        except ValueError:
            allowed = ", ".join(member.value for member in kind)
            self.report(self.setting(key), value, f"is unknown (known: {allowed})", f"use {default.value}")
            return default

    def tags(self, key: str) -> Mapping[str, str]:
        """Return the tags under `key`. `Name` is refused, because the component sets it.

        Resources of EC2, IAM and SSM have them, so each must obey the strictest of their rules (IAM user guide, "Rules
        for tagging in IAM and AWS STS"; AWS Systems Manager API reference, "Tag").
        """
        value = {} if self._args.get(key) is None else self._args[key]
        if isinstance(value, pulumi.Output):
            self.report(self.setting(key), value, NOT_KNOWN, "write a mapping of text to text")
            return {}
        if not isinstance(value, Mapping):
            self.report(self.setting(key), value, "is not a mapping of tag to value", "use e.g. {owner: network}")
            return {}
        if len(value) > MOST_TAGS:
            rule, remedy = f"are more than the {MOST_TAGS} that AWS takes besides Name", "leave some out"
            self.report(self.setting(key), len(value), rule, remedy)
        folded = Counter(str(tag).casefold() for tag in value)
        for tag, text in value.items():
            problem = _tag_problem(str(tag), text)
            if problem is None and folded[str(tag).casefold()] > 1:
                problem = "differs from another one only by case, which IAM takes for the same", "choose another key"
            if problem is not None:
                self.report(f"{self.setting(key)}.{tag}", text, *problem)
        return {str(tag): str(text) for tag, text in value.items()}

    def _sequence(self, key: str) -> list[Any]:
        value = self._args.get(key)
        if value is None:
            return []
        if isinstance(value, pulumi.Output):
            self.report(self.setting(key), value, NOT_KNOWN, "write the list itself")
            return []
        if not isinstance(value, list | tuple):
            self.report(self.setting(key), value, "is not a list", "write a list, even for one value")
            return []
        return list(value)

    def _parsed(
        self, setting: str, value: Any, parse: Callable[[str, str], ParsedT | Problem], *, required: bool
    ) -> ParsedT | None:
        if value is None and not required:
            return None
        if isinstance(value, pulumi.Output):
            self.report(setting, value, NOT_KNOWN, "write the value itself")
            return None
        parsed = parse(setting, value if isinstance(value, str) else "" if value is None else type(value).__name__)
        if isinstance(parsed, Problem):
            self.problems.append(parsed)
            return None
        return parsed
