#!/bin/sh
# Puts what has changed into effect without losing a request: settings in .env, a key, a new image, the number of replicas.
# Each replica is replaced when its successor is healthy; one that does not get healthy is removed, and the others stay.
# After an interruption, run it again.
set -eu
cd "$(dirname "$0")/.."

compose() { docker compose --profile live "$@"; }

replicas() { compose ps -q api; }

start_another() { # in addition to those in $1
    compose up -d --no-recreate --scale api=$(($(echo "$1" | wc -l) + 1)) api
    started=$(replicas | grep -vxF "$1")
}

is_healthy() { # waits until that is known of $1; one that ends before is not
    while state=$(docker inspect -f '{{.RestartCount}} {{.State.Health.Status}}' "$1"); [ "$state" = "0 starting" ]; do
        sleep 0.5
    done
    [ "$state" = "0 healthy" ]
}

compose rm -f api # what an interrupted update has stopped
for replica in $(replicas); do
    start_another "$(replicas)"
    if ! is_healthy "$started"; then
        docker logs --tail 20 "$started"
        docker rm -f "$started" >/dev/null
        echo "The new replica did not get healthy: see its log above. The others go on as they were." >&2
        exit 1
    fi
    docker stop "$replica" >/dev/null # it answers what it has accepted
    docker rm "$replica" >/dev/null
done
compose up -d --wait # the rest: the first start, the number of replicas, the proxy and Redis
compose exec -T proxy sh -c 'cat >/tmp/new.conf
cmp -s /tmp/new.conf /tmp/nginx.conf || {
    nginx -t -q -c /tmp/new.conf && mv /tmp/new.conf /tmp/nginx.conf && nginx -s reload -c /tmp/nginx.conf
}' <deploy/nginx.conf
