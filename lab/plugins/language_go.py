"""The Go language host: what the engine starts to run a program in Go."""

import sys

from lab.plugins.language_go_host import GoHost
from lab.plugins.language_server import serve

if __name__ == "__main__":
    serve(GoHost, sys.argv[1:])
