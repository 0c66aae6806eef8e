# shellcheck shell=sh disable=SC2046,SC2086 # lists of containers are split into words
# Functions that the scripts of this folder share. They only need Docker with Compose 2 and a POSIX shell.
set -eu
cd "$(dirname "$0")/../.."
services="identity catalog inventory booking payment notifier realtime"
project=$(docker compose config | sed -n 's/^name: //p')
HEALTHY_SECONDS=${HEALTHY_SECONDS:-120}
GATEWAY_SECONDS=30

fail() {
    echo "$*" >&2
    exit 1
}

require_service() {
    case " $services " in
        *" $1 "*) ;;
        *) fail "$1 cannot be scaled; these services can: $services" ;;
    esac
}

# containers SERVICE [FORMAT]: prints the service's containers, the newest first.
containers() {
    [ $# -eq 2 ] || set -- "$1" '{{.ID}}'
    docker ps --all --no-trunc --format "$2" --filter "label=com.docker.compose.project=$project" \
        --filter "label=com.docker.compose.service=$1" --filter label=com.docker.compose.oneoff=False
}

count() {
    containers "$1" | grep -c . || true
}

name() {
    docker inspect --format '{{slice .Name 1}}' "$1"
}

# surge SERVICE COUNT: starts containers until there are COUNT. Returns once the new ones are healthy and the gateway uses
# them. Otherwise it removes them and ends the script; the old ones keep running.
surge() {
    before=$(containers "$1")
    trap 'undo "$1" "is interrupted"' INT TERM
    docker compose --progress quiet up --detach --no-build --no-deps --no-recreate --scale "$1=$2" "$1" ||
        undo "$1" "does not start"
    for container in $(added "$1"); do
        await_healthy "$container" || {
            docker logs --tail 15 "$container" >&2
            undo "$1" "does not become healthy; the log of $(name "$container") ends as above"
        }
        echo "$(name "$container") is healthy"
    done
    await_gateway $(added "$1") || undo "$1" "is not used by the gateway"
    trap - INT TERM
}

added() {
    containers "$1" | grep -vxF "$before" || true
}

undo() {
    for container in $(added "$1"); do docker rm --force "$container" >/dev/null; done
    fail "The new $1 $2. It was removed; the old replicas keep running."
}

await_healthy() {
    tries=$HEALTHY_SECONDS
    while [ $((tries -= 1)) -ge 0 ]; do
        case $(docker inspect --format '{{.State.Health.Status}} {{.RestartCount}}' "$1") in
            "healthy 0") return 0 ;;
            *" 0") sleep 1 ;;
            *) return 1 ;; # it ended and was restarted
        esac
    done
    return 1
}

# Succeeds once the gateway uses these containers. HUP makes it check the addresses now (deploy/docker/gateway.sh).
await_gateway() {
    gateway=$(docker compose ps --quiet --status running gateway)
    [ -n "$gateway" ] || return 0
    addresses=$(docker inspect --format "{{(index .NetworkSettings.Networks \"${project}_edge\").IPAddress}}" "$@")
    tries=$GATEWAY_SECONDS
    docker kill --signal HUP "$gateway" >/dev/null
    while [ $((tries -= 1)) -ge 0 ]; do
        used=$(docker exec "$gateway" cat /tmp/addresses)
        echo "$addresses" | grep -qvxF "$used" || return 0
        sleep 1
    done
    return 1
}

# Stops and removes containers one after the other. On SIGTERM a service refuses new connections, which the gateway then
# opens to other replicas, and serves its open ones (chassis.serve).
retire() {
    for container; do
        stopped=$(name "$container")
        docker stop "$container" >/dev/null
        docker rm "$container" >/dev/null
        echo "$stopped has stopped"
        gateway=$(docker compose ps --quiet --status running gateway)
        [ -z "$gateway" ] || docker kill --signal HUP "$gateway" >/dev/null
    done
}

# Replaces the containers of a service: starts as many new ones with the current image and settings, then stops the old ones.
replace() {
    old=$(containers "$1")
    [ -n "$old" ] || fail "No replica of $1 runs; start it: docker compose up --detach --wait --no-deps $1"
    surge "$1" $((2 * $(count "$1")))
    retire $old
}
