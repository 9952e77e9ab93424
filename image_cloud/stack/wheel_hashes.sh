#!/bin/sh
# wheel_hashes.sh FOLDER: print a requirements file that takes exactly the wheels in FOLDER.
set -eu
cd -- "$1"
for wheel in *.whl; do
    version=${wheel#*-} hash=$(sha256sum "$wheel" | cut -d' ' -f1)
    echo "${wheel%%-*}==${version%%-*} --hash=sha256:$hash"
done
