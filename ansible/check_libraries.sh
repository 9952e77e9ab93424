#!/bin/sh
# check_libraries.sh WHEEL ...: refuse wheels with code linked to libraries that hosts do not have.
# Hosts have those of the packages that the play installs (image_cloud_libraries), glibc and GCC's;
# a wheel may bring its own.
set -eu
list=$(dirname -- "$0")/roles/image_cloud/vars/main.yml
installed=$(sed -n '/^image_cloud_libraries:/,/^[^ ]/s/^  \(lib[^:]*\): .*/\1/p' "$list")
runtime="ld-linux-aarch64.so.1 ld-linux-x86-64.so.2 libc.so.6 libdl.so.2 libgcc_s.so.1 libm.so.6 libmvec.so.1
    libpthread.so.0 libresolv.so.2 librt.so.1 libstdc++.so.6 libutil.so.1"

fail() { echo "check_libraries: $*" >&2 && exit 1; }
[ -n "$installed" ] || fail "$list names no libraries"
command -v readelf >/dev/null || fail "readelf is missing (package binutils)"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM HUP

linked() { # FILE: the libraries that the loader looks for
    LC_ALL=C readelf -dW "$1" >"$work/dynamic"
    sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p' "$work/dynamic"
}

refused=0
for wheel in "$@"; do
    rm -rf "$work/wheel"
    "${PYTHON:-python3}" -m zipfile -e "$wheel" "$work/wheel"
    find "$work/wheel" -type f \( -name '*.so' -o -name '*.so.*' \) >"$work/files"
    # shellcheck disable=SC2046,SC2086
    known=$(echo $installed $runtime $(sed 's,.*/,,' "$work/files"))
    while read -r file; do
        linked "$file" >"$work/linked"
        while read -r library; do
            case " $known " in *" $library "*) continue ;; esac
            echo "check_libraries: ${wheel##*/}: ${file##*/} is linked to $library, which hosts do not have" >&2
            refused=1
        done <"$work/linked"
    done <"$work/files"
done
exit $refused
