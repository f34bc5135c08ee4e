"""`lab`: the cloud on one machine, from the command line."""

import subprocess
import sys
from collections.abc import Callable
from typing import Annotated, NoReturn

import typer

# Each command imports what it needs, so that `lab env`, which new shells run, is fast.

app = typer.Typer(help="A cloud on one machine.", no_args_is_help=True, add_completion=False, rich_markup_mode=None)

HostArgument = Annotated[str, typer.Argument(help="an instance's Name tag or id, or `internet`")]


@app.command()
def prepare(
    release: Annotated[list[str] | None, typer.Option(help="guest image: debian-12 or debian-13; repeatable")] = None,
) -> None:
    """Build the engine, the plugins and the guest images where they are missing."""
    from concurrent.futures import ThreadPoolExecutor

    from lab import preflight
    from lab.engine.build import ensure_engine
    from lab.engine.plugins import install_plugins
    from lab.machines import accelerator
    from lab.machines.image import ensure_image
    from lab.progress import phase

    def engine() -> None:
        with phase("Pulumi engine") as say:
            ensure_engine(say)
            install_plugins()

    def images() -> None:
        for name in release or ["debian-13"]:
            with phase(f"guest image {name}") as say:
                image = ensure_image(name, say)
                # The first machine would wait for this.
                accelerator.choose(image)

    _run_or_fail(preflight.check)
    # In parallel: an image mostly waits for packages and for the disk, the engine for the processor.
    with ThreadPoolExecutor() as pool:
        building = [pool.submit(each) for each in (engine, images)]
    for each in building:
        _run_or_fail(each.result)


@app.command()
def up() -> None:
    """Start the cloud: the AWS API and the data plane."""
    from lab import daemons
    from lab.progress import phase

    prepare(release=None)
    with phase("lab up"):
        _run_or_fail(daemons.start)


@app.command()
def down() -> None:
    """Stop the cloud and remove all its processes, namespaces, interfaces, mounts and files. Safe at any time."""
    from lab import daemons
    from lab.progress import phase, say

    with phase("lab down"):
        for removed in daemons.stop():
            say(f"removed {removed}")


@app.command()
def deploy() -> None:
    """Run `pulumi up --stack lab` of the checkout's own program."""
    from lab import stack
    from lab.progress import phase

    with phase("pulumi up --stack lab"):
        _exit(stack.up())


@app.command()
def destroy() -> None:
    """Run `pulumi destroy` on the lab's stack and remove the stack. If the cloud is down, only remove the stack."""
    from lab import daemons, stack
    from lab.progress import phase, say

    if not stack.exists():
        return
    with phase("pulumi destroy --stack lab"):
        if daemons.api_answers():
            _exit(stack.destroy())
        else:
            say("the cloud is down, and the resources of the stack no longer exist: only its state is removed")
        stack.forget()


@app.command()
def status() -> None:
    """Show the processes, machines and faults of the running lab."""
    from lab import daemons, machines, network_faults, preflight, processes

    for name in (preflight.API_PROCESS, preflight.DATA_PLANE_PROCESS, preflight.PLUGINS_PROCESS):
        process = processes.find(name)
        print(f"{name:<10} {f'running, pid {process.pid}' if process else 'not running'}")
    if not daemons.api_answers():
        raise typer.Exit(1)
    for machine in machines.status():
        print(machine)
    print(f"faults     {', '.join(network_faults.active()) or 'none'}")


@app.command()
def alarms() -> None:
    """List CloudWatch's alarms in all regions: name, state, since when, and why."""
    from lab import daemons
    from lab.alarms import alarms as described

    if not daemons.api_answers():
        _fail("the AWS API does not answer; run `lab up`")
    for alarm in described():
        print(alarm)


@app.command()
def dashboard(
    minutes: Annotated[int, typer.Option(help="how long ago the picture begins")] = 60,
) -> None:
    """Draw CloudWatch's dashboards with the lab's own data, as SVG files in .lab/dashboards/."""
    from lab import daemons, settings
    from lab.dashboards import pictures

    if not daemons.api_answers():
        _fail("the AWS API does not answer; run `lab up`")
    folder = settings.STATE / "dashboards"
    folder.mkdir(exist_ok=True)
    for name, picture in pictures(minutes).items():
        path = folder / f"{name}.svg"
        path.write_text(picture)
        print(path)


