"""Generates the SDK of a package with the same library as the real language hosts."""

import base64
import json
import subprocess
import sys
from typing import Any

from lab.engine.errors import EngineError
from lab.engine.tools import SDK_GENERATOR, ensure_tool
from lab.language_hosts.base.errors import EnvironmentUnusableError

# pulumirpc.codegen.DiagnosticSeverity.
_ERROR, _WARNING = 1, 2


def generate(language: str, request: Any) -> list[dict[str, Any]]:
    """Write the SDK for a GeneratePackageRequest; return the diagnostics.

    The generator is built at its first use. Raises EnvironmentUnusableError when it cannot be built, or fails.
    """
    try:
        generator = ensure_tool(SDK_GENERATOR, lambda line: print(line, file=sys.stderr, flush=True))
    except EngineError as error:
        raise EnvironmentUnusableError(str(error)) from error
    arguments = {
        "language": language,
        "directory": request.directory,
        "schema": request.schema,
        "extraFiles": {name: base64.b64encode(data).decode() for name, data in request.extra_files.items()},
        "localDependencies": dict(request.local_dependencies),
        "loaderTarget": request.loader_target,
        "local": request.local,
    }
    done = subprocess.run(
        [str(generator)], input=json.dumps(arguments), capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        raise EnvironmentUnusableError(f"generating the SDK failed: {done.stderr.strip()}")
    return [
        {"severity": _ERROR if each["isError"] else _WARNING, "summary": each["summary"], "detail": each["detail"]}
        for each in json.loads(done.stdout)
    ]
