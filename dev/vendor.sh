#!/bin/sh
# vendor.sh: take what the pages' browsers load from the package registry, and list it with hashes in MANIFEST.
#
# Another version: change it here, run `make vendor`, look at the pages, commit.
set -eu
umask 022
cd -- "$(dirname -- "$0")/.."
folder=nginx/assets/vendor
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/new"

take() { # PACKAGE VERSION NAME FILE[=AS] ...: files of the package's archive
    archive=$(cd "$work" && npm pack --silent "$1@$2")
    mkdir "$work/$3"
    tar -xzf "$work/$archive" -C "$work/$3" --strip-components 1
    name=$3 && shift 3
    for file in "$@"; do
        cp "$work/$name/${file%=*}" "$work/new/${file##*[=/]}"
    done
}

take @picocss/pico 2.1.1 pico css/pico.min.css LICENSE.md=pico.LICENSE.txt
take uplot 1.6.32 uplot dist/uPlot.iife.min.js dist/uPlot.min.css LICENSE=uPlot.LICENSE.txt
take swagger-ui-dist 5.35.0 swagger-ui swagger-ui-bundle.js swagger-ui.css LICENSE=swagger-ui.LICENSE.txt \
    NOTICE=swagger-ui.NOTICE.txt swagger-ui-bundle.js.LICENSE.txt
chmod 644 "$work"/new/*
(cd "$work/new" && LC_ALL=C sha512sum -- * >"$work/MANIFEST")
mv "$work/MANIFEST" "$work/new/MANIFEST"
rm -rf "$folder"
mkdir -p "$(dirname "$folder")"
mv "$work/new" "$folder"
