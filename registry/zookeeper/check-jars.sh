#!/bin/sh
# Whether a folder's jars are those of jars.sha256 beside this file, or in a second folder, and no others; prints what differs.
set -eu
sums=$(cd "${2:-$(dirname "$0")}" && pwd)/jars.sha256
export LC_ALL=C # the order of the names
cd "$1"
# macOS has no sha256sum.
if command -v sha256sum >/dev/null 2>&1; then sha256sum -- *.jar; else shasum -a 256 -- *.jar; fi | diff "$sums" - >&2
