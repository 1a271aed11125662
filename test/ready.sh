#!/bin/sh
# Before what needs more than ./setup.sh installs and builds: says so where one of the files is missing.
#   sh test/ready.sh FILE...
for file; do
  if [ ! -e "$file" ]; then
    echo 'This is set up by ./setup.sh --for-tests: run it first' >&2
    exit 2
  fi
done
