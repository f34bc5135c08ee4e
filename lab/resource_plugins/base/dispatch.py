"""Handles the engine's requests for a plugin's resources and functions."""

import asyncio
import json
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from pulumi.provider.experimental import provider as wire
from pulumi.provider.experimental.property_value import PropertyValue

from lab.engine.versions import plugin_version
from lab.resource_plugins.base.difference import decide, differences, response, same
from lab.resource_plugins.base.log import EngineLog, Severity
from lab.resource_plugins.base.naming import DEFAULTS, auto_name, with_auto_name
from lab.resource_plugins.base.resource import Call, Function, Resource
from lab.resource_plugins.base.schema import package_schema
from lab.resource_plugins.base.values import UNKNOWN, Properties, annotate, plain_map

T = TypeVar("T")

ID = "id"
"""Key under which `read` returns the resource's id when the program imports it by another one."""

_MOST_CALLS_AT_ONCE = 64


class UnsupportedError(Exception):
    """The stand-in does not know this resource type, function or input."""


class InitializationError(Exception):
    """An operation failed after the resource was created. The engine keeps the resource in the state."""

    def __init__(
        self,
        resource_id: str,
        reason: Exception,
        properties: dict[str, PropertyValue],
        inputs: dict[str, PropertyValue],
    ) -> None:
        super().__init__(str(reason))
        self.resource_id = resource_id
        self.properties = properties
        self.inputs = inputs


