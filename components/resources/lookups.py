"""Look-ups whose failure is an answer, too: what runs already does not need what is looked up."""

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import pulumi

from .scope import Scope


async def look_up(scope: Scope, token: str, arguments: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Ask the site's provider; return what it answers, by the names of Pulumi's schema, and why it answers nothing.

    The SDK's own functions fail the program, even when nothing uses the Output.
    """
    options = pulumi.InvokeOptions(parent=scope.parent, version=version("pulumi_aws"))
    try:
        answer: Mapping[str, Any] = await pulumi.runtime.invoke_async(token, dict(arguments), options)
    except Exception as error:  # the SDK raises no narrower one
        # The SDK and the engine name the look-up. The last line is the message of AWS or of the provider.
        return {}, str(error).strip().splitlines()[-1].rpartition("returned an error: ")[2].strip("*. \t")
    return answer, ""
