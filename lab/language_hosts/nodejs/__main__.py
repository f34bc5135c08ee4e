"""The Node.js language host, for TypeScript and JavaScript: `python -m lab.language_hosts.nodejs ENGINE_ADDRESS`."""

import sys

from lab.language_hosts.base.server import serve
from lab.language_hosts.nodejs.host import NodeJsHost

if __name__ == "__main__":
    serve(NodeJsHost, sys.argv[1:])
