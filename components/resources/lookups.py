"""Look-ups that report a failure instead of failing the program: a running site does not need their answer."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import pulumi

from .scope import Scope


async def look_up(scope: Scope, token: str, arguments: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Call a function of the site's provider; return its answer and, if it failed, the reason.

    The answer has the names of Pulumi's schema. The SDK's own functions would fail the program, even if nothing uses
    their Output.
    """
    options = pulumi.InvokeOptions(parent=scope.parent, version=version("pulumi_aws"))
    try:
        answer: Mapping[str, Any] = await pulumi.runtime.invoke_async(token, dict(arguments), options)
    except Exception as error:  # the SDK raises no narrower exception
        # The lines before are the SDK's and the engine's. The last one is the message of AWS or of the provider.
        return {}, str(error).strip().splitlines()[-1].rpartition("returned an error: ")[2].strip("*. \t")
    return answer, ""
