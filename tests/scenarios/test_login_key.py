"""Another key to log in with, by `pulumi up` on the running pair, with pings through the tunnel.

Proves that a key is admitted in place, that it can then become the deployment's own, that the former one no longer logs
in, and that no gateway is replaced and no ping lost. Does not prove that preview refuses a key that is not admitted
(tests/engine/test_changes.py). `pytest tests/scenarios/test_login_key.py`. The probe hosts are replaced, because they
have only the key of their launch. In the end the gateways are replaced by such with a generated key.
"""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import settings
from tests.scenarios import sites
from tests.scenarios.diagnosis import answers
from tests.scenarios.gateway import Gateway
from tests.scenarios.in_place import Program
from tests.scenarios.pings import no_lost_ping
from tests.scenarios.sites import Pair

pytestmark = pytest.mark.timeout(1200)


@dataclass(frozen=True)
class Key:
    """A key pair in two files, as ssh-keygen writes it."""

    private: Path

    @property
    def public(self) -> str:
        """Its public part."""
        return self.private.with_suffix(".pub").read_text().strip()

    def logs_in(self, gateway: Gateway) -> bool:
        """Return whether a gateway admits it."""
        options = ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"]
        command = ["ssh", "-i", str(self.private), *(word for each in options for word in ("-o", each))]
        done = subprocess.run(
            [*command, f"admin@{gateway.public_ip}", "true"], capture_output=True, text=True, check=False, timeout=60
        )
        assert done.returncode == 0 or "Permission denied (publickey)" in done.stderr, done.stderr
        return done.returncode == 0


def generated(folder: Path, name: str) -> Key:
    """Generate a key."""
    private = folder / name
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", private], check=True)
    return Key(private)


def replacing(pair: Pair) -> list[str]:
    """Return the arguments of `pulumi up` that replace both gateways."""
    return [word for gateway in pair.gateways for word in ("--replace", gateway.urn())]


@pytest.fixture
def program(running_stack: None) -> Iterator[Program]:
    """Yield the program; in the end both gateways admit a key of the component's own again."""
    made = Program(settings.STATE / "login-key")
    yield made
    made.reset()
    made.up_with_other_instances(*replacing(sites.find()))


def test_a_key_is_admitted_and_becomes_the_deployments_own_while_the_tunnel_loses_nothing(
    program: Program, pair: Pair, tmp_path: Path
) -> None:
    uk, au = pair.gateways
    former, own, colleagues = Key(tmp_path / "former"), generated(tmp_path, "own"), generated(tmp_path, "colleague")
    former.private.write_text(program.output("ssh_private_key"))
    former.private.chmod(0o600)
    assert [key.logs_in(uk) for key in (former, own, colleagues)] == [True, False, False]
    with no_lost_ping(uk, uk.private_ip, au.private_ip):
        program.configure(sshAuthorizedKeys=[own.public, colleagues.public])
        program.up()
        assert all(key.logs_in(gateway) for key in (former, own, colleagues) for gateway in pair.gateways)
        program.configure_secret("sshPrivateKey", own.private.read_text())
        program.configure(sshPublicKey=own.public, sshAuthorizedKeys=[colleagues.public])
        program.up_with_other_instances()
    assert sites.find().gateways == pair.gateways, "the gateways are the same"
    for gateway in pair.gateways:
        assert [key.logs_in(gateway) for key in (former, own, colleagues)] == [False, True, True]
    assert {look.diagnosis for look in answers.ask(pair.gateways).values()} == {"ok"}
