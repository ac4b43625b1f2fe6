#!/usr/bin/env bash
# Runs deploy/install.sh in a throwaway root: this machine's own with a layer above it that takes
# every change and goes away with this script. Needs root and mount namespaces.
# Usage: install-in-root.sh CHECKOUT   (re-executes itself in a namespace of its own)
set -euo pipefail
CHECKOUT=$1

if [ "${2:-}" != inside ]; then
  exec unshare --mount --pid --fork --propagation private "$0" "$CHECKOUT" inside
fi

layer=$(mktemp -d)
mount -t tmpfs layer "$layer"
mkdir "$layer/upper" "$layer/work" "$layer/root"
root=$layer/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$layer/upper,workdir=$layer/work" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mkdir -p "$root$CHECKOUT"
mount --bind -o ro "$CHECKOUT" "$root$CHECKOUT"
rm -rf "$root/run/systemd"

in_root() { chroot "$root" "$@"; }
check() { # what, expected, actual
  if [ "$2" = "$3" ]; then echo "ok: $1"; else
    echo "not ok: $1: expected '$2', got '$3'"
    exit 1
  fi
}
mode_of() { in_root stat -c '%U:%G %a' "$1"; }

in_root getent passwd memtrace >/dev/null && userdel=1 || userdel=0
check 'a clean start' 0 "$userdel"
in_root "$CHECKOUT/deploy/install.sh"
check 'the program' 'root:root 755' "$(mode_of /opt/memtrace/current/dist)"
check 'the data' 'memtrace:memtrace 700' "$(mode_of /var/lib/memtrace)"
check 'the settings' 'root:memtrace 640' "$(mode_of /etc/memtrace/memtrace.toml)"
check 'the secrets' 'root:root 600' "$(mode_of /etc/memtrace/memtrace.env)"
check 'no development tools' no "$(in_root test -d /opt/memtrace/current/node_modules/vitest && echo yes || echo no)"
in_root systemd-analyze verify /etc/systemd/system/memtrace.service && echo 'ok: the unit'

# What an operator changed stays; a second run changes nothing else.
echo '# mine' >>"$root/etc/memtrace/memtrace.toml"
in_root "$CHECKOUT/deploy/install.sh" >/dev/null
check 'settings survive' '# mine' "$(tail -1 "$root/etc/memtrace/memtrace.toml")"
check 'one version' 1 "$(find "$root/opt/memtrace" -mindepth 1 -maxdepth 1 -type d | wc -l)"

# The service as its user, by the unit's own command, on another port.
command=$(sed -n 's/^ExecStart=//p' "$root/etc/systemd/system/memtrace.service")
port=$((20000 + RANDOM % 20000))
# shellcheck disable=SC2086
chroot --userspec=memtrace:memtrace "$root" env -C /var/lib/memtrace $command --port "$port" >"$layer/log" 2>&1 &
server=$!
for _ in $(seq 100); do
  in_root node -e "fetch('http://127.0.0.1:$port/ready').then(r=>process.exit(r.ok?0:1),()=>process.exit(1))" && break
  sleep 0.2
done
key=$(cat "$root/var/lib/memtrace/admin.key")
status=$(in_root node -e "
  fetch('http://127.0.0.1:$port/api/v1/memories', {method: 'POST',
    headers: {'x-api-key': '$key', 'content-type': 'application/json'},
    body: JSON.stringify({agent_id: 'a', content: 'installed'})}).then(r => console.log(r.status))")
check 'a working write' 201 "$status" || { cat "$layer/log"; exit 1; }
check 'the command line beside a running server' acme "$(in_root memtrace org create acme --json | in_root node -p 'JSON.parse(require("fs").readFileSync(0)).name')"
check 'files of one owner' memtrace "$(in_root find /var/lib/memtrace -printf '%u\n' | sort -u)"
kill "$server"
code=0
wait "$server" || code=$?
check 'a clean stop' 0 "$code"

in_root "$CHECKOUT/deploy/install.sh" --uninstall
check 'the program is gone' no "$(test -e "$root/opt/memtrace" && echo yes || echo no)"
check 'the data is kept' yes "$(test -s "$root/var/lib/memtrace/memtrace.db" && echo yes || echo no)"
check 'the settings are kept' yes "$(test -s "$root/etc/memtrace/memtrace.toml" && echo yes || echo no)"
in_root "$CHECKOUT/deploy/install.sh" --uninstall >/dev/null && echo 'ok: twice'
in_root "$CHECKOUT/deploy/install.sh" >/dev/null && echo 'ok: and again'
