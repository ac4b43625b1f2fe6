#!/usr/bin/env bash
# Drives the built server with requests that Schemathesis makes of /openapi.json, and fails on a
# 500, on a status, header or media type that is not documented, and on a body that breaks its
# schema. Schemathesis is installed once, below node_modules/.cache.
#
#   run.sh [seconds]     default 60; the seed is printed, SCHEMATHESIS_SEED repeats a run
#
# Two checks are left out. positive_data_acceptance: not all that makes a request valid is in a
# schema (a window that is not empty, a duplicate, a cursor of another request). use_after_free: what
# lies below a session or an agent goes by the literal id, and answers 200 after the registration is
# removed; that the thing itself is gone is held by test/e2e.
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:-60}
seed=${SCHEMATHESIS_SEED:-$RANDOM}
program=${MEMTRACE_TEST_PROGRAM:-dist/cmd/memtrace/main.js}
venv=node_modules/.cache/schemathesis
key="mtk_$(printf 's%.0s' {1..40})"

if ! command -v python3 >/dev/null; then
  echo "skipped: schemathesis needs python3 (3.10 or newer) on PATH"
  exit 0
fi
if [ ! -x "$venv/bin/schemathesis" ]; then
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet 'schemathesis==4.32.5'
fi

work=$(mktemp -d)
server=
cleanup() {
  if [ -n "$server" ] && kill "$server" 2>/dev/null; then wait "$server" || true; fi
  rm -rf "$work"
}
trap cleanup EXIT

MEMTRACE_STORAGE_DATA_DIR="$work/data" MEMTRACE_SERVER_PORT=0 \
  MEMTRACE_AUTH_BOOTSTRAP_KEY="$key" MEMTRACE_LOG_FORMAT=json \
  node "$program" serve >"$work/log" 2>&1 &
server=$!

port=
for _ in $(seq 300); do
  port=$(sed -n 's/.*"port":\([0-9]*\).*"listening".*/\1/p' "$work/log" | head -1)
  [ -n "$port" ] && curl -sf "http://127.0.0.1:$port/ready" >/dev/null && break
  kill -0 "$server" 2>/dev/null || { cat "$work/log"; exit 1; }
  sleep 0.1
done
[ -n "$port" ] || { echo 'the server was not ready in time'; cat "$work/log"; exit 1; }

own=$(curl -sf "http://127.0.0.1:$port/api/v1/keys/self" -H "x-api-key: $key" |
  sed -n 's/^{"id":"\([^"]*\)".*/\1/p')

status=0
here=$PWD/test/schemathesis
schemathesis=$PWD/$venv/bin/schemathesis
(cd "$work" && PYTHONPATH=$here PYTHONDONTWRITEBYTECODE=1 SCHEMATHESIS_HOOKS=hooks \
  OWN_KEY_ID=$own \
  "$schemathesis" --config-file "$here/schemathesis.toml" run \
  "http://127.0.0.1:$port/openapi.json" --header "x-api-key: $key" --checks all \
  --exclude-checks positive_data_acceptance,use_after_free \
  --max-time "$seconds" --seed "$seed" --continue-on-failure --workers 1 \
  --request-timeout 20 --generation-database none --no-color) || status=$?

# What the log calls an error is a failure too.
if grep -E '"level":"error"' "$work/log"; then
  echo 'the server logged errors'
  status=1
fi
# The key that drove the run still works: else the end of the run saw nothing but 401.
if ! curl -sf "http://127.0.0.1:$port/api/v1/keys/self" -H "x-api-key: $key" >/dev/null; then
  echo 'the server or the key of the run is gone; the end of its log:'
  tail -20 "$work/log"
  status=1
fi
exit "$status"
