#!/bin/sh
# A Weights & Biases server in a container, for this machine only.
# server.sh start|stop NAME PORT; NAME is that of the container and of the volume with its data.
set -eu

command=$1 name=$2 port=$3
image=${WANDB_IMAGE:-wandb/local:0.85.0}
url=http://127.0.0.1:$port
without="Without a server, make runs shows what was logged; to use one elsewhere, set WANDB_BASE_URL."

fail() {
    printf '%s\n' "$1" >&2
    exit 1
}

# Containers of that name; with "--all", also stopped ones.
containers() {
    docker ps --quiet --filter "name=^/?$name\$" "$@"
}

answers() {
    "${PYTHON:-python3}" -c '
import sys, urllib.request
urllib.request.build_opener(urllib.request.ProxyHandler({})).open(sys.argv[1], timeout=2)
' "$url" >/dev/null 2>&1
}

command -v docker >/dev/null || fail "This needs docker, which is not here. $without"
docker info >/dev/null 2>&1 || fail "The docker daemon does not answer: start it, or get the right to use it. $without"

if [ "$command" = stop ]; then
    if [ -n "$(containers)" ]; then
        docker stop "$name" >/dev/null
        echo "Stopped. The data stays in the volume $name."
    else
        echo "No server is running here."
    fi
    exit
fi

if [ -n "$(containers)" ]; then
    echo "The server is already running."
elif [ -n "$(containers --all)" ]; then
    docker start "$name" >/dev/null
    echo "Started the server, with its earlier data."
else
    echo "Starting $image (the first time fetches some GB)"
    docker run --detach --restart unless-stopped --name "$name" --volume "$name:/vol" \
        --publish "127.0.0.1:$port:8080" ${LICENSE:+--env LICENSE} "$image" >/dev/null
fi

tries=${WANDB_SERVER_WAIT:-180}
until answers; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || fail "$url does not answer yet. See what it does: docker logs $name"
    sleep 1
done

cat <<END
$url answers. The first time:
  1. Open it and make an account; it stays on this machine.
  2. It asks for a licence, which only the vendor gives: free for personal use, for about a year, with an
     account at https://deploy.wandb.ai. Paste it at $url/system-admin.
  3. Copy the API key from $url/authorize, and store it, with the address:
         .venv/bin/wandb login --host $url
  4. make wandb-check
END
