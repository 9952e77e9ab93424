#!/bin/sh
# make_role.sh PORT: make the role `prometheus`, which reads statistics and no data, where it is missing; a standby has
# it from its primary.
set -eu
cd /
as_postgres() { runuser -u postgres -- psql -X -q -A -t -v ON_ERROR_STOP=1 -p "$1" -d postgres -c "$2"; }

[ "$(as_postgres "$1" 'select pg_is_in_recovery()')" = f ] || exit 0
if [ -z "$(as_postgres "$1" "select 1 from pg_roles where rolname = 'prometheus'")" ]; then
    as_postgres "$1" 'create role prometheus login; grant pg_monitor to prometheus'
    echo "made the role"
fi
