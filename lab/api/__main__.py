"""`python -m lab.api --port N`: serve the AWS API until SIGTERM or SIGINT. Keeps no state on disk."""

import argparse
import os
import signal
import socket
import sys

from lab import settings


def main() -> int:
    """Run the server. Returns 1 when the port is busy."""
    parser = argparse.ArgumentParser(prog="python -m lab.api", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=settings.API_PORT, help="port (default: %(default)s)")
    parser.add_argument("--rules", action="store_true", help="print AWS's rules that the lab adds to moto, and exit")
    arguments = parser.parse_args()

    if arguments.rules:
        from lab.api.rules import listing  # noqa: PLC0415 - moto takes a second to import; --help should not

        sys.stdout.write(listing())
        return 0
    try:
        # Listen before moto is imported, which takes a second: a busy port fails at once, and early callers wait.
        listener = socket.create_server((arguments.host, arguments.port), backlog=128)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        sys.stderr.write(f"cannot listen on {arguments.host}:{arguments.port}: {reason}; choose another --port\n")
        return 1
    from lab.api import evaluator  # noqa: PLC0415 - see above: moto
    from lab.api.server import serve  # noqa: PLC0415 - see above: moto

    server = serve(listener)
    evaluator.start()
    # Not sys.exit: the signal may come while a finalizer runs. Python ignores its exceptions, and the API would go on.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(0))
    print(f"AWS API on http://{arguments.host}:{server.port}", flush=True)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
