#!/bin/sh
# Becomes nginx with the given arguments. nginx has no JSON format for its error log, and it writes query strings into
# it, where a client may have put a secret. So errors.awk reads what nginx says on standard error.
set -eu
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
