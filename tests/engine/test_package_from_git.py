"""`pulumi package add` of the component from a git host, by version, for a project that has none of its files.

Proves that the real `pulumi` clones the named tag or the newest one, installs the plugin from it, and that a program
then uses the plugin without the host. The host is on this machine, with HTTPS; does not prove a public host. There is
nothing to clean up.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from tests.engine.api_process import ApiProcess
from tests.engine.examples import Example, copy_checkout
from tests.engine.git_server import HOST, git, served

pytestmark = [pytest.mark.engine, pytest.mark.whole]

PACKAGE = f"{HOST}/somebody/vpn-gateway-pair/components"
PROGRAM = """\
name: mine
runtime: yaml
resources:
  office:
    type: vpn-gateway-pair:VpnGatewayPair
    properties:
      left: {name: uk, region: eu-west-2, cidrBlock: 10.1.0.0/16}
      right: {name: au, region: ap-southeast-2, cidrBlock: 172.31.0.0/16}
      verify: false
outputs:
  gateway: ${office.left.publicIp}
"""


@pytest.fixture
def repositories(tmp_path: Path) -> Path:
    """Return a host's folder with this checkout as v0.1.0, followed by a broken commit."""
    work, host = tmp_path / "work", tmp_path / "host"
    work.mkdir()
    host.mkdir()
    copy_checkout(work)
    git(work, "init", "--quiet")
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--message", "Release")
    git(work, "tag", "v0.1.0")
    git(work, "rm", "--quiet", "components/PulumiPlugin.yaml")
    git(work, "commit", "--quiet", "--message", "Break it")
    git(host, "clone", "--quiet", "--bare", str(work), "somebody/vpn-gateway-pair.git")
    return host


def added(project: Example, url: str, variables: Mapping[str, str]) -> str:
    """Add the package to a new project and return its entry in Pulumi.yaml."""
    program = project.folder / "Pulumi.yaml"
    program.write_text(PROGRAM)
    pulumi = replace(project.cli, environment={**project.cli.environment, **variables})
    print(pulumi("package", "add", url))
    entry: str = yaml.safe_load(program.read_text())["packages"]["vpn-gateway-pair"]
    return entry


def test_a_version_is_added_from_a_git_host_and_used_without_it(
    repositories: Path, api: ApiProcess, engine_environment: dict[str, str], tmp_path: Path
) -> None:
    def project(name: str) -> Example:
        (tmp_path / name).mkdir()
        return Example.of(tmp_path / name, engine_environment, api)

    mine, newest = project("mine"), project("newest")
    with served(repositories) as variables:
        assert added(mine, f"https://{PACKAGE}@v0.1.0", variables) == f"{PACKAGE}@v0.1.0"
        assert added(newest, f"https://{PACKAGE}", variables) == f"{PACKAGE}@0.1.0"
    mine.cli("stack", "init", "test")
    mine.run("up", "--yes")
    assert mine.resources()["office"]["type"] == "vpn-gateway-pair:index:VpnGatewayPair"
    assert mine.outputs()["gateway"] == mine.resources()["office-uk-gateway-address"]["outputs"]["publicIp"]
    mine.run("destroy", "--yes", "--skip-preview")
    assert mine.left_over() == []