class Provider(wire.Provider):
    """The resources and functions of a package, configured once.

    `configure` receives the provider's settings as plain values and returns the `Call.configuration` of all handlers.
    The SDK sends every setting that is not a string as JSON, which is decoded here; `texts` are the names of the string
    settings. A change of a setting in `replacing_settings` replaces the provider and all its resources.
    """

    def __init__(
        self,
        package: str,
        resources: Iterable[Resource],
        functions: Iterable[Function] = (),
        *,
        configure: Callable[[Properties], Any] = lambda settings: settings,
        texts: Collection[str] = (),
        replacing_settings: Collection[str] = (),
    ) -> None:
        self.package = package
        self._resources = {each.token: each for each in resources}
        self._functions = {each.token: each for each in functions}
        self._configure = configure
        self._texts = texts
        self._replacing_settings = replacing_settings
        self._configuration: Any = None
        self._cancelled = threading.Event()
        self._log: EngineLog | None = None
        # Handlers block while they wait; the default pool of a machine with two processors runs only six at a time.
        self._pool = ThreadPoolExecutor(_MOST_CALLS_AT_ONCE, thread_name_prefix="call")

    def log_to(self, log: EngineLog) -> None:
        """Send the lines of `Call.log` to `log`. Before this call they are dropped."""
        self._log = log

    async def get_schema(self, request: wire.GetSchemaRequest) -> wire.GetSchemaResponse:  # noqa: ARG002 - as in the SDK
        """Return the package's schema."""
        version = plugin_version(self.package)
        resources, functions = self._resources.values(), self._functions.values()
        schema = package_schema(self.package, version, resources, functions, sorted(self._texts))
        return wire.GetSchemaResponse(json.dumps(schema))

    async def configure(self, request: wire.ConfigureRequest) -> wire.ConfigureResponse:
        """Configure the plugin for all later requests."""
        settings = {key: self._decode(key, value) for key, value in plain_map(request.args).items()}
        self._configuration = await self._run(self._configure, settings)
        return wire.ConfigureResponse(accept_secrets=True, supports_preview=True)

    async def diff_config(self, request: wire.DiffRequest) -> wire.DiffResponse:
        """Compare two configurations of an explicit provider."""
        old, new = plain_map(request.old_state), plain_map(request.new_inputs)
        changed = [key for key in old.keys() | new.keys() if key != "version" and old.get(key) != new.get(key)]
        replaces = [key for key in changed if key in self._replacing_settings]
        return wire.DiffResponse(changes=bool(changed), diffs=changed, replaces=replaces)

    async def check(self, request: wire.CheckRequest) -> wire.CheckResponse:
        """Validate the inputs, and fill in a generated name."""
        resource = self._resource(request.type)
        inputs, old = plain_map(request.new_inputs), plain_map(request.old_inputs)
        failures = _unacceptable(resource, inputs)
        if not failures and resource.check is not None:
            checked = await self._run(resource.check, self._call(request.type, request.name, 0, request.urn), inputs)
            inputs, failures = (inputs, checked) if isinstance(checked, list) else (checked, [])
        if resource.auto_name is not None:
            candidate = auto_name(request.name, request.random_seed, max_length=resource.name_length)
            inputs = with_auto_name(resource.auto_name, inputs, old, candidate)
        return wire.CheckResponse(
            inputs=annotate(inputs, request.new_inputs, secrets=resource.secret_outputs),
            failures=[wire.CheckFailure(key, reason) for key, reason in failures],
        )

    async def diff(self, request: wire.DiffRequest) -> wire.DiffResponse:
        """Compare the state with the program's inputs, so that drift found by a refresh is also a change."""
        resource = self._resource(request.type)
        state, inputs = plain_map(request.old_state), plain_map(request.new_inputs)
        return response(resource, inputs, differences(resource, state, inputs, tuple(request.ignore_changes)))

    async def create(self, request: wire.CreateRequest) -> wire.CreateResponse:
        """Create the resource, or in a preview return the properties that are known."""
        resource = self._resource(request.type)
        call = self._call(request.type, request.name, request.timeout or resource.timeout, request.urn)
        inputs = _declared(resource, resource.with_defaults(plain_map(request.properties)))
        if request.preview:
            planned = self._planned(resource, call, inputs, {}, _unknown_until_created(resource, inputs))
            return wire.CreateResponse(properties=_wrap(resource, planned, request.properties))
        try:
            resource_id, outputs = await self._run(_create, resource, call, inputs)
        except Exception as error:
            if call.created_id is None:
                raise
            state = await self._run(_partial_state, resource, call, inputs)
            raise InitializationError(
                call.created_id, error, _wrap(resource, state, request.properties), request.properties
            ) from error
        return wire.CreateResponse(resource_id, _wrap(resource, {**inputs, **outputs}, request.properties))

    async def read(self, request: wire.ReadRequest) -> wire.ReadResponse:
        """Read the resource's real state; an empty response means that it does not exist."""
        resource = self._resource(request.type)
        call = self._call(request.type, request.name, resource.timeout, request.urn)
        state, inputs = plain_map(request.properties), plain_map(request.inputs)
        imported = not state
        if imported and resource.read is None:
            raise UnsupportedError(f"{request.type} cannot be imported: its state exists only in the stack")
        resource_id = request.resource_id
        outputs = await self._run(resource.read, call, resource_id, state) if resource.read else {}
        if outputs is None:
            return wire.ReadResponse()
        resource_id = outputs.get(ID, resource_id)
        state = _without_nulls({**state, **outputs})
        if imported:
            state = {**resource.with_defaults({}), **state}
        return wire.ReadResponse(
            resource_id,
            _wrap(resource, state, request.inputs, request.properties),
            annotate(
                _inputs_of(resource, state, inputs, imported=imported), request.inputs, secrets=resource.secret_outputs
            ),
        )

    async def update(self, request: wire.UpdateRequest) -> wire.UpdateResponse:
        """Update the resource in place, or in a preview return the properties that are known."""
        resource = self._resource(request.type)
        call = self._call(request.type, request.name, request.timeout or resource.timeout, request.urn)
        state, inputs = plain_map(request.olds), _declared(resource, resource.with_defaults(plain_map(request.news)))
        ignored = tuple(request.ignore_changes or ())
        changed = frozenset(each.key for each in differences(resource, state, inputs, ignored))
        kept = _kept(resource, state, inputs)
        if request.preview:
            moved = {key for key, by in resource.moved_by.items() if changed & set(by) or (changed and "*" in by)}
            planned = self._planned(resource, call, {**kept, **inputs}, state, moved - inputs.keys())
            return wire.UpdateResponse(_wrap(resource, planned, request.news))
        arguments = (call, request.resource_id, state, inputs, changed)
        outputs = await self._run(resource.update, *arguments) if resource.update else None
        if outputs is None:
            outputs = await self._run(_read_back, resource, call, request.resource_id, {**kept, **inputs})
        return wire.UpdateResponse(_wrap(resource, {**kept, **inputs, **outputs}, request.news))

    async def delete(self, request: wire.DeleteRequest) -> None:
        """Delete the resource."""
        resource = self._resource(request.type)
        call = self._call(request.type, request.name, request.timeout or resource.timeout, request.urn)
        if resource.delete is not None:
            await self._run(resource.delete, call, request.resource_id, plain_map(request.properties))

    async def invoke(self, request: wire.InvokeRequest) -> wire.InvokeResponse:
        """Call a function."""
        function = self._functions.get(request.tok)
        if function is None:
            raise UnsupportedError(_unsupported("function", request.tok, self._functions))
        arguments = {key: value for key, value in plain_map(request.args).items() if value is not None}
        result = await self._run(function.handler, self._call(request.tok, "", 300), arguments)
        return wire.InvokeResponse(annotate(result, secrets=function.secret_outputs))

    async def cancel(self) -> None:
        """End all waiting."""
        self._cancelled.set()

    def _resource(self, qualified_type: str) -> Resource:
        token = _token(qualified_type)
        if token not in self._resources:
            raise UnsupportedError(_unsupported("resource type", token, self._resources))
        return self._resources[token]

    def _call(self, qualified_type: str, name: str, timeout: float, urn: str = "") -> Call:
        log = partial(self._log.write, urn) if self._log else _drop
        return Call(_token(qualified_type), name, self._configuration, timeout, self._cancelled, log=log)

    def _planned(
        self, resource: Resource, call: Call, inputs: Properties, state: Properties, unknown: Collection[str]
    ) -> Properties:
        planned = resource.plan(call, inputs, state) if resource.plan else {}
        return {**inputs, **dict.fromkeys(unknown, UNKNOWN), **planned}

    def _decode(self, key: str, value: Any) -> Any:
        return json.loads(value) if isinstance(value, str) and key not in self._texts else value

    async def _run(self, function: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)


