#!/bin/sh
# set_options.sh VOLUME OPTION=VALUE ...: set what is set otherwise; prints what it set.
set -eu
volume=$1
shift
gluster() { command gluster --mode=script "$@" </dev/null; }

set_to() { gluster volume info "$volume" | sed -n "s/^$1: //p"; }
for wanted in "$@"; do
    option=${wanted%%=*} value=${wanted#*=}
    [ "$(set_to "$option")" != "$value" ] || continue
    output=$(gluster volume set "$volume" "$option" "$value" 2>&1) || { echo "set_options: $output" >&2 && exit 1; }
    echo "set $wanted"
done
