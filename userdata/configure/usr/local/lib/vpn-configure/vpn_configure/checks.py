"""Asks the programs that read a gateway's files whether they take the staged ones, before anything changes."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

import ipsec_conf
from vpn_configure.commit import STAGE, staged
from vpn_configure.errors import ConfigureError
from vpn_configure.files import Changes, File
from vpn_configure.machine import NO_COMMAND, Machine
from vpn_configure.pluto import ADDCONN
from vpn_configure.steps import FILTER, KEYS, SSHD, UNITS

APT = "/etc/apt/apt.conf.d"
SSHD_CONFIG = "/etc/ssh/sshd_config"


def check(machine: Machine, changes: Changes, *, installed: bool = True) -> None:
    """Check the staged files; raises ConfigureError with what the tool says, about the file's own path.

    Before the packages are `installed`, tools may be missing.
    """
    new = {path: change.new for path, change in changes.items() if change.new}
    problems = [problem for path, file in new.items() for problem in _by_itself(path, file)]
    problems += _by_tools(machine, new, installed)
    if problems:
        text = "\n".join(problems).replace(str(machine.place(staged(""))), "").replace(staged(""), "")
        raise ConfigureError(f"refused, and nothing has changed:\n{text}")


def _by_itself(path: str, file: File) -> Iterator[str]:
    """Yield what is wrong with a file that needs no tool."""
    if path == FILTER and not file.text.endswith("COMMIT\n# end\n"):
        yield f"{path}: does not end with `# end`, so it is not whole"
    try:
        if path.endswith(".json"):
            json.loads(file.text)
        elif path.endswith(".py") or _interpreter(file) == "python3":
            compile(file.text, path, "exec")
    except SyntaxError as error:
        yield f"{path}:{error.lineno}: {error.msg}"
    except ValueError as error:
        # Not the text around the place: it may be a secret.
        yield f"{path}: {error}"


def _by_tools(machine: Machine, new: Mapping[str, File], installed: bool) -> Iterator[str]:
    """Yield what the tools say about the files that they refuse."""
    for path, argv in _questions(machine, new):
        done = machine.run(*argv, seconds=60)
        if done.code == NO_COMMAND and not installed:
            continue
        output = done.output
        if path.startswith(UNITS):
            output = _without_programs_to_come(output, new)
            refused = bool(done.code and output)
        else:
            # 5.2 passes what it does not know, with these words.
            refused = bool(done.code) or (path in ipsec_conf.PATHS and "keyword ignored" in output)
        if refused:
            tool = next(word for word in argv if word != "env" and "=" not in word)
            yield f"{path}: {tool.rpartition('/')[2]}: {output or f'exit code {done.code}'}"


def _questions(machine: Machine, new: Mapping[str, File]) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield path and command of each check."""
    for path, file in new.items():
        place = str(machine.place(staged(path)))
        if path == FILTER:
            yield path, ["iptables-restore", "-w", "--test", "--noflush", place]
        elif path in ipsec_conf.PATHS:
            yield path, [ADDCONN, "--config", place, "--checkconfig"]
            for version, algorithms in _algorithms(file.text):
                yield path, ["ipsec", "algparse", f"-v{version}", "-pfs=yes", algorithms]
        elif path.startswith(f"{SSHD}/") and path.endswith(".conf"):
            yield path, ["/usr/sbin/sshd", "-t", "-f", _sshd_config(machine, place)]
        elif path.startswith(f"{KEYS}/"):
            # ssh-keygen fails if the list has no valid key. Nobody could log in with such a list.
            yield path, ["ssh-keygen", "-l", "-f", place]
        elif path.startswith(f"{APT}/"):
            yield path, ["apt-config", "-c", place, "dump"]
        elif _interpreter(file) == "sh":
            yield path, ["sh", "-n", place]
    for unit, path in _units(new).items():
        folder = str(machine.place(staged(UNITS)))
        # The colon at the end adds systemd's own folders.
        verify = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit]
        yield path, ["env", f"SYSTEMD_UNIT_PATH={folder}:", *verify]


def _algorithms(text: str) -> list[tuple[str, str]]:
    """Return IKE's version and each different `ike=` and `esp=`: `addconn --checkconfig` does not look into them."""
    found = dict[tuple[str, str], None]()
    for keywords in ipsec_conf.parse(text).connections.values():
        version = "1" if keywords.get("ikev2") == "no" else "2"
        found |= {(version, f"{key}={keywords[key]}"): None for key in ("ike", "esp") if key in keywords}
    return list(found)


def _sshd_config(machine: Machine, place: str) -> str:
    """Return the path of a configuration with the staged file first: of a keyword, sshd takes the first value."""
    path = machine.place(f"{STAGE}/sshd_config")
    path.write_text(f"Include {place}\n{machine.read(SSHD_CONFIG)}", encoding="utf-8")
    machine.place("/run/sshd").mkdir(parents=True, exist_ok=True)
    return str(path)


def _units(new: Mapping[str, File]) -> dict[str, str]:
    """Return unit -> path of a staged file of it, which may be an addition to it."""
    found = dict[str, str]()
    for path in new:
        place = PurePosixPath(path)
        if str(place.parent) == UNITS:
            found[place.name] = path
        elif str(place.parent.parent) == UNITS and place.parent.suffix == ".d":
            found.setdefault(place.parent.name.removesuffix(".d"), path)
    return found


def _without_programs_to_come(output: str, new: Mapping[str, File]) -> str:
    """Return the messages without those about programs that come in place together with their units."""
    lines = output.splitlines()
    return "\n".join(
        line for line in lines if "is not executable" not in line or not any(f" {path} " in line for path in new)
    )


def _interpreter(file: File) -> str:
    """Return the program of the first line, `#!/usr/bin/python3`; nothing without one."""
    first = file.text.partition("\n")[0]
    return PurePosixPath(first.removeprefix("#!").split()[0]).name if first.startswith("#!/") else ""
