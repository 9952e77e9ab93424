#!/bin/sh
# build_and_deploy.sh [HOST ...]: deploy to ic00 (say), to several, or without a name to all, one after the other.
# The old name for: ansible-playbook ansible/deploy.yml -l HOST,...   Options of ansible-playbook go through.
set -eu
cd -- "$(dirname -- "$0")"
sh ansible/setup.sh
hosts=
while [ $# -gt 0 ]; do
    case $1 in
        -*) break ;;
        *) hosts=${hosts:+$hosts,}$1 && shift ;;
    esac
done
exec .cache/ansible/bin/ansible-playbook ansible/deploy.yml ${hosts:+-l "$hosts"} "$@"
