#!/bin/sh
# build_release.sh [FOLDER]: pack the checkout as one release for Debian 12 hosts; its last line is the archive's name.
#
# In it: wheels of all that Python needs (so that hosts need neither compiler nor registry), nginx/ and supervisor.d/.
# The name ends in a hash of what went in: unchanged, nothing is built again.
#   PYTHON   the Python of the hosts' version (Debian 12: 3.11)
#   IMAGING  pillow-simd or pillow
#   FLAGS    compiler flags for pillow-simd, like -mavx2: what every host's processor can do
set -eu
umask 022
cd -- "$(dirname -- "$0")/.."
folder=${1:-.cache/deploy}
PYTHON=${PYTHON:-/usr/bin/python3}
IMAGING=${IMAGING:-pillow-simd}
FLAGS=${FLAGS-}
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1
unset PYTHONPATH PYTHONHOME PIP_REQUIRE_VIRTUALENV PIP_USER

fail() { echo "build_release: $*" >&2 && exit 1; }
[ -f "requirements-$IMAGING.txt" ] || fail "IMAGING=$IMAGING: expected pillow-simd or pillow"

mkdir -p "$folder" && folder=$(cd -- "$folder" && pwd)
exec 9>"$folder/lock"
flock 9

sources="image_cloud falcon_app daemons setup.cfg pyproject.toml README.md"
shipped="nginx supervisor.d"
requirements="requirements.txt requirements-$IMAGING.txt"
made_of() { # file names and contents; no times, no owners
    # shellcheck disable=SC2086
    find "$@" -name __pycache__ -prune -o -type f -print | LC_ALL=C sort | xargs sha256sum
    "$PYTHON" -VV
    echo "$IMAGING $FLAGS $(uname -m)"
}
# shellcheck disable=SC2086
digest=$(made_of $sources $shipped $requirements ansible/build_release.sh | sha256sum | cut -c1-8)
version=$(sed -n 's/^__version__ = "\(.*\)"/\1/p' image_cloud/__init__.py)
release=$version-$digest
archive=$folder/image-cloud-$release.tar.gz
if [ -f "$archive" ]; then
    echo "$archive"
    exit 0
fi

work=$(mktemp -d "$folder/.build.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
log=$work/log
quietly() { "$@" >"$log" 2>&1 || { tail -n 20 "$log" >&2; fail "failed: $*"; }; }

echo "build_release: $release"
quietly "$PYTHON" -m venv "$work/build"
pip() { quietly "$work/build/bin/python" -m pip "$@"; }
wheels=$work/release/wheels
mkdir -p "$wheels"

# What is kept beside the releases, as it is the same in many of them.
kept() { echo "$folder/$1-$( (cat "requirements${2:-}.txt"; echo "$FLAGS"; "$PYTHON" -VV; uname -m) | sha256sum | cut -c1-8)"; }

# 1. what others wrote; binary wheels only: but for pillow-simd nothing is compiled
others=$(kept wheels)
if ! [ -d "$others" ]; then
    pip wheel -q --only-binary :all: -w "$work/others" -r requirements.txt
    mv "$work/others" "$others"
fi
cp "$others"/*.whl "$wheels"
pip install -q --no-index --no-deps "$wheels"/setuptools-* "$wheels"/wheel-* "$wheels"/pybind11-*

# 2. PIL: compiled once for the same flags, then kept beside the releases
if [ "$IMAGING" = pillow-simd ]; then
    compiled=$(kept pillow-simd -pillow-simd)
    if ! [ -d "$compiled" ]; then
        echo "build_release: compiling $IMAGING $FLAGS"
        CC="${CC:-cc} $FLAGS" pip wheel -q --no-deps --no-cache-dir --no-build-isolation \
            --no-binary pillow-simd -w "$work/pil" -r requirements-pillow-simd.txt
        mv "$work/pil" "$compiled"
    fi
    cp "$compiled"/*.whl "$wheels"
else
    pip wheel -q --no-deps --only-binary :all: -w "$wheels" -r "requirements-$IMAGING.txt"
fi

# 3. our own code, from a copy: a build writes into its folder
mkdir "$work/code"
# shellcheck disable=SC2086
cp -r $sources "$work/code"
pip wheel -q --no-deps --no-build-isolation --no-index -w "$wheels" "$work/code"

# 4. all of it in one archive, beside its place first
# shellcheck disable=SC2086
cp -r $shipped "$work/release"
cat $requirements >"$work/release/requirements.txt"
echo "$release" >"$work/release/RELEASE"
find "$work/release" -name __pycache__ -prune -exec rm -rf {} +
chmod -R u+rwX,go+rX,go-w "$work/release"
tar -C "$work/release" --owner=0 --group=0 -czf "$work/archive" .
mv "$work/archive" "$archive"
echo "$archive"
