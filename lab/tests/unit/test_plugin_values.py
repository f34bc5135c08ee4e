"""Conversion between property values and plain Python, including secrets and unknowns."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pulumi.provider.experimental.property_value import Computed, PropertyValue
from pulumi.runtime.rpc import UNKNOWN as UNKNOWN_ON_THE_WIRE

from lab.resource_plugins.base.values import UNKNOWN, annotate, is_known, plain, plain_map, wrap

SECRET = PropertyValue("hush", is_secret=True)

plain_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children.filter(lambda each: each is not None)),
    max_leaves=10,
)


@given(plain_values)
def test_a_plain_value_survives_marshalling(value: Any) -> None:
    assert plain(PropertyValue.unmarshal(wrap(value).marshal())) == value


def test_a_fraction_stays_a_fraction_and_a_whole_number_is_an_int() -> None:
    assert [type(plain(PropertyValue(number))) for number in (1.5, 2.0)] == [float, int]


@pytest.mark.parametrize("value", [PropertyValue(UNKNOWN_ON_THE_WIRE), PropertyValue(Computed())])
def test_an_unknown_value_is_converted_in_both_directions(value: PropertyValue) -> None:
    assert plain(value) is UNKNOWN
    assert wrap(plain(value)).value == UNKNOWN_ON_THE_WIRE
    assert not is_known({"list": [1, plain(value)]})


def test_a_value_with_the_name_of_a_secret_is_secret_at_any_depth() -> None:
    source = {"user": PropertyValue({"name": PropertyValue("x"), "password": SECRET}), "plain": PropertyValue("x")}
    wrapped = annotate({"user": {"name": "x", "password": "hush"}, "plain": "y", "other": "z"}, source)
    user: Any = wrapped["user"].value
    assert [user["password"].is_secret, user["name"].is_secret] == [True, False]
    assert [wrapped["plain"].is_secret, wrapped["other"].is_secret] == [False, False]


def test_one_secret_element_makes_the_whole_list_secret() -> None:
    assert annotate({"list": ["a"]}, {"list": PropertyValue([PropertyValue("a"), SECRET])})["list"].is_secret


def test_declared_secrets_are_always_secret_and_nulls_are_left_out() -> None:
    wrapped = annotate({"result": "x", "nothing": None}, secrets={"result", "nothing"})
    assert plain_map(wrapped) == {"result": "x"}
    assert wrapped["result"].is_secret


def test_a_type_that_no_property_can_have_is_refused() -> None:
    with pytest.raises(TypeError, match="a property cannot hold a set"):
        wrap({"x": {1, 2}})
