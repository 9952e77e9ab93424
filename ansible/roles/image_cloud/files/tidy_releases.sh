#!/bin/sh
# tidy_releases.sh ROOT KEEP: keep the newest releases and those that `current` and `previous` name.
set -eu
cd "$1/releases"
current=$(basename "$(readlink ../current)")
previous=$(basename "$(readlink ../previous 2>/dev/null || echo none)")
for release in $(ls -t | tail -n "+$(($2 + 1))"); do
    case $release in "$current" | "$previous") continue ;; esac
    rm -rf "./$release" && echo "removed $release"
done
