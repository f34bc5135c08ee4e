"""The handles on the machines of the pair: commands and files as root, and what AWS's API does to an instance.

`run`, `read` and `write` are the same on a gateway, on a private host and beside a program in a namespace
(tests/scenarios/strongswan/confined.py).
"""

import json
import shlex
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from components.resources.remote_commands import installer
from components.user_data import proof_files
from lab import hosts, stack
from lab.api.client import client
from lab.machines import record

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

BOOT_SECONDS: Final = 900.0
_COMMAND_SECONDS = 60.0
_POLL_SECONDS = 0.25
_SSH_SECONDS = 1.0
_API_SECONDS = 300.0


class StepError(Exception):
    """A step of a scenario did not work. The message names the machine, the step and the reason."""


def wait_until(what: str, condition: Callable[[], bool], seconds: float) -> None:
    """Wait for a condition. Raises StepError after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise StepError(f"{what}: not within {seconds:.0f} s")
        time.sleep(_POLL_SECONDS)


class Machine(ABC):
    """A machine, or a program in a separate namespace, on which root runs commands."""

    name: str

    @abstractmethod
    def execute(self, command: Sequence[str], *, stdin: str, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run a command as root. Raises subprocess.TimeoutExpired after `timeout` seconds."""

    def ask(
        self, script: str, *, stdin: str = "", timeout: float = _COMMAND_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell script as root. The caller looks at the exit code."""
        return self.execute(["sh", "-ec", script], stdin=stdin, timeout=timeout)

    def run(self, script: str, *, stdin: str = "", timeout: float = _COMMAND_SECONDS) -> str:
        """Run a shell script as root and return what it printed. Raises StepError when it fails."""
        done = self.ask(script, stdin=stdin, timeout=timeout)
        if done.returncode:
            words = (done.stdout + done.stderr).strip()[-1000:]
            raise StepError(f"{self.name}: {script!r} exits with {done.returncode}: {words}")
        return done.stdout

    def read(self, path: str) -> str:
        """Return the text of a file."""
        return self.run(f"cat {shlex.quote(path)}")

    def write(self, path: str, text: str) -> None:
        """Write a file. An existing file keeps its owner and mode; only root can read a new one."""
        self.run(f"umask 077; cat >{shlex.quote(path)}", stdin=text)


@dataclass(frozen=True, kw_only=True)
class Host(Machine):
    """A machine of the lab. Commands reach it without its network."""

    name: str
    id: str
    """The instance's id, or its `Name` tag."""

    def execute(self, command: Sequence[str], *, stdin: str, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run a command as root; see `lab.machines.execute`."""
        done = hosts.run(self.id, command, stdin=stdin.encode(), timeout=timeout)
        stdout, stderr = (text.decode(errors="replace") for text in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(done.args, done.returncode, stdout, stderr)


@dataclass(frozen=True, kw_only=True)
class Instance(Host):
    """A machine of the pair. An instance that was replaced needs a new handle."""

    region: str
    eni: str
    private_ip: str

    @property
    def ec2(self) -> "EC2Client":
        """A client of the EC2 API in the instance's region."""
        return client("ec2", self.region)

    def urn(self) -> str:
        """Return the URN of the instance in the stack."""
        exported = stack.pulumi(["stack", "export", "--stack", stack.STACK], capture=True)
        for resource in json.loads(exported.stdout)["deployment"]["resources"]:
            if resource.get("id") == self.id:
                return str(resource["urn"])
        raise StepError(f"the stack has no resource with the id {self.id} of {self.name}")

    def set_source_dest_check(self, enabled: bool) -> None:
        """Switch the source/destination check of the instance's interface."""
        self.ec2.modify_network_interface_attribute(NetworkInterfaceId=self.eni, SourceDestCheck={"Value": enabled})


@dataclass(frozen=True, kw_only=True)
class PrivateHost(Instance):
    """The host behind a gateway."""

    namespace: str
    """The host's network namespace."""


@dataclass(frozen=True, kw_only=True)
class Gateway(Instance):
    """The gateway of a site."""

    public_ip: str
    vpc_namespace: str
    tap: str
    """The gateway's port in `vpc_namespace`; it does not exist while the instance is stopped."""
    connection: str
    """Name of the IPsec connection to the peer."""

    @property
    def secrets_file(self) -> str:
        """Path of the file with the pre-shared key."""
        return f"/etc/ipsec.d/{self.connection}.secrets"

    def install_verify(self) -> None:
        """Install `vpn-verify` as the proof does, on a gateway that the proof cannot log in to."""
        self.run("python3 -", stdin=installer(proof_files()))

    def restart(self, unit: str) -> None:
        """Restart a systemd unit."""
        self.run(f"systemctl restart {unit}")

    # What the EC2 API does to the instance.

    def request_reboot(self) -> None:
        """Reboot the instance. Does not wait."""
        self.ec2.reboot_instances(InstanceIds=[self.id])

    def wait_until_down(self, seconds: float = _API_SECONDS) -> None:
        """Wait until the machine no longer answers. A busy one may miss a single greeting."""
        wait_until(f"{self.name} goes down", lambda: not any(self.greets() for _ in range(5)), seconds)

    def wait_until_booted(self) -> None:
        """Wait until sshd greets (RFC 4253, 4.2). Time that the tunnel takes after that is the tunnel's."""
        wait_until(f"{self.name} boots", self.greets, BOOT_SECONDS)

    def greets(self) -> bool:
        """Whether the gateway's sshd greets an administrator, who logs in from the Internet."""
        try:
            with socket.create_connection((self.public_ip, 22), timeout=_SSH_SECONDS) as link:
                return link.recv(4) == b"SSH-"
        except OSError:
            return False

    def stop_instance(self) -> None:
        """Stop the instance and wait until its machine is off."""
        self.ec2.stop_instances(InstanceIds=[self.id])

        def is_off() -> bool:
            machine = record.load(self.id)
            return (machine is None or machine.process is None) and self._state() == "stopped"

        wait_until(f"{self.name} stops", is_off, _API_SECONDS)

    def start_instance(self) -> None:
        """Start the stopped instance and wait until it has booted."""
        self.ec2.start_instances(InstanceIds=[self.id])
        self.wait_until_booted()

    def take_address(self) -> None:
        """Disassociate the Elastic IP."""
        (address,) = self.ec2.describe_addresses(PublicIps=[self.public_ip])["Addresses"]
        self.ec2.disassociate_address(AssociationId=address["AssociationId"])

    def give_address(self) -> None:
        """Associate the Elastic IP with the gateway's interface again."""
        (address,) = self.ec2.describe_addresses(PublicIps=[self.public_ip])["Addresses"]
        self.ec2.associate_address(AllocationId=address["AllocationId"], NetworkInterfaceId=self.eni)

    def _state(self) -> str:
        answer = self.ec2.describe_instances(InstanceIds=[self.id])
        return str(answer["Reservations"][0]["Instances"][0]["State"]["Name"])
