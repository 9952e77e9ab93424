#!/bin/sh
# install_supervisor.sh FOLDER RELEASE: a virtual environment for supervisord, with our extension, which needs no more.
set -eu
umask 022
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1
rm -rf "$1"
/usr/bin/python3 -m venv "$1"
grep -E '^(supervisor|image_cloud)==' "$2/requirements.txt" |
    "$1/bin/python" -m pip install -q --no-index --no-deps --find-links "$2/wheels" --require-hashes -r /dev/stdin
"$1/bin/python" -m pip uninstall -q -y pip setuptools
touch "$1/.complete"
