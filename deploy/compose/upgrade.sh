#!/bin/sh
# upgrade.sh SERVICE …: builds the services' images, upgrades their databases and replaces their replicas without a gap,
# one service after another in the given order.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
[ $# -gt 0 ] || fail "usage: upgrade.sh SERVICE …"
for service; do require_service "$service"; done
docker compose build --quiet "$@"
for service; do
    docker compose --progress quiet run --rm --no-deps -T "$service" python -m chassis.migrate "$service"
    replace "$service"
done
