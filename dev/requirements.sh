#!/bin/sh
# requirements.sh [OPTION OF uv pip compile ...]: write requirements.txt (setup.cfg) and each requirements-GROUP.txt
# (pyproject.toml) with all versions and hashes.  Versions stay as they are, but for what is asked for:
# --upgrade, --upgrade-package NAME.
set -eu
umask 022
cd -- "$(dirname -- "$0")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1

uv=.cache/uv
wanted=$(sha256sum requirements-uv.txt)
if [ "$(cat $uv/.stamp 2>/dev/null)" != "$wanted" ]; then
    rm -rf $uv
    "${PYTHON:-/usr/bin/python3}" -m venv $uv
    $uv/bin/python -m pip install -q --no-deps --require-hashes --only-binary :all: -r requirements-uv.txt
    echo "$wanted" >$uv/.stamp
fi

compile() { # FILE SOURCE ...
    file=$1 && shift
    new=.cache/$file
    cp "$file" "$new" 2>/dev/null || : >"$new"
    $uv/bin/uv pip compile -q --python-version 3.11 --generate-hashes --no-header -o "$new" "$@" >/dev/null
    { echo "# Written by \`make requirements\`."; sed '/^$/,$d' "$new"; } >"$file"
    rm "$new"
}

compile requirements.txt setup.cfg "$@"
for group in $(sed -n '/^\[dependency-groups\]/,/^\[/s/^\([a-z-]*\) = .*/\1/p' pyproject.toml); do
    left_out=
    # pillow-heif asks for `pillow`, but which PIL there is says one of two other groups
    [ "$group" != codecs ] || left_out="--no-emit-package pillow"
    # img2dataset asks for what Python 3.7 has itself
    [ "$group" != bench ] || left_out="--no-emit-package dataclasses"
    # test and lint share requirements.txt's environment
    # shellcheck disable=SC2086
    compile "requirements-$group.txt" --group "pyproject.toml:$group" -c requirements.txt $left_out "$@"
done
rm -rf image_cloud.egg-info # setuptools', from reading setup.cfg
