#!/usr/bin/env bash
# Arc 26.09 on a host of its own (ECS), as a container or as a binary, under systemd, with an hourly
# copy of its Parquet files to OBS. Run it as often as you like: it changes what differs.
#
#   ARC_TOKEN=… sudo -E deploy/arc/deploy-arc.sh [options]
#
#   --binary PATH      run this Arc binary; without it, the container ghcr.io/basekick-labs/arc
#   --version VERSION  tag of the container (26.09.1)
#   --data DIR         data (/var/lib/arc)
#   --memory SIZE      memory of Arc's query engine (2GB)
#   --obs URL          copy Parquet files there every hour, e.g. obs://bucket/arc; needs obsutil,
#                      configured for root (obsutil config -interactive)
#   --root DIR         write everything below DIR and start nothing (for images and tests)
#
# ARC_TOKEN becomes Arc's admin token at its first start: the arc-api-key of memtrace.
set -euo pipefail

VERSION=26.09.1 BINARY='' DATA=/var/lib/arc MEMORY=2GB OBS='' ROOT=''
CHANGED=0

die() {
  printf 'deploy-arc.sh: %s\n' "$*" >&2
  exit 1
}

parse() {
  while [ $# -gt 0 ]; do
    case $1 in
      --binary) BINARY=${2:?--binary needs a path} ;;
      --version) VERSION=${2:?--version needs a tag} ;;
      --data) DATA=${2:?--data needs a directory} ;;
      --memory) MEMORY=${2:?--memory needs a size} ;;
      --obs) OBS=${2:?--obs needs a URL} ;;
      --root) ROOT=${2:?--root needs a directory} ;;
      -h | --help) sed -n '2,17s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
      *) die "unknown option $1 (--help)" ;;
    esac
    shift 2
  done
  case $OBS in '' | obs://?*) ;; *) die "--obs must look like obs://bucket/prefix" ;; esac
}

# Standard input as a file with a mode; counts a change only if something differs.
put() {
  local path=$ROOT$1 mode=$2 new
  mkdir -p "$(dirname "$path")"
  new=$(mktemp "$path.XXXXXX")
  cat >"$new"
  chmod "$mode" "$new"
  if [ -e "$path" ] && cmp -s "$new" "$path"; then rm -f "$new"; return; fi
  mv "$new" "$path"
  CHANGED=1
  echo "wrote $path"
}

write_settings() {
  # Inside the container the data is at /app/data.
  local data=$DATA
  [ -n "$BINARY" ] || data=/app/data
  put /etc/arc/arc.toml 0644 <<TOML
[server]
port = 8000

[log]
level = "info"
format = "json"

[database]
memory_limit = "$MEMORY"

[storage]
backend = "local"
local_path = "$data/arc"

# Without its log Arc loses what it acknowledged since the last flush.
[wal]
enabled = true
directory = "$data/wal"
sync_mode = "fsync"

[compaction]
enabled = true
hourly_enabled = true
daily_enabled = true

[auth]
enabled = true

# Erasures of memtrace are deletions in Arc.
[delete]
enabled = true

[telemetry]
enabled = false
TOML
  [ -n "${ARC_TOKEN:-}" ] || [ -e "$ROOT/etc/arc/arc.env" ] || die "set ARC_TOKEN for the first run"
  if [ -n "${ARC_TOKEN:-}" ]; then
    printf 'ARC_AUTH_BOOTSTRAP_TOKEN=%s\n' "$ARC_TOKEN" | put /etc/arc/arc.env 0600
  fi
}

# The lines of the unit that say what runs and as whom.
service_lines() {
  if [ -n "$BINARY" ]; then
    cat <<LINES
User=arc
Group=arc
WorkingDirectory=$DATA
EnvironmentFile=/etc/arc/arc.env
# Arc looks for arc.toml in its working directory.
ExecStartPre=/bin/ln -sfn /etc/arc/arc.toml $DATA/arc.toml
ExecStart=$BINARY
NoNewPrivileges=true
CapabilityBoundingSet=
ProtectSystem=strict
ReadWritePaths=$DATA
ProtectHome=true
PrivateTmp=true
PrivateDevices=true
RestrictSUIDSGID=true
LockPersonality=true
SystemCallArchitectures=native
LINES
  else
    local engine
    engine=$(command -v docker || command -v podman || echo /usr/bin/docker)
    cat <<LINES
ExecStartPre=-$engine rm -f arc
ExecStart=$engine run --rm --name arc --user 1000:1000 --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --memory 4g --env-file /etc/arc/arc.env -v /etc/arc/arc.toml:/app/arc.toml:ro -v $DATA:/app/data -p 127.0.0.1:8000:8000 ghcr.io/basekick-labs/arc:$VERSION
ExecStop=$engine stop -t 60 arc
LINES
  fi
}

write_units() {
  put /etc/systemd/system/arc.service 0644 <<UNIT
[Unit]
Description=Arc, the time-series store of memtrace
Wants=network-online.target
After=network-online.target

[Service]
$(service_lines)
Restart=always
RestartSec=5
# Arc flushes its buffers when it is told to stop.
TimeoutStopSec=90
LimitNOFILE=65536

[Install]
WantedBy=multi-user.target
UNIT
  [ -n "$OBS" ] || return 0
  put /etc/systemd/system/arc-obs-sync.service 0644 <<UNIT
[Unit]
Description=Copy Arc's Parquet files to OBS
After=network-online.target

[Service]
Type=oneshot
Nice=10
IOSchedulingClass=idle
# New and changed files only; Arc never changes a Parquet file, and what compaction removed here
# stays there.
ExecStart=/usr/local/bin/obsutil sync $DATA/arc $OBS
UNIT
  put /etc/systemd/system/arc-obs-sync.timer 0644 <<UNIT
[Unit]
Description=Copy Arc's Parquet files to OBS every hour

[Timer]
OnCalendar=hourly
RandomizedDelaySec=300
Persistent=true

[Install]
WantedBy=timers.target
UNIT
}

prepare_host() {
  if [ -n "$BINARY" ]; then
    [ -x "$BINARY" ] || die "there is no program at $BINARY"
    getent passwd arc >/dev/null || useradd --system --home-dir "$DATA" --no-create-home arc
    install -d -o arc -g arc -m 0750 "$DATA"
  else
    command -v docker >/dev/null || command -v podman >/dev/null || die "there is no docker or podman"
    # The user of the container.
    install -d -o 1000 -g 1000 -m 0750 "$DATA"
  fi
  if [ -n "$OBS" ] && [ ! -x /usr/local/bin/obsutil ]; then
    die "--obs needs /usr/local/bin/obsutil (support.huaweicloud.com/utiltg-obs)"
  fi
}

start() {
  systemctl daemon-reload
  systemctl enable arc.service
  [ -z "$OBS" ] || systemctl enable --now arc-obs-sync.timer
  if [ "$CHANGED" = 1 ]; then systemctl restart arc.service; else systemctl start arc.service; fi
  for _ in $(seq 60); do
    if curl -fsS -o /dev/null http://127.0.0.1:8000/health 2>/dev/null; then
      echo "Arc answers on 127.0.0.1:8000"
      return
    fi
    sleep 2
  done
  die "Arc did not answer within two minutes: journalctl -u arc"
}

main() {
  parse "$@"
  if [ -z "$ROOT" ]; then
    [ "$(id -u)" = 0 ] || die "must be run as root"
    prepare_host
  fi
  write_settings
  write_units
  [ "$CHANGED" = 1 ] || echo "nothing to change"
  [ -n "$ROOT" ] || start
}

main "$@"
