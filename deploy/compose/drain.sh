#!/bin/sh
# drain.sh [--timeout SECONDS] [--leave-unpaid]: closes the gateway and waits until no work is left. Exit status: 0
# drained, 1 work is left, 2 the remaining work is unknown (deploy/local/launcher/drain.py).
# shellcheck source-path=SCRIPTDIR source=functions.sh
. "$(dirname "$0")/functions.sh"
docker compose --progress quiet stop gateway
echo "The gateway is closed; docker compose start gateway opens it."
set -- "$@" rabbitmq:15672
for service in $services; do
    for name in $(containers "$service" '{{.Names}}'); do set -- "$@" "$service=$name:8000"; done
done
# Only the operator may read all of RabbitMQ's queues.
docker compose --progress quiet run --rm --no-deps -T migrate python - "$@" <deploy/local/launcher/drain.py
