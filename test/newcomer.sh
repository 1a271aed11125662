#!/usr/bin/env bash
# A newcomer's path, timed: from a fresh clone to the first comment seen on a stream, by the commands of the README.
# Nothing is there but what the package managers (apt or Homebrew, Maven, npm) keep for themselves.
#
#   test/newcomer.sh [REPOSITORY]   this one by default, as it was last committed
set -euo pipefail

repository=${1:-$(cd "$(dirname "$0")/.." && pwd)}
folder=$(mktemp -d)
cluster='' watcher=''
clean() {
  if [ -n "$watcher" ]; then kill "$watcher" 2>/dev/null || true; fi
  if [ -n "$cluster" ]; then kill -INT -- "-$cluster" 2>/dev/null || true; wait "$cluster" 2>/dev/null || true; fi
  rm -rf "$folder"
}
trap clean EXIT

now() { local ms; ms=$(date +%s%3N); case $ms in *N) ms=$(date +%s)000 ;; esac; echo "$ms"; } # macOS knows no %N
began=$(now) last=$began
step() { local at; at=$(now); printf '%5d.%d s  %s\n' $(((at - last) / 1000)) $(((at - last) % 1000 / 100)) "$1"; last=$at; }
# What a step wrote is told only when it failed.
fail() { printf '%s\n' "$1" >&2; cat "$2" >&2; exit 1; }
# until_in FILE PATTERN SECONDS
until_in() {
  local deadline=$((SECONDS + $3))
  until grep -q "$2" "$1" 2>/dev/null; do
    if [ $SECONDS -ge $deadline ]; then fail "not within $3 s: $2" "$1"; fi
    sleep 0.05
  done
}

export XDG_CACHE_HOME="$folder/cache" # nothing that another clone has compiled

git clone -q "$repository" "$folder/live-comments"
cd "$folder/live-comments"
step 'git clone'

./setup.sh >"$folder/setup" 2>&1 || fail 'setup.sh failed' "$folder/setup"
step './setup.sh'

set -m # a process group of its own, to which Ctrl-C is sent in the end
npm start -- --port 0 >"$folder/cluster" 2>&1 &
cluster=$!
set +m
until_in "$folder/cluster" 'is ready: http' 120
url=$(sed -n 's/.*is ready: \(http[^ ]*\)\/$/\1/p' "$folder/cluster")
step 'npm start, until all are ready'

curl -sN -H 'Accept: text/event-stream' "$url/comments/demo?recent=50" >"$folder/stream" &
watcher=$!
until_in "$folder/stream" '^event: ready' 30
step 'a stream is open'

curl -sf -d '{"content":"hello"}' -H 'content-type: application/json' "$url/comments/demo" >/dev/null
until_in "$folder/stream" '"content":"hello"' 30
step 'the comment posted is seen on it'

last=$began
step 'in all'
