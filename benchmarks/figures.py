"""Measures the lab: seconds of its steps, peak memory, and a gateway's boot compared to one with empty user data.

Command: `make figures`. It needs the lab for itself. It deploys the article's stack, pings until the first reply,
destroys the stack, and then boots two machines of the same image with empty user data, as many as there were gateways.
It prints one JSON document and fails when a figure exceeds its bound. The ratio of the boots does not include the
installation of packages, which has its own figure.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from statistics import median

import psutil
from pulumi.runtime.proto import provider_pb2

from lab import daemons, environment, hosts, processes, settings, stack
from lab.api.client import client
from lab.machines import record, status
from lab.progress import phase
from tests.engine.api_process import ApiProcess
from tests.engine.plugin_process import PluginProcess, struct

REGION = "eu-west-2"
BOUNDS = {
    "lab_up_seconds": 5,
    "preview_seconds": 10,
    "peak_memory_mib": 3 * 1024,
    "api_call_milliseconds": 50,
    "plugin_adds_milliseconds": 50,
    "ratio_without_packages": 1.3,
}
"""The upper bound of each figure on an idle machine."""
EMPTY_USER_DATA = "#cloud-config\n{}\n"
_LIMIT_SECONDS = 900.0
_CALLS = 20


class MemoryPeak:
    """The largest sum of proportional set sizes of the lab's processes and this one's children, sampled each second."""

    def __init__(self) -> None:
        self.bytes = 0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "MemoryPeak":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stopping.wait(1):
            roots = [psutil.Process(), *(p for name in processes.names() if (p := processes.find(name)))]
            self.bytes = max(self.bytes, sum(_pss(p) for p in _families(roots)))


def main() -> None:
    """Measure, print, and leave nothing behind."""
    if daemons.api_answers():
        sys.exit("a lab is running; take it down first with `make lab-down`")
    with phase("lab up"):
        lab_up_seconds = _seconds(daemons.start)
    try:
        with MemoryPeak() as memory:
            figures = {"lab_up_seconds": lab_up_seconds, **_calls(), **_gateways()}
            with phase("preview"):
                figures["preview_seconds"] = _seconds(_preview)
        figures["peak_memory_mib"] = round(memory.bytes / 2**20)
        with phase("destroy"):
            if stack.destroy():
                sys.exit("pulumi destroy failed; its output is above")
        stack.forget()
        figures["empty_boot_seconds"] = _empty_boots()
    finally:
        daemons.stop()
    without_packages = figures["first_ping_seconds"] - figures["package_seconds"]
    figures["ratio_without_packages"] = round(without_packages / figures["empty_boot_seconds"], 2)
    print(json.dumps(figures, indent=2))
    exceeded = [f"{name} is {figures[name]}, above {bound}" for name, bound in BOUNDS.items() if figures[name] > bound]
    if exceeded:
        sys.exit("\n".join(exceeded))


def _seconds(step: Callable[[], object]) -> float:
    return round(_seconds_of(step), 1)


def _calls() -> dict[str, float]:
    """Return the median time of an API call, and the time that the stand-in for `aws` adds to a creation's calls."""
    api, ec2 = ApiProcess(settings.API_URL), client("ec2", REGION)
    token = "aws:ec2/internetGateway:InternetGateway"  # noqa: S105 - a resource type
    urn = f"urn:pulumi:test::inline::{token}::gateway"
    calls, added = [], []
    with PluginProcess("aws", environment.variables(), {"region": REGION}) as plugin:
        for _ in range(_CALLS):
            calls.append(_seconds_of(ec2.describe_route_tables))
            before, started = len(api.calls()), time.perf_counter()
            created = plugin.stub.Create(
                provider_pb2.CreateRequest(urn=urn, properties=struct({"tags": {"Name": "x"}}))
            )
            total = (time.perf_counter() - started) * 1000
            added.append(total - sum(call["duration_ms"] for call in api.calls()[before:]))
            plugin.stub.Delete(provider_pb2.DeleteRequest(urn=urn, id=created.id, properties=created.properties))
    return {
        "api_call_milliseconds": round(1000 * median(calls), 1),
        "plugin_adds_milliseconds": round(median(added), 1),
    }


def _seconds_of(step: Callable[[], object]) -> float:
    began = time.perf_counter()
    step()
    return time.perf_counter() - began


def _preview() -> None:
    shown = stack.pulumi(["preview", "--stack", stack.STACK, "--expect-no-changes"], capture=True)
    if shown.returncode:
        sys.exit(f"the preview of an unchanged stack failed:\n{shown.stdout}{shown.stderr}")


def _gateways() -> dict[str, float]:
    began = time.time()
    pinged = threading.Event()
    first_ping: list[float] = []

    def ping() -> None:
        while not pinged.is_set():
            try:
                reply = hosts.run("au-private", ["ping", "-c", "1", "-W", "1", "10.1.10.41"], timeout=10)
            except (LookupError, OSError, subprocess.TimeoutExpired):
                time.sleep(0.5)
                continue
            if reply.returncode == 0:
                first_ping.append(time.time())
                pinged.set()

    thread = threading.Thread(target=ping, daemon=True)
    thread.start()
    try:
        with phase("pulumi up"):
            if stack.up():
                sys.exit("pulumi up failed; its output is above")
        up_seconds = time.time() - began
    finally:
        pinged.set()
        thread.join()
    starts = [machine.started_at for machine in record.load_all() if machine.kind == "virtual-machine"]
    return {
        "pulumi_up_seconds": round(up_seconds, 1),
        # Counted from the start of the later gateway: the tunnel needs both, and the empty machines start together.
        "first_ping_seconds": round(first_ping[0] - max(starts), 1),
        "package_seconds": max(_package_seconds(name) for name in ("uk-gateway", "au-gateway")),
    }


def _package_seconds(gateway: str) -> float:
    """Return the seconds between the boot steps before and after the installation of packages."""
    before = _monotonic(gateway, "vpn-secrets.service", "ActiveEnterTimestampMonotonic")
    after = _monotonic(gateway, "vpn-filter.service", "InactiveExitTimestampMonotonic")
    return round((after - before) / 1e6, 1)


def _monotonic(gateway: str, unit: str, timestamp: str) -> int:
    shown = hosts.run(gateway, ["systemctl", "show", "--value", "--property", timestamp, unit])
    return int(shown.stdout)


def _empty_boots() -> float:
    ec2 = client("ec2", REGION)
    image = ec2.describe_images(Filters=[{"Name": "name", "Values": ["debian-13-amd64-*"]}])["Images"][-1]["ImageId"]
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.1.0/24")["Subnet"]["SubnetId"]
    with phase("two boots with empty user data"):
        ec2.run_instances(
            ImageId=image,
            InstanceType="t3.nano",
            MinCount=2,
            MaxCount=2,
            UserData=EMPTY_USER_DATA,
            SubnetId=subnet,
        )
        _wait(lambda: len(status()) == 2 and all(one.boot.startswith("booted") for one in status()))
        return round(max(one.up_seconds for one in status()), 1)


def _wait(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _LIMIT_SECONDS
    while not done():
        if time.monotonic() > deadline:
            sys.exit(f"not booted within {_LIMIT_SECONDS:.0f} s; see the consoles in {settings.LOGS}/machines")
        time.sleep(0.5)


def _families(roots: list[psutil.Process]) -> set[psutil.Process]:
    members: set[psutil.Process] = set()
    for root in roots:
        try:
            members |= {root, *root.children(recursive=True)}
        except psutil.NoSuchProcess:
            continue
    return members


def _pss(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.Error:
        return 0


if __name__ == "__main__":
    main()
