"""A copy of the program, which a test changes and applies to the running pair with `pulumi up`."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import yaml

from lab import environment, settings, stack
from lab.progress import say
from tests.scenarios.gateway import StepError

CONFIG: Final = f"Pulumi.{stack.STACK}.yaml"
_PARTS: Final = ("__main__.py", "Pulumi.yaml", CONFIG, "requirements.txt", "components", "userdata")
_REPLACED: Final = re.compile(r"aws:ec2:Instance \S+ (?:creat|delet|replac)")


class Program:
    """A copy of the checkout's program in a separate folder. It uses the lab's stack."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._is_changed = False
        self.leaves_changes = False
        """Whether something else than the checkout's program was applied last."""
        self.reset()

    def reset(self) -> None:
        """Copy the program again, as it is in the checkout."""
        self._is_changed = False
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        for part in _PARTS:
            source, copy = settings.ROOT / part, self.folder / part
            if source.is_dir():
                shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copyfile(source, copy)
        (self.folder / ".venv").symlink_to(settings.ROOT / ".venv")

    def take_release(self, tag: str) -> bool:
        """Copy the program as it was released. Return False if the checkout lacks the tag."""
        archive = subprocess.run(["git", "archive", tag, *_PARTS], cwd=settings.ROOT, capture_output=True, check=False)
        if archive.returncode:
            return False
        self._is_changed = True
        for part in ("components", "userdata"):
            shutil.rmtree(self.folder / part)
        subprocess.run(["tar", "--extract", f"--directory={self.folder}"], input=archive.stdout, check=True)
        return True

    def configure(self, **values: object) -> None:
        """Set keys of the stack's configuration."""
        self._is_changed = True
        path = self.folder / CONFIG
        document = yaml.safe_load(path.read_text())
        document["config"].update({f"vpn-gateway-pair:{key}": value for key, value in values.items()})
        path.write_text(yaml.safe_dump(document))

    def configure_secret(self, key: str, value: str) -> None:
        """Set a key of the stack's configuration, encrypted."""
        self._is_changed = True
        command = ["pulumi", "config", "set", "--secret", f"vpn-gateway-pair:{key}", "--stack", stack.STACK]
        subprocess.run(command, input=value, cwd=self.folder, env=environment.variables(), text=True, check=True)

    def output(self, name: str) -> str:
        """Return an output of the stack, also a secret one."""
        arguments = ["stack", "output", "--show-secrets", name, "--stack", stack.STACK]
        return stack.pulumi(arguments, capture=True, folder=self.folder).stdout

    def edit(self, path: str, old: str, new: str) -> None:
        """Replace text in a file of the program, as another release might. Raises StepError if it is not there once."""
        file = self.folder / path
        text = file.read_text()
        if text.count(old) != 1:
            raise StepError(f"{path} has {old!r} {text.count(old)} times, not once")
        self._is_changed = True
        file.write_text(text.replace(old, new))

    def up(self, *arguments: str) -> str:
        """Run `pulumi up` and return its output. Raises StepError when it fails or touches an instance."""
        code, output = self._up(*arguments)
        if code:
            # The report of the failed test comes at the end of all tests.
            say(output[-3000:])
            raise StepError(f"pulumi up {' '.join(arguments)} exits with {code}: {output[-3000:]}")
        return output

    def red_up(self, *arguments: str) -> str:
        """Run a `pulumi up` that has to fail, and return its output. Raises StepError when it does not."""
        code, output = self._up(*arguments)
        if not code:
            raise StepError(f"pulumi up {' '.join(arguments)} is green: {output[-3000:]}")
        return output

    def any_up(self, *arguments: str) -> str:
        """Run a `pulumi up` that may fail, and return its output."""
        return self._up(*arguments)[1]

    def up_with_other_instances(self, *arguments: str) -> None:
        """Run `pulumi up`, which may replace instances. Raises StepError when it fails."""
        code, output = self._run(*arguments)
        if code:
            raise StepError(f"pulumi up exits with {code}: {output[-3000:]}")

    def _up(self, *arguments: str) -> tuple[int, str]:
        code, output = self._run(*arguments)
        if touched := _REPLACED.search(output):
            raise StepError(f"pulumi up {' '.join(arguments)} does not change the gateways in place: {touched[0]}")
        return code, output

    def _run(self, *arguments: str) -> tuple[int, str]:
        options = ["--stack", stack.STACK, "--yes", "--skip-preview", "--suppress-permalink", "--suppress-progress"]
        self.leaves_changes |= self._is_changed
        done = stack.pulumi(["up", *options, *arguments], capture=True, folder=self.folder)
        if not done.returncode:
            self.leaves_changes = self._is_changed
        return done.returncode, done.stdout + done.stderr

    def rotation(self) -> list[str]:
        """Return the arguments of `pulumi up` that change the pre-shared keys, as the output `rotate_command` says."""
        exported = stack.pulumi(["stack", "export", "--stack", stack.STACK], capture=True, folder=self.folder)
        resources = json.loads(exported.stdout)["deployment"]["resources"]
        kind = "random:index/randomPassword:RandomPassword"
        return [word for each in resources if each["type"] == kind for word in ("--replace", each["urn"])]


@contextmanager
def configured(folder: Path, **values: object) -> Iterator[Program]:
    """Give the running pair these keys of the configuration until the block ends. Yield its program in `folder`."""
    program = Program(folder)
    program.configure(**values)
    try:
        program.up()
        yield program
    finally:
        program.reset()
        program.up()
