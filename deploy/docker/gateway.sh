#!/bin/sh
# Starts nginx and reloads its configuration when the addresses of a service or the certificate change, because nginx
# resolves names and reads certificates only then. Open connections stay with the old workers until they end.
#
# With $GATEWAY_LOG_COPY there is a copy of the access log for the exporter that counts status codes. It is rotated at 8 MB.
set -eu
copy=/var/log/usher/access.log
services="identity catalog inventory booking payment notifier realtime"

inputs() { # prints the addresses, and a checksum of the certificate if there is one
    for service in $services; do getent ahosts "$service" | awk '{print $1}' | sort -u; done
    [ -z "${GATEWAY_TLS_CERTIFICATE:-}" ] || cat "$GATEWAY_TLS_CERTIFICATE" "$GATEWAY_TLS_KEY" | cksum
}

accepts() { # a worker changes its title when it is shutting down
    [ "$(tr -d '\000' <"/proc/$1/cmdline")" = "nginx: worker process" ]
} 2>/dev/null

reload() { # succeeds once the workers with the earlier configuration have answered their requests
    workers=$(cat "/proc/$nginx/task/$nginx/children")
    kill -HUP $nginx
    tries=50
    for worker in $workers; do
        while accepts "$worker"; do
            [ $((tries -= 1)) -gt 0 ] || return 1
            sleep 0.1
        done
    done
    tries=50 # 5 s: those with an open WebSocket live for longer
    for worker in $workers; do
        while kill -0 "$worker" 2>/dev/null && [ $((tries -= 1)) -gt 0 ]; do sleep 0.1; done
    done
}

# The image's own template step runs before a plain `nginx` only.
envsubst "$(env | sed -n 's/^\([A-Z][A-Z0-9_]*\)=.*/${\1}/p')" \
    </etc/nginx/templates/nginx.conf.template >/etc/nginx/conf.d/nginx.conf
known=$(inputs)
sh /start.sh -c /etc/nginx/conf.d/nginx.conf -g "daemon off;" &
nginx=$!
trap 'kill -QUIT $nginx' TERM INT QUIT
trap : HUP # sent by deploy/compose: ends the sleep below
echo "$known" >"$GATEWAY_STATE/addresses" # the addresses that nginx uses

while kill -0 $nginx 2>/dev/null; do
    sleep 5 &
    wait $! || true
    now=$(inputs)
    if [ "$now" != "$known" ] && reload; then
        known=$now
        echo "$known" >"$GATEWAY_STATE/addresses"
    fi
    if [ -n "$(find "$copy" -size +8192k 2>/dev/null)" ]; then
        mv "$copy" "$copy.1"
        kill -USR1 $nginx
    fi
done
wait $nginx
