#!/bin/sh
# compile_pillow_simd.sh PYTHON FOLDER [FLAG ...]: compile pillow-simd, once for the same Python and compiler flags.
# Its last line names a folder below FOLDER, with the wheel and a requirements.txt that holds the wheel's hash.
# Runs in the checkout's folder.  Each feature that pillow-simd knows is named, whatever headers are installed:
# one that is enabled and lacks its headers fails the build, one that is disabled is not looked for.
# PYTHON's environment has the packages of requirements-build.txt.
set -eu
python=$1 folder=$2
shift 2
enabled="jpeg zlib tiff webp jpeg2000 lcms"
disabled="avif freetype imagequant raqm xcb"
source=requirements-pillow-simd.txt
kept=$folder/pillow-simd-$({ cat $source "$0" && "$python" -VV && uname -m && echo "$@"; } | sha256sum | cut -c1-12)

is_whole() {
    [ -f "$kept/requirements.txt" ] && "$python" -m pip download -q --no-deps --no-index --find-links "$kept" \
        --require-hashes -d "$work" -r "$kept/requirements.txt" >/dev/null 2>&1
}

settings() { # what setup.py is told, as options of pip (Debian 12's has no -C)
    for feature in $enabled; do echo "--config-settings=$feature=enable"; done
    for feature in $disabled; do echo "--config-settings=$feature=disable"; done
}

run_pip() { "$python" -m pip "$@" >"$work/log" 2>&1 || { tail -n 15 "$work/log" >&2; exit 1; }; }

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
if ! is_whole; then
    echo "image cloud: compiling pillow-simd $* (once; about a minute)" >&2
    export CC="${CC:-cc} $*"
    # In two steps, as Debian 12's pip keeps the settings from packages that -r names.
    run_pip download -q --no-deps --no-cache-dir --no-build-isolation --require-hashes --no-binary pillow-simd \
        -d "$work/source" -r $source
    # shellcheck disable=SC2046
    run_pip wheel -q --no-deps --no-cache-dir --no-build-isolation --no-index $(settings) -w "$work/new" "$work"/source/*
    sh image_cloud/stack/wheel_hashes.sh "$work/new" >"$work/hashes" && mv "$work/hashes" "$work/new/requirements.txt"
    rm -rf "$kept"
    mkdir -p "$folder" && mv "$work/new" "$kept"
fi
echo "$kept"