def _token(qualified_type: str) -> str:
    """Return a type without its parents' types: the SDK's requests have a URN's whole `parent$child`."""
    return qualified_type.rpartition("$")[2]


def _drop(_severity: Severity, _line: str) -> None:
    """Drop a line of the log."""


def _create(resource: Resource, call: Call, inputs: Properties) -> tuple[str, Properties]:
    created = resource.create(call, inputs)
    if not isinstance(created, str):
        return created
    return call.created(created), _read_back(resource, call, created, inputs)


def _read_back(resource: Resource, call: Call, resource_id: str, state: Properties) -> Properties:
    outputs = resource.read(call, resource_id, state) if resource.read else {}
    if outputs is None:
        raise RuntimeError(f"{resource.token} {resource_id} cannot be found right after it was written")
    return outputs


def _partial_state(resource: Resource, call: Call, inputs: Properties) -> Properties:
    try:
        outputs = resource.read(call, call.created_id or "", inputs) if resource.read else None
    except Exception:  # the error of the operation is the one to report
        outputs = None
    return {**inputs, **(outputs or {})}


def _wrap(resource: Resource, state: Properties, *sources: Mapping[str, PropertyValue]) -> dict[str, PropertyValue]:
    return annotate(_stored(resource, state), *sources, secrets=resource.secret_outputs)


def _declared(resource: Resource, inputs: Properties) -> Properties:
    return {key: value for key, value in inputs.items() if key in resource.inputs}


def _stored(resource: Resource, values: Properties) -> Properties:
    hidden = {key for key, each in resource.inputs.items() if each.write_only} | {ID}
    return {key: value for key, value in values.items() if key not in hidden}


def _kept(resource: Resource, state: Properties, inputs: Properties) -> Properties:
    """Return the properties of the old state that an update keeps: outputs, and provider-chosen values of inputs."""
    return {
        key: value
        for key, value in state.items()
        if key not in resource.inputs or (resource.inputs[key].computed and key not in inputs)
    }


def _unknown_until_created(resource: Resource, inputs: Properties) -> set[str]:
    chosen = {key for key, each in resource.inputs.items() if each.computed and key not in inputs}
    return set(resource.outputs) | chosen


def _inputs_of(resource: Resource, state: Properties, old: Properties, *, imported: bool) -> Properties:
    """Return the inputs that lead to `state`: the old ones where they mean the same as the state."""
    inputs = {DEFAULTS: old[DEFAULTS]} if DEFAULTS in old else {}
    for key, rule in resource.inputs.items():
        current = state.get(key)
        skipped = rule.write_only or decide(rule.ignored, state, old)
        if key in old:
            inputs[key] = old[key] if skipped or same(rule, current, old[key]) else current
        elif not skipped and (imported or not rule.computed) and not same(rule, current, rule.default):
            inputs[key] = current
    return _without_nulls(inputs)


def _unacceptable(resource: Resource, inputs: Properties) -> list[tuple[str, str]]:
    unknown = sorted(inputs.keys() - resource.inputs.keys() - {DEFAULTS})
    known = ", ".join(sorted(resource.inputs))
    failures = [(key, f"this stand-in's {resource.token} has no input {key!r}; it has: {known}") for key in unknown]
    missing = sorted(key for key, rule in resource.inputs.items() if rule.required and inputs.get(key) is None)
    return failures + [(key, f"{resource.token} needs the input {key!r}") for key in missing]


def _unsupported(kind: str, token: str, known: Collection[str]) -> str:
    return f"{kind} {token!r} is not supported by this stand-in; it has: {', '.join(sorted(known))}"


def _without_nulls(values: Properties) -> Properties:
    return {key: value for key, value in values.items() if value is not None}
