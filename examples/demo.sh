#!/usr/bin/env bash
# Starts a farm on a socket of its own, lets the Python client run a batch of tasks on it, and ends the farm.
set -euo pipefail
cd "$(dirname "$0")/.."
place=$(mktemp -d)
# Sandboxes run under ids of their own, which have to pass through here.
chmod 711 "$place"
farm=
finish() {
  code=$?
  if [ -n "$farm" ]; then
    kill -TERM "$farm" 2>/dev/null || true
    wait "$farm" 2>/dev/null || true
  fi
  if [ "$code" != 0 ] && [ -s "$place/log" ]; then tail -n 20 "$place/log" >&2; fi
  rm -rf "$place"
}
trap finish EXIT

export PADDOCK_HOME=$place/home PADDOCK_RUN=$place/run
"${PADDOCK_BIN:-.build/release/paddock}" serve --socket "$place/farm.sock" 2>"$place/log" &
farm=$!
for _ in $(seq 100); do
  [ -S "$place/farm.sock" ] && break
  kill -0 "$farm" 2>/dev/null || exit 1
  sleep 0.1
done
PYTHONPATH=clients/python/src /usr/bin/python3 examples/demo.py "$place/farm.sock"
