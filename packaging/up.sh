#!/bin/sh
# The main job: from a Debian machine to a virtualization host with a real server on it.
# Every part is skipped when it was done before; the last line says what to type next.
set -eu
cd "$(dirname "$0")/.."
lodge=$PWD/.venv/bin/lodge
name=${NAME:-web1}
image=${IMAGE:-debian-12}
changed=

packaging/install.sh
if packaging/daemon.sh status > /dev/null; then echo "lodged: runs"; else packaging/daemon.sh start; changed=1; fi
ln -sf "$lodge" /usr/local/bin/lodge
ln -sf "$PWD/.venv/bin/lodged" /usr/local/bin/lodged

# The tiny image proves (or disproves) hardware acceleration by really running it.
for recipe in tiny "$image"; do
    if "$lodge" image show "$recipe" > /dev/null 2>&1; then
        echo "Image $recipe: there"
    else
        echo "Building image $recipe from this machine's own package sources"
        "$lodge" image build "$recipe"
        changed=1
    fi
done
"$lodge" host show

key=.run/${name}_key
[ -f "$key" ] || ssh-keygen -q -t ed25519 -N '' -C "$name" -f "$key"
if "$lodge" show "$name" > /dev/null 2>&1; then
    state=$("$lodge" list --filter "name=$name" --columns state --format csv | tail -n 1)
    if [ "$state" = running ]; then echo "Instance $name: runs"; else "$lodge" start "$name"; changed=1; fi
else
    sed "s|@SSH_KEY@|$(cat "$key.pub")|" packaging/web1.yaml > ".run/$name.yaml"
    "$lodge" launch "$image" "$name" --cloud-init ".run/$name.yaml" --memory 1GiB --start-at-boot --wait 0
    changed=1
fi

address=$("$lodge" list --filter "name=$name" --columns ipv4 --format csv | tail -n 1)
echo "Waiting for the web page of $name at http://$address/"
began=$(date +%s)
until .venv/bin/python packaging/answers.py "http://$address/"; do
    waited=$(($(date +%s) - began))
    if [ "$waited" -gt "${LIMIT:-900}" ]; then
        echo "error: no answer after $waited s; see: lodge logs $name; inside the guest: lodge exec $name -- systemctl status web" >&2
        exit 1
    fi
    # What a guest prints must not reach this terminal as it is: it could drive it.
    printf '\r  %3d s, the guest says: %.60s' "$waited" "$("$lodge" logs "$name" --tail 300 2>/dev/null | LC_ALL=C tr -cd '[:print:]\n' | grep -v '^ *$' | tail -n 1)"
    sleep 2
done
printf '\r%80s\r' ''
[ -n "$changed" ] || echo "Nothing had to be changed."
echo
"$lodge" list --columns name,state,ipv4,image,cpus,memory
cat <<T

The page:    http://$address/
Log in:      ssh -i $PWD/$key admin@$address
Console:     lodge console $name        (leave with Ctrl-])
Stop it:     lodge shutdown $name
API:         $("$lodge" host show | sed -n 's/^API: *//p') and the socket /run/lodge/lodged.sock
More:        lodge --help
T
