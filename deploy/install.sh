#!/usr/bin/env bash
# Installs memtrace as a systemd service on Debian, Ubuntu or openEuler, or brings it up to date.
# Run it as often as you like. From a checkout in which `npm ci && npm run build` was run:
#
#   sudo deploy/install.sh                 install, or upgrade; the data and the settings stay
#   sudo deploy/install.sh --uninstall     remove the program; the data and the settings stay
#
# /opt/memtrace/VERSION    the program; /opt/memtrace/current points to the one that runs
# /etc/memtrace            memtrace.toml and memtrace.env (secrets); written only if absent
# /var/lib/memtrace        the data
# /usr/local/bin/memtrace  the command line, as the user memtrace
set -euo pipefail

readonly OPT=/opt/memtrace ETC=/etc/memtrace DATA=/var/lib/memtrace
readonly UNIT=/etc/systemd/system/memtrace.service WRAPPER=/usr/local/bin/memtrace
SOURCE=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly SOURCE

say() { printf '%s\n' "$*"; }
die() {
  printf 'install.sh: %s\n' "$*" >&2
  exit 1
}

has_systemd() { [ -d /run/systemd/system ]; }

# The path of a Node that is new enough; npm prune needs the npm beside it.
find_node() {
  local node
  node=$(command -v node) || die "there is no node: install Node.js 20.19 or newer (https://nodejs.org)"
  "$node" -e '
    const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit(major > 20 || (major === 20 && minor >= 19) ? 0 : 1);
  ' || die "node $("$node" --version) is too old: memtrace needs 20.19 or newer"
  readlink -f "$node"
}

create_user() {
  getent passwd memtrace >/dev/null && return
  local nologin
  nologin=$(command -v nologin || echo /usr/sbin/nologin)
  getent group memtrace >/dev/null || groupadd --system memtrace
  useradd --system --gid memtrace --home-dir "$DATA" --no-create-home --shell "$nologin" memtrace
  say "created the user memtrace"
}

# Copies the program beside the running one and switches over in one step.
install_program() {
  local node=$1 version target staging
  if [ ! -f "$SOURCE/dist/cmd/memtrace/main.js" ] || [ ! -d "$SOURCE/node_modules" ]; then
    die "there is nothing built in $SOURCE: run npm ci && npm run build there first"
  fi
  version=$("$node" -p 'require(process.argv[1]).version' "$SOURCE/package.json")
  target=$OPT/$version
  staging=$OPT/.staging
  rm -rf "$staging"
  mkdir -p "$staging"
  cp -a "$SOURCE/dist" "$SOURCE/package.json" "$SOURCE/package-lock.json" "$staging/"
  cp -a "$SOURCE/LICENSE" "$SOURCE/README.md" "$staging/"
  tar -C "$SOURCE" --exclude node_modules/.cache -cf - node_modules | tar -C "$staging" -xf -
  (cd "$staging" && PATH="$(dirname "$node"):$PATH" \
    npm prune --omit=dev --offline --no-audit --no-fund --loglevel=error >/dev/null)
  chown -R root:root "$staging"
  chmod -R go+rX,go-w "$staging"
  # It must start at all before anything points to it.
  "$node" "$staging/dist/cmd/memtrace/main.js" version >/dev/null || die "the program does not start"
  rm -rf "$target.old"
  [ ! -d "$target" ] || mv "$target" "$target.old"
  mv "$staging" "$target"
  ln -sfn "$version" "$OPT/current.new"
  mv -T "$OPT/current.new" "$OPT/current"
  rm -rf "$target.old"
  say "installed memtrace $version into $target"
}

install_settings() {
  install -d -o root -g memtrace -m 0750 "$ETC"
  install -d -o memtrace -g memtrace -m 0700 "$DATA"
  if [ ! -e "$ETC/memtrace.toml" ]; then
    cat >"$ETC/memtrace.toml" <<'TOML'
# Every option: docs/configuration.md. Check it: memtrace config check
[server]
# Only this machine: nginx or another proxy in front ends TLS (deploy/nginx).
host = "127.0.0.1"
port = 9100

[storage]
data_dir = "/var/lib/memtrace"

# Budgets within the unit's MemoryMax of 1 GiB: heap 384 MiB, query engine a quarter, and these.
[buffer]
max_bytes = "32MiB"

[wal]
max_pending = "32MiB"

[limits]
inflight_bytes = "32MiB"
TOML
  fi
  if [ ! -e "$ETC/memtrace.env" ]; then
    cat >"$ETC/memtrace.env" <<'ENV'
# Secrets for the service, e.g. an admin key of your own (otherwise the first start makes one):
# MEMTRACE_AUTH_BOOTSTRAP_KEY=mtk_...
ENV
  fi
  chown root:memtrace "$ETC/memtrace.toml"
  chmod 0640 "$ETC/memtrace.toml"
  chown root:root "$ETC/memtrace.env"
  chmod 0600 "$ETC/memtrace.env"
}

install_wrapper() {
  local node=$1
  cat >"$WRAPPER" <<WRAPPER
#!/bin/sh
# The command line of memtrace, always as the user that owns the data.
export MEMTRACE_CONFIG="\${MEMTRACE_CONFIG:-$ETC/memtrace.toml}"
set -- "$node" "$OPT/current/dist/cmd/memtrace/main.js" "\$@"
cd "$DATA" 2>/dev/null || cd /
if [ "\$(id -u)" = 0 ]; then exec runuser -u memtrace -- "\$@"; fi
exec "\$@"
WRAPPER
  chmod 0755 "$WRAPPER"
}

install_unit() {
  local node=$1
  sed "s#^ExecStart=/usr/bin/node #ExecStart=$node #" "$SOURCE/deploy/systemd/memtrace.service" \
    >"$UNIT.new"
  chmod 0644 "$UNIT.new"
  mv "$UNIT.new" "$UNIT"
  if has_systemd; then
    systemctl daemon-reload
    systemctl enable memtrace.service
    systemctl restart memtrace.service
  else
    say "systemd does not run here: start the service yourself"
  fi
}

install_all() {
  local node checked
  node=$(find_node)
  # A service without a home directory to read cannot run a node from one.
  case $node in
    /root/* | /home/*) die "$node is in a home directory, which the service cannot read: install node for all users" ;;
  esac
  mkdir -p "$OPT"
  create_user
  install_program "$node"
  install_settings
  install_wrapper "$node"
  checked=$("$WRAPPER" config check 2>&1) || die "the settings are not valid: $checked"
  install_unit "$node"
  say "settings: $ETC/memtrace.toml   data: $DATA"
  say "the first admin key, once the service has started: sudo cat $DATA/admin.key"
}

uninstall() {
  if has_systemd && [ -e "$UNIT" ]; then systemctl disable --now memtrace.service || true; fi
  rm -f "$UNIT" "$WRAPPER"
  rm -rf "$OPT"
  if has_systemd; then systemctl daemon-reload; fi
  say "removed the program; kept $DATA, $ETC and the user memtrace"
}

main() {
  case ${1:-} in
    -h | --help) sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    "" | --uninstall) ;;
    *) die "unknown option $1 (--uninstall, --help)" ;;
  esac
  [ "$(id -u)" = 0 ] || die "must be run as root"
  if [ "${1:-}" = --uninstall ]; then uninstall; else install_all; fi
}

main "$@"
