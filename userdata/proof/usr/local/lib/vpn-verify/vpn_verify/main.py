"""The command: looks once, or until all is well, and reports.

Exit code: 0 when every layer holds, 1 when one does not, 2 when it cannot look.
"""

import argparse
import json
import os
import sys
import time

from expectations import ExpectationsError, load
from vpn_verify import people
from vpn_verify.examine import Report, examine
from vpn_verify.machine import read
from vpn_verify.start import start
from vpn_verify.table import FINISHED, layers_of


def main() -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="vpn-verify", description="Does this gateway carry packets, and if not, why?")
    parser.add_argument("--json", action="store_true", help="to stdout; what is not well also to stderr, for people")
    parser.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="look until all is well")
    parser.add_argument("--revision", default="", help="fail unless vpn-configure has put this one in place")
    parser.add_argument("--own", action="store_true", help="only what this gateway knows of itself; nothing is sent")
    options = parser.parse_args()
    if os.geteuid():
        print("needs root: sudo vpn-verify", file=sys.stderr)
        return 2
    try:
        report = _look(options.wait, options.revision, own=options.own)
    except ExpectationsError as error:
        print(error, file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(report.document()))
    if not (options.json and report.ok):
        print(people.text(report), file=sys.stderr if options.json else sys.stdout)
    return 0 if report.ok else 1


def _look(seconds: float, revision: str, *, own: bool) -> Report:
    """Return the report of the last look: the first one that is well or final, or one after so many seconds.

    With `own`, it looks at this gateway alone.
    """
    deadline, printed = time.monotonic() + seconds, ""
    # A look is a dozen processes and threads: a machine that boots on one processor would be slower for it.
    while time.monotonic() < deadline and not read(FINISHED):
        time.sleep(2)
    while True:
        gateway = load()
        report = examine(layers_of(gateway, own=own), gateway, start(gateway, own=own), revision)
        if report.ok or report.final or time.monotonic() >= deadline:
            return report
        broken = next(row for row in report.layers if row.status == "failed")
        # Only on a terminal: in the output of a remote command these lines would bury the report.
        if sys.stderr.isatty() and printed != (line := f"waiting: {broken.name}: {broken.evidence}"[:150]):
            printed = line
            print(line, file=sys.stderr, flush=True)
        time.sleep(2)
