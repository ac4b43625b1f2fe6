#!/usr/bin/env bash
# Runs an OpenAI Agents crawler (a scripted model: no key, no cost) twice,
# as two processes: the second one remembers what the first one did.
# Needs python3 and a running memtrace: MEMTRACE_URL (default http://localhost:9100) and
# MEMTRACE_API_KEY (default: the key that a server started in this checkout wrote).
set -euo pipefail
cd "$(dirname "$0")"
: "${MEMTRACE_API_KEY:=$(cat ../../data/admin.key 2>/dev/null || true)}"
export MEMTRACE_API_KEY

python=${PYTHON:-python3}
if ! "$python" -c 'import agents, memtrace_client' 2>/dev/null; then
  [ -x .venv/bin/python ] || "$python" -m venv .venv
  python=.venv/bin/python
  "$python" -m pip install --quiet "../../sdk/python[openai-agents]"
fi

session=${1:-crawl-$(date +%s)}
"$python" crawler.py "$session"
echo "--- a new process ---"
"$python" crawler.py "$session"
