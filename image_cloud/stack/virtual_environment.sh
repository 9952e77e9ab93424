#!/bin/sh
# virtual_environment.sh [REQUIREMENTS]: bring .venv up to date; at once where nothing changed.
# PYTHON and IMAGING (pillow-simd or pillow) say what it is made of.
set -eu
umask 022
PYTHON=${PYTHON:-/usr/bin/python3}
IMAGING=${IMAGING:-pillow-simd}
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1
unset PYTHONPATH PYTHONHOME PIP_REQUIRE_VIRTUALENV PIP_USER

fail() { echo "image cloud: $*" >&2 && exit 1; }
quietly() { "$@" >.cache/setup.log 2>&1 || { tail -n 15 .cache/setup.log >&2; fail "failed: $*"; }; }
pip() { quietly .venv/bin/python -m pip install -q "$@"; }
is_stamped() { [ "$(cat ".venv/.$1" 2>/dev/null)" = "$2" ]; }

[ -f "requirements-$IMAGING.txt" ] || fail "IMAGING=$IMAGING: expected pillow-simd or pillow"
mkdir -p .cache 2>/dev/null && exec 9>.cache/setup.lock || fail "$(pwd)/.cache cannot be written"
flock 9

# 1. the environment itself
if ! .venv/bin/python -c 'import sys; sys.exit(sys.prefix == sys.base_prefix)' 2>/dev/null; then
    rm -rf .venv
    quietly "$PYTHON" -m venv .venv
fi

# 2. what others wrote
version=$(.venv/bin/python -VV)
for file in requirements-build.txt requirements.txt requirements-codecs.txt "$@"; do
    wanted=$(echo "$version" | cat - "$file" | sha256sum)
    is_stamped "$file" "$wanted" && continue
    echo "image cloud: installing $file"
    pip --no-deps --require-hashes --only-binary :all: -r "$file"
    echo "$wanted" >".venv/.$file"
done

# 3. PIL: pillow-simd is compiled once a user and kind of processor, then kept
wanted=$(echo "$version" | cat - "requirements-$IMAGING.txt" image_cloud/stack/compile_pillow_simd.sh | sha256sum)
if ! is_stamped imaging "$wanted"; then
    quietly .venv/bin/python -m pip uninstall -q -y pillow pillow-simd
    if [ "$IMAGING" = pillow-simd ]; then
        flags= && ! grep -qw avx2 /proc/cpuinfo || flags=-mavx2
        folder=${XDG_CACHE_HOME:-${HOME:-/nonexistent}/.cache}/image-cloud
        mkdir -p "$folder" 2>/dev/null && [ -w "$folder" ] || folder=$(pwd)/.cache
        compiled=$(sh image_cloud/stack/compile_pillow_simd.sh .venv/bin/python "$folder" $flags)
        pip --no-deps --no-index --find-links "$compiled" --require-hashes -r "$compiled/requirements.txt"
    else
        pip --no-deps --require-hashes --only-binary :all: -r "requirements-$IMAGING.txt"
    fi
    echo "$wanted" >.venv/.imaging
fi

# 4. our own code, copied, so that the stack's users need not be able to read the checkout
sources="image_cloud falcon_app daemons client setup.py setup.cfg pyproject.toml"
wanted=$(find $sources -name __pycache__ -prune -o -type f -print | sort | xargs sha256sum | sha256sum)
if ! is_stamped code "$wanted"; then
    copy=$(mktemp -d) && trap 'rm -rf "$copy"' EXIT
    cp -r $sources "$copy" && chmod -R u+rwX,go+rX "$copy"
    pip --no-deps --no-build-isolation --no-index --force-reinstall "$copy"
    echo "$wanted" >.venv/.code
fi
