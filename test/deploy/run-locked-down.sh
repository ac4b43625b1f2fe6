#!/usr/bin/env bash
# Runs the server as its pod does, without a container engine: the user 1000 with no capability and
# no new privileges, a read-only root, and only the data and /tmp to write to. Needs root and mount
# namespaces. Usage: run-locked-down.sh CHECKOUT NODE
set -euo pipefail
CHECKOUT=$1
NODE=$2

if [ "${3:-}" != inside ]; then
  exec unshare --mount --pid --fork --propagation private "$0" "$CHECKOUT" "$NODE" inside
fi

data=$(mktemp -d)
mount -t tmpfs -o "mode=0770,gid=1000" data "$data"
mount --bind -o ro "$CHECKOUT" "$CHECKOUT"
mount -o remount,bind,ro /
mount -t tmpfs -o mode=1777,size=256m tmp /dev/shm
export TMPDIR=/dev/shm
# A new volume of a disk has this in it.
mkdir "$data/lost+found"

port=$((20000 + RANDOM % 20000))
as_pod=(setpriv --reuid 1000 --regid 1000 --clear-groups --bounding-set -all --inh-caps -all
  --no-new-privs)
if "${as_pod[@]}" touch "$CHECKOUT/written" 2>/dev/null || "${as_pod[@]}" touch /var/tmp/written 2>/dev/null; then
  echo 'not ok: the root can be written'
  exit 1
fi
cd /
export MEMTRACE_STORAGE_DATA_DIR=$data MEMTRACE_SERVER_PORT=$port
export MEMTRACE_AUTH_BOOTSTRAP_KEY=mtk_0123456789abcdef0123456789abcdef NODE_OPTIONS=--max-old-space-size=256
"${as_pod[@]}" "$NODE" "$CHECKOUT/dist/cmd/memtrace/main.js" serve >/dev/shm/log 2>&1 &
server=$!
request() {
  "$NODE" -e "
    fetch('http://127.0.0.1:$port$1', {method: '$2', headers: {'x-api-key': '$MEMTRACE_AUTH_BOOTSTRAP_KEY',
      'content-type': 'application/json'}, body: '$3' || undefined})
      .then(async r => { console.log(r.status, await r.text()); process.exit(r.ok ? 0 : 1); }, () => process.exit(1))"
}
for _ in $(seq 100); do
  request /ready GET '' >/dev/null && break
  sleep 0.2
done
request /api/v1/memories POST '{"agent_id":"a","content":"from a read-only root"}' || { cat /dev/shm/log; exit 1; }
request /api/v1/search POST '{"content_contains":"read-only"}'
request /api/v1/sessions/s/context POST '{}'
kill "$server"
code=0
wait "$server" || code=$?
[ "$code" = 0 ] || { echo "not ok: ended with $code"; cat /dev/shm/log; exit 1; }
find "$data/events" -name '*.parquet' | grep -q . && echo 'ok: flushed at the stop'
echo 'ok: ran locked down'
