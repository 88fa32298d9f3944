#!/bin/sh
# Every test: the checks, the fast ones, then those that boot guests.
# Set LODGE_TEST_CACHE to keep built images between runs.
set -eu
cd "$(dirname "$0")/.."
export LODGE_TEST_CACHE="${LODGE_TEST_CACHE:-$PWD/.run/test-cache}"
mkdir -p "$LODGE_TEST_CACHE"
packaging/check.sh
.venv/bin/python -m pytest -q "$@" tests
