"""The requests of the engine to the plugins' base, with resources in a dictionary."""

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
    """A store of boxes, with the handlers of their resource."""

    boxes: dict[str, Properties] = field(default_factory=dict)
    broken: bool = False

    def create(self, call: Call, inputs: Properties) -> str:
        """Create a box; if `broken`, fail after that."""
        box = call.created(f"box-{len(self.boxes)}")
        self.boxes[box] = {"name": inputs["name"], "size": inputs["size"], "label": inputs.get("label")}
        if self.broken:
            raise OSError("the lid does not fit")
        return box

    def read(self, _call: Call, box: str, _state: Properties) -> Properties | None:
        """Return a box with its weight."""
        return {**self.boxes[box], "weight": self.boxes[box]["size"] * 2} if box in self.boxes else None

    def update(self, call: Call, box: str, state: Properties, inputs: Properties, changed: frozenset[str]) -> None:
        """Change a box."""
        assert state["size"] == self.boxes[box]["size"], call
        self.boxes[box].update({key: inputs.get(key) for key in changed})

    def delete(self, _call: Call, box: str, _state: Properties) -> None:
        """Remove a box."""
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
    provider = Provider("shop", [box, stone], [count])
    yield provider
    provider._pool.shutdown()


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


def test_a_generated_name_has_seven_hex_digits_and_is_kept_by_updates(provider: Provider) -> None:
    first = plain_map(check(provider).inputs or {})
    assert first["name"].startswith("crate-")
    assert len(bytes.fromhex("0" + first["name"].removeprefix("crate-"))) == 4
    assert first[DEFAULTS] == ["name"]
    again = plain_map(check(provider, old={"name": "crate-old", DEFAULTS: ["name"]}).inputs or {})
    assert again["name"] == "crate-old"


def test_a_name_is_generated_when_the_program_no_longer_sets_one(provider: Provider) -> None:
    assert plain_map(check(provider, old={"name": "mine"}).inputs or {})["name"].startswith("crate-")


def test_an_unknown_input_and_an_unknown_type_are_refused_with_the_known_ones(provider: Provider) -> None:
    failures = check(provider, colour="red").failures or []
    assert [failure.property for failure in failures] == ["colour"]
    assert "label, name, pin, size" in failures[0].reason
    with pytest.raises(UnsupportedError, match=r"'shop:index/lid:Lid' is not supported.*shop:index/box:Box"):
        check(provider, urn=URN.replace("/box:Box", "/lid:Lid"))


def test_the_preview_of_a_creation_has_the_inputs_and_unknown_outputs(provider: Provider, shop: Shop) -> None:
    planned = plain_map(create(provider, preview=True, label="x").properties)
    assert planned == {"label": "x", "size": 1, "weight": UNKNOWN, "name": UNKNOWN}
    assert shop.boxes == {}


def test_a_created_resource_has_its_inputs_and_outputs_but_no_write_only_value(provider: Provider) -> None:
    created = create(provider, name="b", size=3, pin="1234")
    assert (created.resource_id, plain_map(created.properties)) == ("box-0", {"name": "b", "size": 3, "weight": 6})


def test_a_secret_input_is_a_secret_output(provider: Provider) -> None:
    properties = {"name": wrap("b"), "label": PropertyValue("hush", is_secret=True)}
    created = asyncio.run(provider.create(wire.CreateRequest(URN, properties, 0, False)))
    assert {key for key, value in created.properties.items() if value.is_secret} == {"label"}


def test_a_creation_that_fails_after_the_resource_exists_keeps_it_in_the_state(provider: Provider, shop: Shop) -> None:
    shop.broken = True
    with pytest.raises(InitializationError, match="the lid does not fit") as caught:
        create(provider, name="b")
    assert caught.value.resource_id == "box-0"
    assert plain_map(caught.value.properties)["weight"] == 2