@app.command()
def env() -> None:
    """Print `export` lines; after `eval "$(lab env)"`, plain pulumi and aws commands work against the lab."""
    from lab.environment import export_lines

    print(export_lines())


@app.command(context_settings={"ignore_unknown_options": True})
def exec(  # noqa: A001 - the command's name is the lab's contract
    host: HostArgument,
    command: Annotated[list[str], typer.Argument(help="the command and its arguments")],
    timeout: Annotated[float, typer.Option(help="seconds")] = 60.0,
) -> None:
    """Run a command as root on a host, independent of its network, and exit with the command's code."""
    _run(host, command, timeout)


@app.command(context_settings={"ignore_unknown_options": True})
def capture(
    host: HostArgument,
    expression: Annotated[list[str] | None, typer.Argument(help="pcap-filter(7) expression")] = None,
    seconds: Annotated[float, typer.Option(help="how long")] = 10.0,
) -> None:
    """Run tcpdump on a host for some seconds and print what it saw."""
    from lab.capture import command

    _run(host, command(host, seconds, expression or []), seconds + 30)


@app.command()
def fault(
    name: Annotated[str | None, typer.Argument(help="the fault, or `heal` to end all; without it, list them")] = None,
) -> None:
    """Cause a fault in the lab's Internet, or heal all faults."""
    from lab import network_faults

    if name is None:
        for known in network_faults.FAULTS:
            print(f"{known:<12} {'on' if known in network_faults.active() else 'off'}")
    elif name == "heal":
        network_faults.heal()
    elif name in network_faults.FAULTS:
        network_faults.inject(name)
    else:
        _fail(f"unknown fault {name!r}; use one of {', '.join(network_faults.FAULTS)}, or `heal`")


@app.command()
def evidence() -> None:
    """Repeat the article's test, write .lab/evidence/, and fail unless every expectation holds."""
    from lab import settings
    from lab.evidence import collect
    from lab.progress import phase, say

    try:
        with phase("evidence"):
            result = collect()
    except LookupError as error:
        _fail(str(error))
    for failure in result.failures:
        say(f"does not hold: {failure}")
    say(f"{'fails' if result.failures else 'holds'}; see {settings.EVIDENCE.relative_to(settings.ROOT)}/")
    raise typer.Exit(1 if result.failures else 0)


def _run_or_fail(step: Callable[[], object]) -> None:
    """Run a step; exit with the message of an error that is meant for the user."""
    from lab.daemons import DaemonError
    from lab.engine.errors import EngineError
    from lab.machines.build import ImageError
    from lab.machines.host_sources import NoSourcesError
    from lab.machines.releases import UnknownReleaseError
    from lab.preflight import PreflightError

    try:
        step()
    except (PreflightError, DaemonError, EngineError, ImageError, NoSourcesError, UnknownReleaseError) as error:
        _fail(str(error))


def _run(host: str, command: list[str], timeout: float) -> NoReturn:
    """Run a command and pass its output on; exit with its code, 128 + its signal, or 124 at the timeout."""
    from lab import hosts
    from lab.machines import ChannelError, Streams

    try:
        streams = Streams(sys.stdout.buffer, sys.stderr.buffer)
        code = hosts.run(host, command, timeout=timeout, streams=streams).returncode
    except (LookupError, ChannelError) as error:
        _fail(str(error))
    except subprocess.TimeoutExpired:
        _fail(
            f"{command[0]} on {host} did not end within {timeout:.0f} s and was killed; allow more with --timeout", 124
        )
    raise typer.Exit(code if code >= 0 else 128 - code)


def _exit(code: int) -> None:
    if code:
        raise typer.Exit(code)


def _fail(message: str, code: int = 1) -> NoReturn:
    print(message if message.startswith("lab:") else f"lab: {message}", file=sys.stderr)
    raise typer.Exit(code)
