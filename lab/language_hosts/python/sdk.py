"""Makes generated SDKs dependencies of a Python program."""

import re
from collections.abc import Sequence

from lab.language_hosts.base.errors import EnvironmentUnusableError
from lab.language_hosts.base.host import Sdk
from lab.language_hosts.python.environment import PythonEnvironment


def link(environment: PythonEnvironment, sdks: Sequence[Sdk]) -> str:
    """Add the SDKs' folders to requirements.txt where they are missing; return how to import them."""
    if environment.toolchain != "pip":
        raise EnvironmentUnusableError(
            f"the lab's Python host adds SDKs with the toolchain pip, not {environment.toolchain}; run "
            f"`uv add {' '.join(sdk.path for sdk in sdks)}`"
        )
    requirements = environment.folder / "requirements.txt"
    lines = requirements.read_text().splitlines() if requirements.is_file() else []
    lines += [sdk.path for sdk in sdks if sdk.path not in lines]
    requirements.write_text("".join(f"{line}\n" for line in lines))
    modules = "\n".join(f"  import pulumi_{re.sub('[-.]', '_', sdk.package)}" for sdk in sdks)
    return f"You can then import the SDK in your Python code with:\n\n{modules}\n"
