"""Decisions on guest images: the source of packages, the content of an image, and its name in the cache."""

import gzip
import hashlib
import subprocess
from pathlib import Path

import pytest
import yaml

from lab import settings
from lab.machines import build, host_sources, image, mirror, mounts, recipe, releases

BOOKWORM = releases.find("debian-12")
TRIXIE = releases.find("debian-13")


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Return a root directory of a Debian 12 host without any apt source."""
    (tmp_path / "etc/apt/sources.list.d").mkdir(parents=True)
    (tmp_path / "etc/os-release").write_text('ID=debian\nVERSION_CODENAME="bookworm"\n')
    return tmp_path


def test_the_release_follows_from_the_name_of_the_ami() -> None:
    assert releases.of_image("debian-13-amd64-20260901-1234") == TRIXIE
    assert releases.of_image("debian-12-amd64-20260901-1234") == BOOKWORM


def test_an_unknown_release_is_refused_with_the_known_ones() -> None:
    with pytest.raises(releases.UnknownReleaseError, match=r"'ubuntu-24'; there are debian-12, debian-13"):
        releases.of_image("ubuntu-24-amd64")


def test_the_guest_is_built_from_the_archives_of_the_hosts_deb822_sources(host: Path) -> None:
    (host / "etc/apt/sources.list.d/debian.sources").write_text(
        "# a comment\nTypes: deb deb-src\nURIs: http://one.test/debian\nSuites: bookworm\n bookworm-updates\n"
        "Components: main\n\nTypes: deb\nURIs: http://two.test/security\nSuites: bookworm-security\nComponents: main\n"
        "\nTypes: deb\nEnabled: no\nURIs: http://off.test/debian\nSuites: bookworm\nComponents: main\n"
        "\nTypes: deb-src\nURIs: http://source.test/debian\nSuites: bookworm\nComponents: main\n"
    )
    lines = host_sources.debian_sources("trixie", root=host)
    assert [line.split("] ")[1] for line in lines] == [
        "http://one.test/debian trixie main",
        "http://one.test/debian trixie-updates main",
        "http://two.test/security trixie-security main",
    ]


def test_the_guest_is_built_from_the_archives_of_the_hosts_one_line_sources(host: Path) -> None:
    (host / "etc/apt/sources.list").write_text(
        "deb [arch=amd64 signed-by=/k.gpg] http://one.test/debian stable main contrib\n"
        "deb-src http://one.test/debian stable main\n# deb http://off.test/debian stable main\n"
        "deb http://other.test/tool tool-bookworm main\ndeb http://one.test/debian bookworm main\n"
    )
    lines = host_sources.debian_sources("bookworm", root=host)
    assert [line.split("] ")[1] for line in lines] == ["http://one.test/debian bookworm main"]


def test_a_host_without_debian_sources_is_refused_with_the_labs_requirement(host: Path) -> None:
    with pytest.raises(host_sources.NoSourcesError, match="needs a Debian 12 or 13 host"):
        host_sources.debian_sources("trixie", root=host)


def test_cloud_init_is_configured_as_in_debians_ec2_image() -> None:
    files = {file.path: file.content for file in recipe.files(TRIXIE, "PEM")}
    config = yaml.safe_load(files["etc/cloud/cloud.cfg.d/01_debian_cloud.cfg"])
    assert config["system_info"]["default_user"]["name"] == "admin"
    assert config["system_info"]["default_user"]["sudo"] == ["ALL=(ALL) NOPASSWD:ALL"]
    assert config["apt"] == {"preserve_sources_list": True}
    datasource = files["etc/cloud/cloud.cfg.d/99_datasource.cfg"]
    # ds-identify, a shell script, reads the list line by line.
    assert datasource.splitlines()[0] == "datasource_list: [ Ec2 ]"
    assert yaml.safe_load(datasource)["datasource"]["Ec2"]["strict_id"] is False
    assert files["usr/local/share/ca-certificates/lab.crt"] == "PEM"


def test_the_image_installs_packages_only_from_the_labs_mirror() -> None:
    files = {file.path: file.content for file in recipe.files(BOOKWORM, "PEM")}
    assert files["etc/apt/sources.list"] == f"deb [trusted=yes] http://{settings.MIRROR_HOST}/bookworm ./\n"


def test_packages_that_user_data_installs_are_in_the_mirror_and_not_in_the_image() -> None:
    assert {"libreswan", "iptables"} <= set(recipe.MIRRORED_PACKAGES)
    assert not {"libreswan", "iptables"} & set(recipe.PACKAGES)


def test_a_comment_or_docstring_does_not_rebuild_an_image_but_other_code_does() -> None:
    source = "A = 1\n\n\ndef f():\n    return A\n"
    documented = '"""Module."""\nA = 1  # comment\n"""Attribute."""\n\n\ndef f():\n    """Function."""\n    return A\n'
    assert image._syntax(documented) == image._syntax(source)
    assert image._syntax(source.replace("A = 1", "A = 2")) != image._syntax(source)


def test_another_authority_or_release_has_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    directories = []
    for certificate in (b"one", b"one", b"two"):
        monkeypatch.setattr(image, "ca_certificate_pem", lambda certificate=certificate: certificate)
        directories.append(image.image_of("debian-13").directory)
    assert directories[0] == directories[1] != directories[2]
    assert directories[0] != image.image_of("debian-12").directory


def test_an_image_is_not_built_without_root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "CACHE", tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(build.ImageError, match="needs root"):
        image.ensure_image("debian-13", lambda _: None)


def test_an_image_is_not_built_on_a_full_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(settings, "CACHE", tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(image, "_FREE_BYTES", 1 << 60)
    with pytest.raises(build.ImageError, match=r"GiB of free disk at .*, there are .*; delete files"):
        image.ensure_image("debian-13", lambda _: None)


def test_a_failed_step_is_reported_with_its_last_lines_and_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with pytest.raises(build.ImageError, match=f"sh failed with exit code 3.*{log}(.|\n)*no such mirror"):
        build.run_logged(["sh", "-c", "echo no such mirror; exit 3"], log)


def test_a_missing_tool_is_named(tmp_path: Path) -> None:
    with pytest.raises(build.ImageError, match=r"'no-such-tool' is missing; run `make setup`"):
        build.run_logged(["no-such-tool"], tmp_path / "log")


def _package(directory: Path, name: str) -> None:
    control = directory / name / "DEBIAN/control"
    control.parent.mkdir(parents=True)
    control.write_text(
        f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example.com>\nDescription: a test\n"
    )
    subprocess.run(
        ["dpkg-deb", "--build", "--root-owner-group", name, "."], cwd=directory, check=True, capture_output=True
    )


def test_the_mirrors_indices_describe_its_packages(tmp_path: Path) -> None:
    for name in ("one", "two"):
        _package(tmp_path, name)
    assert mirror.write_indices(tmp_path, codename="trixie") == 2
    packages = (tmp_path / "Packages").read_bytes()
    assert b"Filename: ./one_1_all.deb" in packages
    assert gzip.decompress((tmp_path / "Packages.gz").read_bytes()) == packages
    release = (tmp_path / "Release").read_text()
    assert f" {hashlib.sha256(packages).hexdigest()} {len(packages)} Packages\n" in release
    assert "Origin: lab\nLabel: lab\nSuite: trixie\nCodename: trixie\n" in release


def test_a_mirror_can_be_debians_security_suite_to_the_guests(tmp_path: Path) -> None:
    mirror.write_indices(tmp_path, codename="trixie-security", origin="Debian", label="Debian-Security")
    release = (tmp_path / "Release").read_text()
    assert "Origin: Debian\nLabel: Debian-Security\nSuite: trixie-security\n" in release


def test_a_new_mirror_replaces_the_old_one(tmp_path: Path) -> None:
    old, new = tmp_path / "mirror/trixie", tmp_path / "new"
    old.mkdir(parents=True)
    (old / "stale").touch()
    new.mkdir()
    (new / "fresh").touch()
    mirror.publish(new, old)
    assert [path.name for path in old.iterdir()] == ["fresh"]
    assert [path.name for path in old.parent.iterdir()] == ["trixie"]


def test_a_tree_with_something_mounted_in_it_is_not_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a b").mkdir()
    mountinfo = tmp_path.with_name("mountinfo")
    mountinfo.write_text(f"30 1 0:5 / {tmp_path}/a\\040b rw - tmpfs tmpfs rw\n")
    monkeypatch.setattr(mounts, "_MOUNTINFO", mountinfo)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: None)
    with pytest.raises(OSError, match="a b cannot be unmounted"):
        mounts.remove_tree(tmp_path)
    assert (tmp_path / "a b").exists()
