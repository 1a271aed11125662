#!/bin/sh
# Whether this machine's ZooKeeper answers a word with what is expected: sh ask.sh ruok imok
exec bash -c 'exec 3<>"/dev/tcp/127.0.0.1/${ZOOKEEPER_PORT:-2181}" && printf %s "$0" >&3 && timeout 2 cat <&3 | grep -q "$1"' "$1" "$2"
