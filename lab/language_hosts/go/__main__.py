"""The Go language host: `python -m lab.language_hosts.go ENGINE_ADDRESS`."""

import sys

from lab.language_hosts.base.server import serve
from lab.language_hosts.go.host import GoHost

if __name__ == "__main__":
    serve(GoHost, sys.argv[1:])
