#!/usr/bin/env bash
# Builds the Python SDK, installs the wheel, and tests it against the real server.
#
# usage: run-tests.sh [--core | --short] [--latest]
#   --core    without the agent frameworks, and without the type checker and the linter
#   --short   as --core, and of its tests only those of the two clients
#   --latest  with the newest frameworks and tools instead of constraints.txt
#
# Needs python3 (3.10 or newer) and the built server (npm run build). PYTHON chooses the interpreter.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
core=false
tests=()
constraints=(-c "$here/constraints.txt")
for argument in "$@"; do
  case $argument in
    --core) core=true ;;
    --short) core=true; tests=(tests/test_client.py tests/test_async.py) ;;
    --latest) constraints=() ;;
    *) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2 ;;
  esac
done

cache=$root/node_modules/.cache/sdk-python
version=$("${PYTHON:-python3}" -c "import sys; print(f\"{sys.version_info[0]}.{sys.version_info[1]}\")")
$core && venv=$cache/core-$version || venv=$cache/all-$version
$core && extras=test || extras=test,openai-agents,langgraph,pydantic-ai
dist=$(mktemp -d)
trap 'rm -rf "$dist"' EXIT

mkdir -p "$cache"
[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
pip() { "$venv/bin/python" -m pip --disable-pip-version-check --quiet "$@"; }

# The sdist holds all that the wheel is made of: the wheel is built from it, not from the checkout.
pip install build ${constraints[@]+"${constraints[@]}"}
"$venv/bin/python" -m build --outdir "$dist" "$here" >"$dist/build.log" 2>&1 ||
  { cat "$dist/build.log"; exit 1; }
wheel=$(echo "$dist"/memtrace_client-*.whl)
sdist=$(echo "$dist"/memtrace_client-*.tar.gz)

pip uninstall --yes memtrace-client 2>/dev/null || true
pip install "$sdist" ${constraints[@]+"${constraints[@]}"}
(cd / && "$venv/bin/python" -c 'import memtrace_client')
pip install --force-reinstall --no-deps "$wheel"
pip install "memtrace-client[$extras] @ file://$wheel" ${constraints[@]+"${constraints[@]}"}
(cd / && "$venv/bin/python" - "$venv" <<'PY'
import pathlib, sys, memtrace_client as m
where = pathlib.Path(m.__file__)
assert where.is_relative_to(sys.argv[1]), where
assert where.with_name("py.typed").exists()
PY
)

cd "$here"
export PYTHONDONTWRITEBYTECODE=1
if $core; then
  "$venv/bin/python" -m pytest -p no:cacheprovider -m "not adapter" ${tests[@]+"${tests[@]}"}
else
  "$venv/bin/python" -m ruff check --no-cache .
  "$venv/bin/python" -m ruff format --check --no-cache .
  "$venv/bin/python" -m mypy --cache-dir "$cache/mypy"
  "$venv/bin/python" -m pytest -p no:cacheprovider
fi
