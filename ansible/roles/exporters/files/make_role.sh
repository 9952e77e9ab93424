#!/bin/sh
# make_role.sh PORT: make the role `prometheus`, which reads statistics and no data, where it is missing.
set -eu
cd /
as_postgres() { runuser -u postgres -- psql -X -q -A -t -v ON_ERROR_STOP=1 -p "$1" -d postgres -c "$2"; }

if [ -z "$(as_postgres "$1" "select 1 from pg_roles where rolname = 'prometheus'")" ]; then
    as_postgres "$1" 'create role prometheus login; grant pg_monitor to prometheus'
    echo "made the role"
fi
