#!/bin/sh
# system_packages.sh PACKAGE...: install those Debian packages that are missing; none: do nothing.
# Starts no system service, and stops none that runs.
set -eu

missing=
for package in "$@"; do
    state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
    as_root=sudo
else
    echo "image cloud: missing system packages:$missing (install them as root: apt-get install$missing)" >&2
    exit 1
fi

echo "image cloud: installing system packages:$missing"
$as_root sh -eu -s -- $missing <<'AS_ROOT'
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
umask 022
log=$(mktemp)
policy=/usr/sbin/policy-rc.d
clusters=/etc/postgresql-common/createcluster.conf
made=
own_clusters=

undo() {
    rm -f "$log" $made
    # what the package would have put there, for whoever installs PostgreSQL for something else
    [ ! -e $clusters.ucf-dist ] || [ -z "$own_clusters" ] || mv $clusters.ucf-dist $clusters
}
trap undo EXIT
trap 'exit 130' INT TERM HUP

# invoke-rc.d asks this script; 101 means that no service may be started, stopped or restarted.
if [ ! -e $policy ]; then
    printf '#!/bin/sh\nexit 101\n' >$policy && chmod 755 $policy
    made=$policy
fi
# The stack brings its own database cluster: let the package make none of its own.
if [ ! -e $clusters ]; then
    mkdir -p "${clusters%/*}"
    echo 'create_main_cluster = false' >$clusters
    own_clusters=yes
fi
# promtool comes with a server that would start at the next boot: mask it (`systemctl unmask prometheus`).
server=/etc/systemd/system/prometheus.service
case " $* " in
*" prometheus "*) [ -e $server ] || [ -L $server ] || { mkdir -p "${server%/*}" && ln -s /dev/null $server; } ;;
esac

apt() { apt-get -q -y -o DPkg::Lock::Timeout=600 -o APT::Get::Assume-Yes=true "$@" >>"$log" 2>&1 </dev/null; }
for try in 1 2 3; do
    apt update || true
    if apt install --no-install-recommends "$@"; then exit 0; fi
    sleep $((try * 2))
done
tail -n 15 "$log" >&2
echo "image cloud: apt-get could not install: $*" >&2
exit 1
AS_ROOT
