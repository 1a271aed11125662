#!/usr/bin/env bash
# Makes all that is in this folder anew, or only what is named: half an hour on a machine that does nothing else.
set -euo pipefail
cd "$(dirname "$0")/../.."
only=" $* "

# run NAME ARGUMENTS...: what `npm run bench -- ARGUMENTS` prints and finds, and its picture where it has one.
run() {
  local name=$1; shift
  if [ "$only" != '  ' ] && [[ $only != *" $name "* ]]; then return 0; fi
  echo "== npm run bench -- $*"
  npm run -s bench -- "$@" --json "bench/results/$name.json" --svg "bench/results/$name.svg" | tee "bench/results/$name.txt"
}

run compare-100 compare --viewers 10000 --rate 100
run compare-10 compare --viewers 10000 --rate 10
run gzip-1000 fanout --via edge --viewers 10000 --rate 1000 --gzip
run public compare --only gateway,gateway-gzip,live,goim,bare --viewers 10000 --rate 100
run gateway fanout --via gateway --viewers 14000 --rate 50
run websocket fanout --transport sse,websocket
run gateway-gzip fanout --via gateway --viewers 10000 --rate 1000 --gzip
run relay relay
run tls fanout --via edge --tls --rate 8
run tls-gateway fanout --tls --rate 20
run burst burst --via edge
run burst-gateway burst
run idle idle --via edge
run idle-cluster idle-cluster --duration 30
run idle-gateway idle --viewers 18000
run join join --via edge
run join-gateway join
run post post
run history history
run restart restart
run attack attack
run many many
run million million --viewers 500000 --comments 5 --every 9
run placement placement
run registry registry
run registry-ensemble registry --edges 1000 --zookeepers 3
run sweep sweep
run trace trace
run delete delete
run simulate-tenth simulate --edges 100 --dispatchers 10 --gateways 20 --videos 100000 --viewers 1000000 --crowd 100000 --video-share 2000
NODE_OPTIONS=--max-old-space-size=9600 run simulate simulate
