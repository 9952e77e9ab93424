#!/bin/sh
# install_supervisor.sh FOLDER WHEELS: a virtual environment for supervisord, with our extension, which needs no more.
set -eu
umask 022
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1
rm -rf "$1"
/usr/bin/python3 -m venv "$1"
"$1/bin/python" -m pip install -q --no-index --no-deps "$2"/supervisor-*.whl "$2"/image_cloud-*.whl
"$1/bin/python" -m pip uninstall -q -y pip setuptools
touch "$1/.complete"
