#!/bin/sh
# Install what is missing: Debian packages, the Python environment in .venv, the commands lodge and lodged.
#   packaging/install.sh [dev]      dev: also what the tests and checks need
# Idempotent: says so when nothing is missing. New packages are noted in .run/packages, so that
# "make clean" can take exactly those away again.
set -eu
cd "$(dirname "$0")/.."
mkdir -p .run
[ "$(id -u)" = 0 ] || { echo "error: run this as root (guests, networks and cgroups need it)" >&2; exit 1; }

lists=packaging/packages.txt
[ "${1:-}" = dev ] && lists="$lists packaging/test-packages.txt"
missing=
for package in $(grep -hv '^#' $lists); do
    dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed || missing="$missing $package"
done
if [ -n "$missing" ]; then
    echo "Installing system packages:$missing"
    dpkg-query -W -f '${Package}\n' | sort > .run/packages.before
    apt-get -q update > .run/apt.log 2>&1 || { tail -n 20 .run/apt.log >&2; exit 1; }
    # shellcheck disable=SC2086  # one word per package is wanted
    DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends -o Dpkg::Use-Pty=0 \
        install $missing >> .run/apt.log 2>&1 || { tail -n 30 .run/apt.log >&2; exit 1; }
    dpkg-query -W -f '${Package}\n' | sort | comm -13 .run/packages.before - >> .run/packages
    rm -f .run/packages.before
else
    echo "System packages: all there"
fi

extras=
[ "${1:-}" = dev ] && extras='[dev]'
# The stamp names what was installed from which description, so that a changed one installs again.
want=$(cksum < pyproject.toml)$extras
if [ ! -x .venv/bin/python ] || ! grep -qxF "$want" .run/python.stamp 2>/dev/null; then
    # What the tests need stays installed when only the run-time part is asked for again.
    if [ -z "$extras" ] && grep -qxF "$want[dev]" .run/python.stamp 2>/dev/null; then
        echo "Python environment: all there"
        exit 0
    fi
    echo "Installing Python packages"
    [ -x .venv/bin/python ] || /usr/bin/python3 -m venv .venv
    .venv/bin/pip install -q --disable-pip-version-check -e ".$extras" > .run/pip.log 2>&1 \
        || { tail -n 20 .run/pip.log >&2; exit 1; }
    # Commands start a third faster when nobody has to compile them first.
    .venv/bin/python -m compileall -q src/lodge
    printf '%s\n' "$want" > .run/python.stamp
else
    echo "Python environment: all there"
fi
