#!/bin/sh
# Stop the daemon; with "guests" also shut every instance down first.
set -eu
cd "$(dirname "$0")/.."
if [ "${1:-}" = guests ] && packaging/daemon.sh status > /dev/null; then
    names=$(.venv/bin/lodge list --filter state=running --columns name --format csv | tail -n +2)
    # shellcheck disable=SC2086  # one word per name is wanted
    [ -z "$names" ] || .venv/bin/lodge shutdown --force --timeout 120 $names
fi
packaging/daemon.sh stop
