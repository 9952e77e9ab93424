#!/bin/sh
# make_shared_database.sh PORT PASSFILE STANDBY_PASSFILE: on a primary make the nodes' role with its database, and the
# standby's role, each with the password of its file; prints what it made.
set -eu
cd /
port=$1 passfile=$2 standby_passfile=$3
as_postgres() { runuser -u postgres -- psql -X -q -A -t -v ON_ERROR_STOP=1 -p "$port" -d postgres "$@"; }
# Whether the password is known: a log-in as from another host.  psql reads the file as root; replication knows SHOW in
# capitals alone.
opens() {
    PGPASSFILE=$2 psql -X -q -A -t -d "host=127.0.0.1 port=$port user=$1 $3 sslmode=require connect_timeout=10" \
        -w -c 'SHOW server_version' >/dev/null 2>&1
}
is_there() { [ -n "$(as_postgres -c "select 1 from $1 where $2")" ]; }
set_password() { # ROLE PASSFILE; psql reads its statements from here, so that they stand in no process list.
    as_postgres <<SQL
set log_statement = 'none'; set log_min_error_statement = 'panic'; set log_min_duration_statement = -1;
alter role $1 password '$(cut -d: -f5 "$2")';
SQL
    echo "made the password of $1"
}

[ "$(as_postgres -c 'select pg_is_in_recovery()')" = f ] || exit 0
is_there pg_roles "rolname = 'image_cloud'" || as_postgres -c 'create role image_cloud login'
is_there pg_roles "rolname = 'image_cloud_standby'" || as_postgres -c 'create role image_cloud_standby login replication'
if ! is_there pg_database "datname = 'image_cloud'"; then
    as_postgres -c 'create database image_cloud owner image_cloud'
    as_postgres -c 'revoke all on database image_cloud from public'
    echo "made the database"
fi
opens image_cloud "$passfile" dbname=image_cloud || set_password image_cloud "$passfile"
opens image_cloud_standby "$standby_passfile" replication=true || set_password image_cloud_standby "$standby_passfile"
