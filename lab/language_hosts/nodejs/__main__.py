"""The Node.js language host: what the engine starts to run a program in TypeScript or JavaScript."""

import sys

from lab.language_hosts.base.server import serve
from lab.language_hosts.nodejs.host import NodeJsHost

if __name__ == "__main__":
    serve(NodeJsHost, sys.argv[1:])
