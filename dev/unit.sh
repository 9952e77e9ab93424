#!/bin/sh
# unit.sh [PYTEST ARGUMENT ...]: run the unit tests in an environment of their own, .cache/unit.
# Needs Python 3.11 or newer and pip alone: no root, no compiler, no nginx, no PostgreSQL.
set -eu
umask 022
cd -- "$(dirname -- "$0")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1
unset PYTHONPATH PYTHONHOME PIP_REQUIRE_VIRTUALENV PIP_USER
environment=.cache/unit
python=$environment/bin/python
requirements="requirements.txt requirements-codecs.txt requirements-pillow.txt requirements-test.txt"

# A Python that can make the environment: Debian's own may have neither pip nor venv.
fits='import sys, importlib.util as util
sys.exit(sys.version_info < (3, 11) or not (util.find_spec("pip") or util.find_spec("ensurepip")))'
find_python() {
    for found in "${PYTHON:-python3.11}" python3.11 python3; do
        "$found" -c "$fits" 2>/dev/null && echo "$found" && return
    done
    echo "unit: needs Python 3.11 or newer with pip or venv (PYTHON=... says which)" >&2 && exit 1
}

base=$(find_python)
wanted() { "$base" -VV && cat $requirements; }
if ! wanted | cmp -s - $environment/.requirements; then
    echo "unit: installing $requirements"
    rm -rf $environment
    files=$(printf ' -r %s' $requirements)
    # Debian has pip and venv in packages of their own: either will do.
    if "$base" -m pip --version >/dev/null 2>&1; then
        "$base" -m venv --without-pip $environment
        pip="$base -m pip --python $python"
    else
        "$base" -m venv $environment
        pip="$python -m pip"
    fi
    $pip install -q --no-deps --require-hashes --only-binary :all: $files
    wanted >$environment/.requirements
fi

case " $*" in
    *" tests/"*) ;;
    *) set -- tests/unit "$@" ;;
esac
exec $python -m pytest -q -n auto "$@"
