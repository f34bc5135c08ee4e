#!/bin/sh
# Compiles the lock files from pyproject.toml and lab/pyproject.toml. Run it with `make lock` after changing either.
set -eu
cd "$(dirname "$0")/.."

compile() { # output, sources and options
    output=$1
    shift
    .venv/bin/uv pip compile --quiet --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 \
        --output-file "$output" "$@"
}

compile requirements.txt pyproject.toml
compile requirements-dev.txt pyproject.toml lab/pyproject.toml --extra test
