"""The generated modules of the engine's protocol, imported without the SDK.

`import pulumi.runtime.proto` runs all of `pulumi` first. That takes 0.2 s, three times as long as everything else in a
language host, and every command of the CLI waits for it. The generated modules import only each other, relatively, so
they can be loaded under another package name.
"""

import sys
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, language_pb2, language_pb2_grpc, plugin_pb2
else:
    _ALIAS = "lab_pulumi_protocol"

    def _load(name):
        if _ALIAS not in sys.modules:
            sdk = find_spec("pulumi")
            if sdk is None or sdk.origin is None:
                raise ModuleNotFoundError("pulumi is not installed in this environment; run `make setup`")
            package = ModuleSpec(_ALIAS, None, is_package=True)
            package.submodule_search_locations = [str(Path(sdk.origin).parent / "runtime" / "proto")]
            sys.modules[_ALIAS] = module_from_spec(package)
        return import_module(f"{_ALIAS}.{name}")

    language_pb2 = _load("language_pb2")
    language_pb2_grpc = _load("language_pb2_grpc")
    plugin_pb2 = _load("plugin_pb2")

    def __getattr__(name):
        # Loaded on demand: the engine's own service is needed only during an installation.
        if name in {"engine_pb2", "engine_pb2_grpc"}:
            return _load(name)
        raise AttributeError(name)


__all__ = ["engine_pb2", "engine_pb2_grpc", "language_pb2", "language_pb2_grpc", "plugin_pb2"]
