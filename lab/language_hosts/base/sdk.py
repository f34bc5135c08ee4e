"""Generate the SDK of a package by the library that the real language hosts do it with."""

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
    """Write the SDK that a GeneratePackageRequest asks for; return its diagnostics.

    The generator is built at its first use. Raises EnvironmentUnusableError when there is none or it fails.
    """
    try:
        generator = ensure_tool(SDK_GENERATOR, lambda line: print(line, file=sys.stderr, flush=True))
    except EngineError as error:
        raise EnvironmentUnusableError(str(error)) from error
    wanted = {
        "language": language,
        "directory": request.directory,
        "schema": request.schema,
        "extraFiles": {name: base64.b64encode(data).decode() for name, data in request.extra_files.items()},
        "localDependencies": dict(request.local_dependencies),
        "loaderTarget": request.loader_target,
        "local": request.local,
    }
    done = subprocess.run(
        [str(generator)], input=json.dumps(wanted), capture_output=True, text=True, check=False, timeout=300
    )
    if done.returncode:
        raise EnvironmentUnusableError(f"no SDK was generated: {done.stderr.strip()}")
    return [
        {"severity": _ERROR if each["isError"] else _WARNING, "summary": each["summary"], "detail": each["detail"]}
        for each in json.loads(done.stdout)
    ]
