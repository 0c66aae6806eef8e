#!/bin/sh
# scale.sh SERVICE REPLICAS: starts or stops replicas of one service and changes no other.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
[ $# -eq 2 ] || fail "usage: scale.sh SERVICE REPLICAS"
require_service "$1"
case $2 in '' | 0 | *[!0-9]*) fail "REPLICAS must be 1 or more" ;; esac

have=$(count "$1")
if [ "$2" -gt "$have" ]; then
    surge "$1" "$2"
else
    # shellcheck disable=SC2046 # one word for each container
    retire $(containers "$1" | head -n $((have - $2)))
fi
echo "$1: $(count "$1") replicas"
