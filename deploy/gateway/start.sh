#!/bin/sh
# Writes the parts of nginx's configuration that depend on lists and switches, then execs nginx with the given arguments.
set -euf

# The trusted proxies, separated by commas, and TLS if there is a certificate: nginx's configuration cannot express either.
proxies=$(echo "${GATEWAY_TRUSTED_PROXIES:-}" | tr , ' ')
{
    for network in $proxies; do echo "set_real_ip_from $network;"; done
    echo 'geo $realip_remote_addr $is_proxied {'
    for network in $proxies; do echo "$network 1;"; done
    echo 'default 0; }'
} >"$GATEWAY_STATE/trusted_proxies.conf"
{
    [ -z "${GATEWAY_TLS_CERTIFICATE:-}" ] || cat <<END
listen $GATEWAY_TLS_LISTEN ssl;
ssl_certificate "$GATEWAY_TLS_CERTIFICATE";
ssl_certificate_key "$GATEWAY_TLS_KEY";
END
    case "${GATEWAY_TLS_CERTIFICATE:+$PUBLIC_URL}" in
        https://*) echo "if (\$is_plain) { return 308 ${PUBLIC_URL%/}\$request_uri; }" ;;
    esac
} >"$GATEWAY_STATE/tls.conf"

# nginx has no JSON format for its error log, which contains query strings and so perhaps secrets. errors.awk converts it.
AWK=${AWK:-awk}
if $AWK -W version </dev/null 2>&1 | grep -q mawk; then
    AWK="$AWK -W interactive" # mawk alone waits for 4 KiB of lines
fi
pipe="$GATEWAY_STATE/errors"
rm -f "$pipe"
mkfifo "$pipe"
export TZ=UTC
LC_ALL=C $AWK -f "$(dirname "$0")/errors.awk" <"$pipe" &
exec nginx "$@" 2>"$pipe"
