"""A project of examples/, unchanged, in a separate folder, deployed with machines."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab import daemons, environment, settings
from tests.engine.api_process import ApiProcess
from tests.engine.examples import Example, copy_checkout


@contextmanager
def deployed(example: str, folder: Path) -> Iterator[Example]:
    """Bring a project up, with the environment of `lab env`. Stop the lab at the end of the block."""
    daemons.start()
    try:
        checkout = copy_checkout(folder)
        project = Example.of(checkout / "examples" / example, environment.variables(), ApiProcess(settings.API_URL))
        project.init(settings.ADMINISTRATOR)
        project.run("up", "--yes", "--skip-preview")
        yield project
    finally:
        daemons.stop()
