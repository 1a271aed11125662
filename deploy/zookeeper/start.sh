#!/bin/sh
# Starts one server of an ensemble, with what docs/operators.md says of its configuration.
#
#   ZOOKEEPER_SERVERS    all of them, HOST:PORT:PORT each, by blanks: where followers and where elections reach it. One alone
#                        is an ensemble of one, which another can join
#   ZOOKEEPER_NUMBER     which of them this is, from 1; else the number at the end of the host's name, from 0
#   ZOOKEEPER_HEAP_MB    256
#   ZOOKEEPER_PORT, ZOOKEEPER_DATA, ZOOKEEPER_CLASSPATH    2181, /data, the image's jars
set -eu
data=${ZOOKEEPER_DATA:-/data}
number=${ZOOKEEPER_NUMBER:-$((${HOSTNAME##*-} + 1))}
umask 077
mkdir -p "$data"
echo "$number" >"$data/myid"
{
  cat <<EOT
tickTime=500
initLimit=20
syncLimit=5
dataDir=$data
clientPort=${ZOOKEEPER_PORT:-2181}
maxClientCnxns=0
admin.enableServer=false
4lw.commands.whitelist=ruok,srvr,mntr,conf
autopurge.snapRetainCount=3
autopurge.purgeInterval=1
quorumListenOnAllIPs=true
standaloneEnabled=false
EOT
  n=0
  for server in $ZOOKEEPER_SERVERS; do
    n=$((n + 1))
    echo "server.$n=$server"
  done
} >"$data/zoo.cfg"
exec java "-Xmx${ZOOKEEPER_HEAP_MB:-256}m" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -XX:+ExitOnOutOfMemoryError \
  -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true \
  -cp "${ZOOKEEPER_CLASSPATH:-/zookeeper/lib/*}" org.apache.zookeeper.server.quorum.QuorumPeerMain "$data/zoo.cfg"
