#!/bin/sh
# compile_pillow_simd.sh PYTHON FOLDER [FLAG ...]: compile pillow-simd, once for the same Python and compiler flags.
# Its last line names a folder below FOLDER, with the wheel and a requirements.txt that holds the wheel's hash.
# Runs in the checkout's folder.
# PYTHON's environment has the packages of requirements-build.txt.
set -eu
python=$1 folder=$2
shift 2
source=requirements-pillow-simd.txt
kept=$folder/pillow-simd-$({ cat $source && "$python" -VV && uname -m && echo "$@"; } | sha256sum | cut -c1-12)

is_whole() {
    [ -f "$kept/requirements.txt" ] && "$python" -m pip download -q --no-deps --no-index --find-links "$kept" \
        --require-hashes -d "$work" -r "$kept/requirements.txt" >/dev/null 2>&1
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP
if ! is_whole; then
    echo "image cloud: compiling pillow-simd $* (once; about a minute)" >&2
    CC="${CC:-cc} $*" "$python" -m pip wheel -q --no-deps --no-cache-dir --no-build-isolation --require-hashes \
        --no-binary pillow-simd -w "$work/new" -r $source >"$work/log" 2>&1 || { tail -n 15 "$work/log" >&2; exit 1; }
    sh image_cloud/stack/wheel_hashes.sh "$work/new" >"$work/hashes" && mv "$work/hashes" "$work/new/requirements.txt"
    rm -rf "$kept"
    mkdir -p "$folder" && mv "$work/new" "$kept"
fi
echo "$kept"
