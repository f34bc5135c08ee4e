"""The differences that the plugins' base finds, and which of them replace."""

from typing import Any

from lab.resource_plugins.base import UNKNOWN, Input, Resource
from lab.resource_plugins.base.difference import differences, response
from lab.resource_plugins.base.naming import DEFAULTS


def resource(rules: dict[str, Input], **more: Any) -> Resource:
    return Resource("t:i:R", rules, lambda _call, _inputs: "id", update=lambda *_: {}, **more)


def changes(rule: Input, old: Any, new: Any) -> dict[str, str]:
    """Return the changed paths of an input `x` with the kind of each change."""
    one = resource({"x": rule})
    state, inputs = ({"x": value} if value is not None else {} for value in (old, new))
    detailed = response(one, inputs, differences(one, state, inputs)).detailed_diff
    return {path: each.kind.name for path, each in detailed.items()}


def test_added_changed_and_removed_values_are_distinguished() -> None:
    assert changes(Input(), None, "a") == {"x": "ADD"}
    assert changes(Input(), "a", "b") == {"x": "UPDATE"}
    assert changes(Input(), "a", None) == {"x": "DELETE"}


def test_a_change_of_a_fixed_input_replaces_the_resource() -> None:
    assert changes(Input(replaces=True), "a", "b") == {"x": "UPDATE_REPLACE"}
    assert changes(Input(replaces=True), "a", UNKNOWN) == {"x": "UPDATE_REPLACE"}


def test_a_rule_can_decide_by_the_new_inputs_whether_a_change_replaces() -> None:
    rules = {"x": Input(replaces=lambda _old, new: new["hard"]), "hard": Input(ignored=True)}
    one = resource(rules)
    for hard in (True, False):
        assert [each.replaces for each in differences(one, {"x": 1}, {"x": 2, "hard": hard})] == [hard]


def test_absent_and_empty_mean_the_same_and_an_absent_input_has_its_default() -> None:
    empties: list[Any] = ["", [], {}, False, 0]
    for empty in empties:
        assert changes(Input(), empty, None) == changes(Input(), None, empty) == {}
    assert changes(Input(default=True), True, None) == {}
    assert changes(Input(default=True), False, None) == {"x": "UPDATE"}
    assert changes(Input(default=True), True, False) == {"x": "UPDATE"}


def test_a_provider_chosen_value_is_a_difference_only_if_the_program_sets_another_one() -> None:
    assert changes(Input(computed=True), "chosen", None) == {}
    assert changes(Input(computed=True), "chosen", "set") == {"x": "UPDATE"}


def test_a_map_is_compared_by_key_and_unusual_keys_are_quoted() -> None:
    old, new = {"same": "1", "Name": "a", "gone": "1"}, {"same": "1", "Name": "b", "a/b": "1"}
    assert changes(Input(), old, new) == {"x.Name": "UPDATE", "x.gone": "DELETE", 'x["a/b"]': "ADD"}


def test_only_the_keys_that_the_program_sets_are_compared_in_a_partial_object() -> None:
    rule = Input(computed=True, partial=True)
    assert changes(rule, {"size": 8, "id": "vol-1"}, {"size": 8}) == {}
    assert changes(rule, {"size": 8, "id": "vol-1"}, {"size": 9}) == {"x.size": "UPDATE"}


def test_a_list_is_compared_by_position_and_a_set_by_its_elements() -> None:
    assert changes(Input(), ["a", "b"], ["b", "a"]) == {"x[0]": "UPDATE", "x[1]": "UPDATE"}
    assert changes(Input(unordered=True), ["a", "b"], ["b", "a"]) == {}
    assert changes(Input(unordered=True), ["a", "b"], ["b"]) == {"x": "UPDATE"}
    assert changes(Input(unordered=True), ["a", "a"], ["a", "b"]) == {"x": "UPDATE"}


def test_texts_that_mean_the_same_do_not_differ() -> None:
    rule = Input(same=lambda old, new: bool(old.lower() == new.lower()))
    assert changes(rule, "TCP", "tcp") == {}
    assert changes(rule, "TCP", UNKNOWN) == {"x": "UPDATE"}


def test_write_only_and_ignored_inputs_never_differ() -> None:
    assert changes(Input(write_only=True), None, "hush") == changes(Input(ignored=True), False, True) == {}


def test_an_integer_and_a_boolean_are_different_values() -> None:
    assert changes(Input(), 1, True) == {"x": "UPDATE"}


def test_without_an_update_every_change_replaces() -> None:
    one = Resource("t:i:R", {"x": Input()}, lambda _call, _inputs: "id")
    assert [each.replaces for each in differences(one, {"x": 1}, {"x": 2})] == [True]


def test_the_old_resource_is_deleted_first_when_the_program_keeps_a_fixed_name() -> None:
    one = resource({"name": Input(replaces=True), "x": Input(replaces=True)}, auto_name="name")

    def first(old: str, new: dict[str, Any]) -> bool:
        state = {"name": old, "x": 1}
        return response(one, new, differences(one, state, new)).delete_before_replace

    assert first("mine", {"name": "mine", "x": 2})
    assert not first("mine", {"name": "other", "x": 2})
    assert not first("x-1234567", {"name": "x-1234567", DEFAULTS: ["name"], "x": 2})