def test_a_read_returns_drift_in_state_and_inputs(provider: Provider, shop: Shop) -> None:
    create(provider, name="b", size=3)
    shop.boxes["box-0"].update(size=4, label="foreign")
    response = read(provider, "box-0", {"name": "b", "size": 3, "weight": 6}, {"name": "b", "size": 3})
    assert plain_map(response.properties) == {"name": "b", "size": 4, "label": "foreign", "weight": 8}
    assert plain_map(response.inputs) == {"name": "b", "size": 4, "label": "foreign"}


def test_a_read_of_a_missing_resource_is_empty(provider: Provider) -> None:
    response = read(provider, "box-9", {"name": "b"}, {"name": "b"})
    assert (response.resource_id, response.properties) == (None, {})


def test_an_import_returns_the_inputs_that_are_not_defaults(provider: Provider) -> None:
    create(provider, name="b", label="x")
    response = read(provider, "box-0", {}, {})
    assert plain_map(response.inputs) == {"name": "b", "label": "x"}
    assert plain_map(response.properties)["size"] == 1


def test_a_resource_that_cannot_be_read_cannot_be_imported(provider: Provider) -> None:
    request = wire.ReadRequest(URN.replace("/box:Box", "/stone:Stone"), "stone", {}, {})
    with pytest.raises(UnsupportedError, match="cannot be imported"):
        asyncio.run(provider.read(request))


def test_the_preview_of_an_update_knows_all_outputs_that_the_change_does_not_move(provider: Provider) -> None:
    state = {"name": "b", "size": 3, "weight": 6}
    assert update(provider, "box-0", state, preview=True, name="b", size=3, label="x")["weight"] == 6
    assert update(provider, "box-0", state, preview=True, name="b", size=4)["weight"] is UNKNOWN


def test_an_update_removes_an_input_that_the_program_no_longer_sets(provider: Provider) -> None:
    create(provider, name="b", size=3, label="x")
    state = {"name": "b", "size": 3, "label": "x", "weight": 6}
    assert update(provider, "box-0", state, preview=False, name="b") == {"name": "b", "size": 1, "weight": 2}


def test_a_function_is_called_and_an_unknown_one_refused(provider: Provider) -> None:
    response = asyncio.run(provider.invoke(wire.InvokeRequest("shop:index/count:count", {})))
    assert plain_map(response.return_value or {}) == {"count": 0, "is": "shop:index/count:count"}
    with pytest.raises(UnsupportedError, match="function 'shop:index/sum:sum' is not supported"):
        asyncio.run(provider.invoke(wire.InvokeRequest("shop:index/sum:sum", {})))


def test_settings_are_decoded_from_json_except_strings() -> None:
    provider = Provider("shop", [], configure=lambda settings: settings, texts={"region"})
    arguments = wrapped(region="true", tags='{"a": "b"}', skip="true")
    asyncio.run(provider.configure(wire.ConfigureRequest({}, arguments, True, True)))
    assert provider._configuration == {"region": "true", "tags": {"a": "b"}, "skip": True}


def test_only_a_change_of_a_replacing_setting_replaces_the_provider() -> None:
    provider = Provider("shop", [], replacing_settings=("region",))
    for key, replaces in (("region", ["region"]), ("profile", [])):
        request = wire.DiffRequest("urn", "id", wrapped(**{key: "a"}), wrapped(**{key: "b"}), [])
        response = asyncio.run(provider.diff_config(request))
        assert (response.diffs, response.replaces) == ([key], replaces)


def test_waiting_returns_the_result_or_fails_at_the_timeout() -> None:
    results = iter([None, None, "done"])
    call = Call(TOKEN, "crate", None, 0.05)
    assert call.wait_until("the box", lambda: next(results), interval=0.001) == "done"
    with pytest.raises(TimedOutError, match=r"the box: not within 0 s; find the reason or raise custom_timeouts"):
        call.wait_until("the box", lambda: None, interval=0.001)


def test_ignored_changes_are_not_applied_when_another_input_is_updated(provider: Provider, shop: Shop) -> None:
    created = create(provider, name="a", size=1, label="old")
    state = plain_map(created.properties)
    (box,) = shop.boxes
    update(provider, box, state, preview=False, ignore=("label",), name="a", size=2, label="new")
    assert list(shop.boxes.values()) == [{"name": "a", "size": 2, "label": "old"}]
