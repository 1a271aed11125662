#!/bin/sh
# Prints deploy/haproxy/haproxy.cfg, its argument, for the gateways of compose.yaml beside this file: GATEWAYS, HOST:PORT each, by
# blanks. Without a certificate it speaks plain HTTP.
set -eu
certificate=/etc/ssl/live-comments/fullchain-and-key.pem
servers='' n=0
for gateway in $GATEWAYS; do
  n=$((n + 1))
  # A container that is made anew has another address, and may not be there when HAProxy starts.
  servers="$servers    server gateway-$n $gateway resolvers docker init-addr last,libc,none\\
"
done
if [ -e "$certificate" ]; then plain=''; else plain='/bind :443/d; /redirect prefix/d; s/X-Forwarded-Proto https/X-Forwarded-Proto http/'; fi
sed -e "$plain" \
  -e '/^    user /d; /^    group /d; s#log /dev/log local0#log stdout format raw local0#' \
  -e "/^    server gateway-1 /i\\
${servers%\\
}" \
  -e '/^    server gateway-[0-9]* 127\.0\.0\.1:/d' "$1"
cat <<'EOT'

resolvers docker
    nameserver docker 127.0.0.11:53
    hold valid 5s
EOT
