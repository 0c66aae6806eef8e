#!/bin/sh
# nginx asks for the addresses of its upstreams only when it reads its configuration. So when a service is scaled or
# moves, let nginx read it again; open connections stay with the old workers until they end.
set -eu
services="identity catalog inventory booking payment notifier realtime"

addresses() {
    for service in $services; do getent ahosts "$service" | awk '{print $1}' | sort -u; done
}

nginx -c /etc/nginx/conf.d/nginx.conf -g "daemon off;" &
nginx=$!
trap 'kill -QUIT $nginx' TERM INT QUIT

known=$(addresses)
while kill -0 $nginx 2>/dev/null; do
    sleep 5 &
    wait $! || true
    now=$(addresses)
    if [ "$now" != "$known" ]; then
        known=$now
        kill -HUP $nginx
    fi
done
wait $nginx
