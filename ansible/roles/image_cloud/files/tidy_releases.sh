#!/bin/sh
# tidy_releases.sh ROOT KEEP SUPERVISOR: keep the newest releases, those that `current` and `previous` name, and the
# one environment of supervisord that runs.
set -eu
cd "$1/releases"
current=$(basename "$(readlink ../current)")
previous=$(basename "$(readlink ../previous 2>/dev/null || echo none)")
for release in $(ls -t | tail -n "+$(($2 + 1))"); do
    case $release in "$current" | "$previous") continue ;; esac
    rm -rf "./$release" && echo "removed $release"
done
for other in "$1"/supervisor-*; do
    [ "$other" = "$3" ] || { rm -rf "$other" && echo "removed $other"; }
done
