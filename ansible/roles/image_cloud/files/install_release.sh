#!/bin/sh
# install_release.sh FOLDER: make the virtual environment of an unpacked release, and bin/ beside it.
set -eu
umask 022
release=$1
cd "$release"
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_INPUT=1
rm -rf venv bin
/usr/bin/python3 -m venv venv
venv/bin/python -m pip install -q --no-index --no-deps --find-links wheels --require-hashes -r requirements.txt
# pillow-simd is PIL as well, but not by the name that pillow-heif asks for.
missing=$(venv/bin/python -m pip check | grep -v -e 'requires pillow, which is not installed' -e '^No broken' || true)
[ -z "$missing" ] || { echo "$missing" >&2 && exit 1; }
venv/bin/python -c 'from PIL import Image, JpegImagePlugin, WebPImagePlugin; Image.core; import falcon_app, psycopg2'
venv/bin/python -c 'from image_cloud.resize.heif import codecs; codecs.load()'
venv/bin/python -m pip uninstall -q -y pip setuptools

# What is started through `current` stays with the release that it was started from: imports come late, too.
mkdir bin
for program in venv/bin/*; do
    case ${program##*/} in
        python*) ;;
        [Aa]ctivate*) continue ;;
        *) ln -s "../$program" bin/ && continue ;;
    esac
    printf '#!/bin/sh\nexec "%s/%s" "$@"\n' "$release" "$program" >"bin/${program##*/}"
    chmod 755 "bin/${program##*/}"
done
touch .complete
