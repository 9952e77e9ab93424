#!/bin/sh
# health.sh HOME PORT ORIGIN: ask the node for a thumbnail of its own sample picture, through its front door.
set -eu
answer=$(mktemp)
trap 'rm -f "$answer"' EXIT
sed 's/^/X-Image-Cloud-Token: /' "$1/token" | curl -sS -f -m 30 -H @- -o "$answer" \
    "http://127.0.0.1:$2/get_thumbnail?size=200&url=http://$3/dusk.jpg"
[ "$(od -An -tx1 -N3 "$answer")" = " ff d8 ff" ] || { echo "not a JPEG" >&2; exit 1; }
