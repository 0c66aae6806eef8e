#!/bin/sh
# restart.sh SERVICE …: replaces the replicas of services without downtime, with the current settings.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
[ $# -gt 0 ] || fail "usage: restart.sh SERVICE …"
for service; do require_service "$service"; done
for service; do replace "$service"; done
