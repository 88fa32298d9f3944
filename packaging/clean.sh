#!/bin/sh
# Leave the machine as it was: instances, networks, images, settings, commands, environment, packages.
# KEEP_PACKAGES=1 keeps the system packages that Lodge installed.
set -eu
cd "$(dirname "$0")/.."
lodge=.venv/bin/lodge
if [ -x "$lodge" ] && [ -d /var/lib/lodge ]; then
    packaging/daemon.sh start
    for name in $("$lodge" list --columns name --format csv | tail -n +2); do
        "$lodge" set "$name" protected=no > /dev/null
        "$lodge" delete --force --yes "$name"
    done
    # A network that a profile names is kept; the built-in profile cannot be deleted itself.
    for profile in $("$lodge" profile list --columns name --format csv | tail -n +2); do
        "$lodge" profile set "$profile" networks=
    done
    for network in $("$lodge" network list --columns name --format csv | tail -n +2); do
        "$lodge" network delete "$network"
    done
    packaging/daemon.sh stop
fi
rm -rf /var/lib/lodge /run/lodge /var/log/lodge /etc/lodge
for command in lodge lodged; do
    [ "$(readlink /usr/local/bin/$command 2>/dev/null)" = "$PWD/.venv/bin/$command" ] && rm -f "/usr/local/bin/$command"
done
if [ -s .run/packages ] && [ -z "${KEEP_PACKAGES:-}" ]; then
    echo "Removing the system packages that Lodge installed"
    # shellcheck disable=SC2046  # one word per package is wanted
    DEBIAN_FRONTEND=noninteractive apt-get -q -y purge $(cat .run/packages) > /dev/null
fi
rm -rf .venv .run build dist
find . -name __pycache__ -type d -prune -exec rm -rf {} +
echo "Clean."
