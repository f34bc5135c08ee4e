"""The Node.js language host: what the engine starts to run a program in TypeScript or JavaScript."""

import sys

from lab.plugins.language_nodejs_host import NodeJsHost
from lab.plugins.language_server import serve

if __name__ == "__main__":
    serve(NodeJsHost, sys.argv[1:])
