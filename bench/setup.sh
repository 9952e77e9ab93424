#!/bin/sh
# What the bench compares with, and matplotlib (PyPI: requirements-bench.txt, 1 GB), ipx (npm; left out without it).
set -eu
umask 022
folder=.cache/bench
mkdir -p $folder
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore

wanted=$(sha256sum requirements-build.txt requirements-bench.txt)
if [ "$(cat $folder/venv/.stamp 2>/dev/null)" != "$wanted" ]; then
    echo "bench: installing requirements-bench.txt"
    rm -rf $folder/venv
    "${PYTHON:-/usr/bin/python3}" -m venv $folder/venv
    $folder/venv/bin/pip install -q --no-deps --require-hashes --only-binary :all: -r requirements-build.txt
    $folder/venv/bin/pip install -q --no-deps --require-hashes --no-build-isolation -r requirements-bench.txt
    echo "$wanted" >$folder/venv/.stamp
fi
if command -v npm >/dev/null && [ ! -d $folder/ipx/node_modules/ipx ]; then
    echo "bench: installing ipx"
    mkdir -p $folder/ipx
    npm install --silent --no-fund --no-audit --prefix $folder/ipx ipx@3.1.1 >/dev/null 2>&1 || rm -rf $folder/ipx
fi
