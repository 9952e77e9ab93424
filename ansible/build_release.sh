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

sources="image_cloud falcon_app daemons client setup.py setup.cfg pyproject.toml README.md"
shipped="nginx supervisor.d"
requirements="requirements.txt requirements-codecs.txt requirements-build.txt requirements-$IMAGING.txt"
built_by="ansible/build_release.sh ansible/check_libraries.sh ansible/roles/image_cloud/vars/main.yml"
made_of() { # file names and contents; no times, no owners
    # shellcheck disable=SC2086
    find "$@" -name __pycache__ -prune -o -type f -print | LC_ALL=C sort | xargs sha256sum
    "$PYTHON" -VV
    echo "$IMAGING $FLAGS $(uname -m)"
}
# shellcheck disable=SC2086
digest=$(made_of $sources $shipped $requirements $built_by | sha256sum | cut -c1-8)
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

# 1. what others wrote; binary wheels only: but for pillow-simd nothing is compiled.
# Wheels are kept beside the releases, as they are the same in many of them; their hashes are checked each time.
others=$folder/wheels-$({ cat requirements.txt requirements-codecs.txt && "$PYTHON" -VV && uname -m; } | sha256sum | cut -c1-8)
checked="--no-deps --require-hashes --only-binary :all:"
# shellcheck disable=SC2086
if ! "$work/build/bin/python" -m pip download -q $checked --no-index --find-links "$others" -d "$wheels" \
    -r requirements.txt -r requirements-codecs.txt >"$log" 2>&1; then
    pip download -q $checked -d "$work/others" -r requirements.txt -r requirements-codecs.txt
    rm -rf "$others"
    mv "$work/others" "$others"
    cp "$others"/*.whl "$wheels"
fi
# shellcheck disable=SC2086
pip install -q $checked -r requirements-build.txt

# 2. PIL
if [ "$IMAGING" = pillow-simd ]; then
    # shellcheck disable=SC2086
    compiled=$(sh image_cloud/stack/compile_pillow_simd.sh "$work/build/bin/python" "$folder" $FLAGS)
    cp "$compiled"/*.whl "$wheels"
else
    # shellcheck disable=SC2086
    pip download -q $checked -d "$wheels" -r "requirements-$IMAGING.txt"
fi

# 3. our own code, from a copy: a build writes into its folder
mkdir "$work/code"
# shellcheck disable=SC2086
cp -r $sources "$work/code"
pip wheel -q --no-deps --no-build-isolation --no-index -w "$wheels" "$work/code"

# 4. the controller may have libraries that hosts do not
sh ansible/check_libraries.sh "$wheels"/*.whl

# 5. all of it in one archive, beside its place first
# shellcheck disable=SC2086
cp -r $shipped "$work/release"
sh image_cloud/stack/wheel_hashes.sh "$wheels" >"$work/release/requirements.txt"
echo "$release" >"$work/release/RELEASE"
find "$work/release" -name __pycache__ -prune -exec rm -rf {} +
chmod -R u+rwX,go+rX,go-w "$work/release"
tar -C "$work/release" --owner=0 --group=0 -czf "$work/archive" .
mv "$work/archive" "$archive"
echo "$archive"
