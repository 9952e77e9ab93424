#!/bin/sh
# make_database.sh PORT PASSFILE: make role and database where they are missing; prints what it made.
# The password is made here and never leaves the host; it is on no command line and in no log.
set -eu
cd /
umask 077
port=$1 passfile=$2
as_postgres() { runuser -u postgres -- psql -X -q -A -t -v ON_ERROR_STOP=1 -p "$port" "$@"; }

is_new=
if ! [ -s "$passfile" ]; then
    password=$(od -An -tx1 -N24 /dev/urandom | tr -d ' \n')
    echo "*:$port:image_cloud:image_cloud:$password" >"$passfile.new"
    mv "$passfile.new" "$passfile"
    is_new=yes
    echo "made a password"
fi
if [ -z "$(as_postgres -d postgres -c "select 1 from pg_roles where rolname = 'image_cloud'")" ]; then
    as_postgres -d postgres -c 'create role image_cloud login'
    is_new=yes
    echo "made the role"
fi
if [ -n "$is_new" ]; then
    # psql reads its statements from here, so that they stand in no process list.
    as_postgres -d postgres <<SQL
set log_statement = 'none'; set log_min_error_statement = 'panic'; set log_min_duration_statement = -1;
alter role image_cloud password '$(cut -d: -f5 "$passfile")';
SQL
fi
if [ -z "$(as_postgres -d postgres -c "select 1 from pg_database where datname = 'image_cloud'")" ]; then
    as_postgres -d postgres -c 'create database image_cloud owner image_cloud'
    as_postgres -d postgres -c 'revoke all on database image_cloud from public'
    echo "made the database"
fi
