#!/bin/sh
# Installs what the lab needs on a Debian 12 or 13 machine: packages (lab/packages.txt) and .venv (requirements-dev.txt).
# Quick when everything is installed. Run it with `make setup`.
set -eu
cd "$(dirname "$0")/.."

say() { echo "setup: $*" >&2; }

die() {
    say "$*"
    exit 1
}

installed() { dpkg-query --show --showformat='${db:Status-Abbrev}' "$1" 2>/dev/null | grep -q '^ii'; }

install_packages() {
    missing=
    for package in $(grep -v '^#' lab/packages.txt) "$@"; do
        installed "$package" || missing="$missing $package"
    done
    [ -n "$missing" ] || return 0
    [ "$(id -u)" -eq 0 ] || die "Debian packages are missing and only root can install them; run: apt-get install$missing"
    command -v apt-get >/dev/null || die "this is not Debian: install the packages of lab/packages.txt by hand"
    say "installing Debian packages:$missing"
    apt-get update --quiet=2 || die "apt-get update failed; see its message above"
    # shellcheck disable=SC2086 # a list of package names
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet=2 --no-install-recommends $missing >/dev/null ||
        die "apt-get install failed; see its message above"
}

python=${PYTHON:-python3}
command -v "$python" >/dev/null || install_packages python3 python3-venv
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "$python is older than 3.11; name a newer one with PYTHON=..."
if "$python" -c 'import ensurepip' 2>/dev/null; then
    install_packages
else
    install_packages python3-venv
fi

stamp=.venv/.vpn-gateway-pair
wanted=$(cat requirements-dev.txt lab/requirements-uv.txt lab/pyproject.toml | sha256sum)
if [ "$(cat "$stamp" 2>/dev/null)" != "$wanted" ]; then
    say "creating .venv from requirements-dev.txt"
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    [ -x .venv/bin/pip ] || "$python" -m venv --upgrade .venv
    # pip installs only uv, which installs everything else several times faster.
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement lab/requirements-uv.txt
    .venv/bin/uv pip install --quiet --python .venv/bin/python --require-hashes --requirement requirements-dev.txt
    .venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable lab
    echo "$wanted" >"$stamp"
fi
