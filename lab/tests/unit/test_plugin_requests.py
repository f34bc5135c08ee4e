"""The engine's requests, answered by the plugins' base for a resource that lives in a dictionary."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from pulumi.provider.experimental import provider as wire
from pulumi.provider.experimental.property_value import PropertyValue

from lab.resource_plugins.base import UNKNOWN, Call, Function, Input, Properties, Provider, Resource, TimedOutError
from lab.resource_plugins.base.dispatch import InitializationError, UnsupportedError
from lab.resource_plugins.base.naming import DEFAULTS
from lab.resource_plugins.base.values import plain_map, wrap

TOKEN = "shop:index/box:Box"  # noqa: S105 - a resource type
URN = f"urn:pulumi:test::unit::{TOKEN}::crate"


@dataclass
class Shop:
    """A provider of boxes, and what it holds."""

    boxes: dict[str, Properties] = field(default_factory=dict)
    broken: bool = False

    def create(self, call: Call, inputs: Properties) -> str:
        """Make a box; with a broken lid, fail after that."""
        box = call.created(f"box-{len(self.boxes)}")
        self.boxes[box] = {"name": inputs["name"], "size": inputs["size"], "label": inputs.get("label")}
        if self.broken:
            raise OSError("the lid does not fit")
        return box

    def read(self, _call: Call, box: str, _state: Properties) -> Properties | None:
        """Weigh a box."""
        return {**self.boxes[box], "weight": self.boxes[box]["size"] * 2} if box in self.boxes else None

    def update(self, call: Call, box: str, state: Properties, inputs: Properties, changed: frozenset[str]) -> None:
        """Change a box."""
        assert state["size"] == self.boxes[box]["size"], call
        self.boxes[box].update({key: inputs.get(key) for key in changed})

    def delete(self, _call: Call, box: str, _state: Properties) -> None:
        """Forget a box."""
        self.boxes.pop(box, None)


@pytest.fixture
def shop() -> Shop:
    return Shop()


@pytest.fixture
def provider(shop: Shop) -> Iterator[Provider]:
    box = Resource(
        TOKEN,
        {
            "name": Input(replaces=True, computed=True),
            "size": Input(default=1),
            "label": Input(),
            "pin": Input(write_only=True),
        },
        shop.create,
        shop.read,
        shop.update,
        shop.delete,
        outputs=("weight",),
        moved_by={"weight": ("size",)},
        auto_name="name",
    )
    stone = Resource("shop:index/stone:Stone", {}, lambda _call, _inputs: "stone")
    count = Function("shop:index/count:count", lambda call, _arguments: {"count": len(shop.boxes), "is": call.type})
    made = Provider("shop", [box, stone], [count])
    yield made
    made._pool.shutdown()


def wrapped(**values: Any) -> dict[str, PropertyValue]:
    return {key: wrap(value) for key, value in values.items()}


def create(provider: Provider, *, preview: bool = False, **inputs: Any) -> wire.CreateResponse:
    return asyncio.run(provider.create(wire.CreateRequest(URN, wrapped(**inputs), 0, preview)))


def check(provider: Provider, *, urn: str = URN, old: Properties | None = None, **inputs: Any) -> wire.CheckResponse:
    request = wire.CheckRequest(urn, wrapped(**(old or {})), wrapped(**inputs), b"seed")
    return asyncio.run(provider.check(request))


def read(provider: Provider, box: str, state: Properties, inputs: Properties) -> wire.ReadResponse:
    return asyncio.run(provider.read(wire.ReadRequest(URN, box, wrapped(**state), wrapped(**inputs))))


def update(
    provider: Provider, box: str, state: Properties, *, preview: bool, ignore: tuple[str, ...] = (), **inputs: Any
) -> Properties:
    request = wire.UpdateRequest(URN, box, wrapped(**state), wrapped(**inputs), 0, list(ignore), preview)
    return plain_map(asyncio.run(provider.update(request)).properties)


def test_a_generated_name_has_seven_hex_digits_and_stays_over_updates(provider: Provider) -> None:
    first = plain_map(check(provider).inputs or {})
    assert first["name"].startswith("crate-")
    assert len(bytes.fromhex("0" + first["name"].removeprefix("crate-"))) == 4
    assert first[DEFAULTS] == ["name"]
    again = plain_map(check(provider, old={"name": "crate-old", DEFAULTS: ["name"]}).inputs or {})
    assert again["name"] == "crate-old"


def test_a_name_the_program_once_gave_is_not_kept_when_it_gives_none_any_more(provider: Provider) -> None:
    assert plain_map(check(provider, old={"name": "mine"}).inputs or {})["name"].startswith("crate-")


def test_an_unknown_input_and_an_unknown_type_are_refused_with_what_there_is(provider: Provider) -> None:
    failures = check(provider, colour="red").failures or []
    assert [failure.property for failure in failures] == ["colour"]
    assert "label, name, pin, size" in failures[0].reason
    with pytest.raises(UnsupportedError, match=r"'shop:index/lid:Lid' is not supported.*shop:index/box:Box"):
        check(provider, urn=URN.replace("/box:Box", "/lid:Lid"))


def test_a_preview_of_a_creation_knows_the_inputs_and_nothing_the_provider_computes(
    provider: Provider, shop: Shop
) -> None:
    planned = plain_map(create(provider, preview=True, label="x").properties)
    assert planned == {"label": "x", "size": 1, "weight": UNKNOWN, "name": UNKNOWN}
    assert shop.boxes == {}


def test_a_created_resource_has_its_inputs_its_outputs_and_no_write_only_value(provider: Provider) -> None:
    made = create(provider, name="b", size=3, pin="1234")
    assert (made.resource_id, plain_map(made.properties)) == ("box-0", {"name": "b", "size": 3, "weight": 6})


def test_a_secret_input_is_a_secret_output(provider: Provider) -> None:
    properties = {"name": wrap("b"), "label": PropertyValue("hush", is_secret=True)}
    made = asyncio.run(provider.create(wire.CreateRequest(URN, properties, 0, False)))
    assert {key for key, value in made.properties.items() if value.is_secret} == {"label"}


def test_a_creation_that_fails_after_the_resource_was_made_keeps_it(provider: Provider, shop: Shop) -> None:
    shop.broken = True
    with pytest.raises(InitializationError, match="the lid does not fit") as caught:
        create(provider, name="b")
    assert caught.value.resource_id == "box-0"
    assert plain_map(caught.value.properties)["weight"] == 2


def test_a_read_finds_drift_and_says_it_in_state_and_inputs(provider: Provider, shop: Shop) -> None:
    create(provider, name="b", size=3)
    shop.boxes["box-0"].update(size=4, label="foreign")
    found = read(provider, "box-0", {"name": "b", "size": 3, "weight": 6}, {"name": "b", "size": 3})
    assert plain_map(found.properties) == {"name": "b", "size": 4, "label": "foreign", "weight": 8}
    assert plain_map(found.inputs) == {"name": "b", "size": 4, "label": "foreign"}


def test_a_read_of_what_is_gone_is_empty(provider: Provider) -> None:
    found = read(provider, "box-9", {"name": "b"}, {"name": "b"})
    assert (found.resource_id, found.properties) == (None, {})


def test_an_import_returns_the_inputs_that_are_not_defaults(provider: Provider) -> None:
    create(provider, name="b", label="x")
    found = read(provider, "box-0", {}, {})
    assert plain_map(found.inputs) == {"name": "b", "label": "x"}
    assert plain_map(found.properties)["size"] == 1


def test_a_resource_that_cannot_be_read_cannot_be_imported(provider: Provider) -> None:
    request = wire.ReadRequest(URN.replace("/box:Box", "/stone:Stone"), "stone", {}, {})
    with pytest.raises(UnsupportedError, match="cannot be imported"):
        asyncio.run(provider.read(request))


def test_a_preview_of_an_update_knows_all_but_what_the_change_moves(provider: Provider) -> None:
    state = {"name": "b", "size": 3, "weight": 6}
    assert update(provider, "box-0", state, preview=True, name="b", size=3, label="x")["weight"] == 6
    assert update(provider, "box-0", state, preview=True, name="b", size=4)["weight"] is UNKNOWN


def test_an_update_forgets_an_input_the_program_no_longer_gives(provider: Provider) -> None:
    create(provider, name="b", size=3, label="x")
    state = {"name": "b", "size": 3, "label": "x", "weight": 6}
    assert update(provider, "box-0", state, preview=False, name="b") == {"name": "b", "size": 1, "weight": 2}


def test_a_function_is_answered_and_an_unknown_one_refused(provider: Provider) -> None:
    answer = asyncio.run(provider.invoke(wire.InvokeRequest("shop:index/count:count", {})))
    assert plain_map(answer.return_value or {}) == {"count": 0, "is": "shop:index/count:count"}
    with pytest.raises(UnsupportedError, match="function 'shop:index/sum:sum' is not supported"):
        asyncio.run(provider.invoke(wire.InvokeRequest("shop:index/sum:sum", {})))


def test_settings_arrive_decoded_but_for_texts() -> None:
    made = Provider("shop", [], configure=lambda settings: settings, texts={"region"})
    arguments = wrapped(region="true", tags='{"a": "b"}', skip="true")
    asyncio.run(made.configure(wire.ConfigureRequest({}, arguments, True, True)))
    assert made._configuration == {"region": "true", "tags": {"a": "b"}, "skip": True}


def test_a_changed_setting_replaces_the_provider_only_where_it_is_said_to() -> None:
    made = Provider("shop", [], replacing_settings=("region",))
    for key, replaces in (("region", ["region"]), ("profile", [])):
        request = wire.DiffRequest("urn", "id", wrapped(**{key: "a"}), wrapped(**{key: "b"}), [])
        found = asyncio.run(made.diff_config(request))
        assert (found.diffs, found.replaces) == ([key], replaces)


def test_waiting_ends_with_the_answer_or_says_what_did_not_happen_in_time() -> None:
    answers = iter([None, None, "there"])
    call = Call(TOKEN, "crate", None, 0.05)
    assert call.wait_until("the box", lambda: next(answers), interval=0.001) == "there"
    with pytest.raises(TimedOutError, match=r"the box: not within 0 s; find the reason or raise custom_timeouts"):
        call.wait_until("the box", lambda: None, interval=0.001)


def test_what_the_program_ignores_is_left_alone_also_when_something_else_is_updated(
    provider: Provider, shop: Shop
) -> None:
    made = create(provider, name="a", size=1, label="old")
    state = plain_map(made.properties)
    (box,) = shop.boxes
    update(provider, box, state, preview=False, ignore=("label",), name="a", size=2, label="new")
    assert list(shop.boxes.values()) == [{"name": "a", "size": 2, "label": "old"}]
