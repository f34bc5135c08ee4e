"""The Go language host: what the engine starts to run a program in Go."""

import sys

from lab.language_hosts.base.server import serve
from lab.language_hosts.go.host import GoHost

if __name__ == "__main__":
    serve(GoHost, sys.argv[1:])
