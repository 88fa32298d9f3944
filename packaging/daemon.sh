#!/bin/sh
# Start or stop lodged where no service manager does it.
#   packaging/daemon.sh start|stop|status
# Guests are not touched by either: they go on while the daemon is away.
set -eu
cd "$(dirname "$0")/.."
run=${LODGE_RUN_DIR:-/run/lodge}
log=${LODGE_LOG:-/var/log/lodge/lodged.log}

pid() { # the daemon's pid, if that process really is a lodged
    p=$(cat "$run/lodged.pid" 2>/dev/null) || return 1
    [ -r "/proc/$p/cmdline" ] || return 1
    tr '\0' ' ' < "/proc/$p/cmdline" 2>/dev/null | grep -q lodged && echo "$p"
}

case ${1:-} in
start)
    if p=$(pid); then echo "lodged runs already (pid $p)"; exit 0; fi
    umask 077 # the log names guests and callers
    mkdir -p "$(dirname "$log")"
    # setsid and no inherited descriptors: the daemon must outlive this terminal.
    setsid .venv/bin/lodged < /dev/null >> "$log" 2>&1 &
    i=0
    while [ $i -lt 100 ]; do
        if .venv/bin/lodge version > /dev/null 2>&1; then echo "lodged started (pid $(pid), log $log)"; exit 0; fi
        kill -0 $! 2>/dev/null || break
        sleep 0.1
        i=$((i + 1))
    done
    echo "error: lodged did not come up; the end of $log:" >&2
    tail -n 15 "$log" >&2
    exit 1
    ;;
stop)
    if ! p=$(pid); then echo "lodged does not run"; exit 0; fi
    kill "$p"
    i=0
    while kill -0 "$p" 2>/dev/null && [ $i -lt 150 ]; do sleep 0.1; i=$((i + 1)); done
    if kill -0 "$p" 2>/dev/null; then echo "error: lodged (pid $p) does not end" >&2; exit 1; fi
    echo "lodged stopped; guests go on"
    ;;
status)
    if p=$(pid); then echo "lodged runs (pid $p)"; else echo "lodged does not run"; exit 3; fi
    ;;
*)
    sed -n '2,4p' "$0" | sed 's/^# \{0,1\}//'
    exit 2
    ;;
esac
