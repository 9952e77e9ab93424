#!/bin/sh
# setup.sh: Ansible and its linter in an environment of their own, .cache/ansible; at once where nothing changed.
# Apart from .venv: they bring packages that Image Cloud must not see.
set -eu
umask 022
cd -- "$(dirname -- "$0")/.."
PYTHON=${PYTHON:-/usr/bin/python3}
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1
unset PYTHONPATH PYTHONHOME PIP_REQUIRE_VIRTUALENV PIP_USER

place=.cache/ansible
mkdir -p .cache
exec 9>.cache/ansible.lock
flock 9
wanted=$("$PYTHON" -VV | cat - requirements-ansible.txt | sha256sum)
[ "$(cat $place/.requirements 2>/dev/null)" != "$wanted" ] || exit 0
echo "image cloud: installing requirements-ansible.txt"
rm -rf $place
"$PYTHON" -m venv $place
$place/bin/python -m pip install -q --no-deps --require-hashes --only-binary :all: -r requirements-ansible.txt
echo "$wanted" >$place/.requirements
