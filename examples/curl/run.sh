#!/usr/bin/env bash
# A crawler that remembers over a restart, with nothing but curl.
# Usage: MEMTRACE_API_KEY=mtk_… [MEMTRACE_URL=http://127.0.0.1:9100] examples/curl/run.sh
set -euo pipefail
url=${MEMTRACE_URL:-http://127.0.0.1:9100}
key=${MEMTRACE_API_KEY:?set MEMTRACE_API_KEY, e.g. to \$(cat data/admin.key)}

call() { # method path [body]
  curl -sS --fail-with-body -X "$1" "$url/api/v1$2" -H "x-api-key: $key" \
    -H 'content-type: application/json' ${3:+-d "$3"}
}

run=$(date +%s)
remember() { # event_type content
  call POST /memories "{\"agent_id\":\"crawler\",\"session_id\":\"sess_curl\",
    \"event_type\":\"$1\",\"content\":\"$2 (run $run)\"}" >/dev/null
}

remember page_crawled "Crawled https://example.com and found 3 product pages"
remember error "503 from https://example.com/p/3, 两次重试后放弃"

# Run it again after a restart of the server: what earlier runs did is still there.
echo "What this crawler remembers:"
call POST /sessions/sess_curl/context '{"since":"all","max_tokens":1000}' |
  sed 's/.*"context":"//; s/","memory_count".*//; s/\\n/\n/g; s/\\"/"/g'
