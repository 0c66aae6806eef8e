#!/bin/sh
# upgrade.sh SERVICE …: builds the services' images, grants the rights of this version, migrates the databases and
# replaces the replicas without downtime, one service after another in the given order.
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
[ $# -gt 0 ] || fail "usage: upgrade.sh SERVICE …"
for service; do require_service "$service"; done
docker compose build --quiet migrate "$@"
docker compose --progress quiet run --rm --no-deps -T migrate python -m chassis.rights
for service; do
    docker compose --progress quiet run --rm --no-deps -T "$service" python -m chassis.migrate "$service"
    replace "$service"
done
