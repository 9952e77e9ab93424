#!/bin/sh
# make_volume.sh VOLUME BRICK ADDRESS ADDRESS ADDRESS ...: make and start a replicated volume of the folder BRICK on each
# of these hosts, this one among them; prints what it made.
set -eu
volume=$1 brick=$2
shift 2
fail() { echo "make_volume: $*" >&2 && exit 1; }
gluster() { command gluster --mode=script "$@" </dev/null; }
quietly() { output=$(gluster "$@" 2>&1) || fail "gluster $*: $output"; }

info() { gluster volume info "$volume" 2>/dev/null; }
listed() { info | sed -n 's/^Brick[0-9]*: \(.*\)/\1/p' | sort; }
connected() { gluster pool list | grep -c 'Connected *$' || true; }
all_connected() { # a server that has just started does not answer yet
    for address in "$@"; do gluster peer probe "$address" >/dev/null 2>&1 || true; done
    [ "$(connected)" -ge $# ]
}

bricks=$(for address in "$@"; do echo "$address:$brick"; done)
if info >/dev/null; then
    [ "$(listed)" = "$(echo "$bricks" | sort)" ] ||
        fail "$volume has other bricks than glusterfs_hosts says; change them by hand (docs/scaling.md):" $(listed)
else
    for try in $(seq 60); do
        all_connected "$@" && break
        [ "$try" != 60 ] || fail "not all of $* are connected: $(gluster pool list)"
        sleep 1
    done
    # force: a brick may be on the root file system.
    # shellcheck disable=SC2086
    quietly volume create "$volume" replica 3 $bricks force
    echo "made the volume"
fi
if ! info | grep -q '^Status: Started'; then
    quietly volume start "$volume"
    echo "started it"
fi
