"""Serves the components to any Pulumi language: `pulumi package add <this folder>`."""

import sys
from importlib import import_module
from pathlib import Path

from pulumi.provider import main

PACKAGE = Path(__file__).resolve().parent

if __name__ == "__main__":
    # Run as a folder, Python puts the folder itself on the path, where a package cannot be imported from.
    sys.path[0] = str(PACKAGE.parent)
    main(import_module(f"{PACKAGE.name}.plugin.provider").provider(), sys.argv[1:])
