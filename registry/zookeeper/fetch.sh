#!/bin/sh
# Fetches the jars of a ZooKeeper server into a folder, with Maven, by server-pom.xml beside this file; or those of another
# server, by the server-pom.xml and jars.sha256 of a second folder:
#   sh registry/zookeeper/fetch.sh FOLDER [DESCRIBED]
# The folder is there whole or not at all, with a copy of the pom by which it was fetched. Status 3: what came is not what
# jars.sha256 names.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
described=$(cd "${2:-$here}" && pwd)
mkdir -p "$(dirname "$1")"
folder=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
part=$folder.part.$$
trap 'rm -rf "$part"' EXIT
trap 'exit 1' INT TERM
mvn -q -B -f "$described/server-pom.xml" dependency:copy-dependencies -DoutputDirectory="$part" -DincludeScope=runtime </dev/null
if ! sh "$here/check-jars.sh" "$part" "$described"; then
  echo "What Maven fetched is not what jars.sha256 names (< what should have come, > what came). Nothing of it is kept." >&2
  exit 3
fi
cp "$described/server-pom.xml" "$part/"
rm -rf "$folder"
mv "$part" "$folder"
