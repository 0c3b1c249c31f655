# Sourced by the other scripts. Makes sure that everything is there that they need:
# Debian's packages, user namespaces, a virtual environment with the locked packages,
# the compiled catalogs of texts.
# What was made once is found the next time. Nothing else on the machine is touched.
#
#   set_up demo     what script/demo and script/serve need
#   set_up test     that, and what the tests need
# shellcheck shell=bash

set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
PATH=$PATH:/usr/sbin:/sbin
log=$root/var/log/setup.log

# What tools keep for themselves goes below var/ as well.
export PYTHONPYCACHEPREFIX=$root/var/cache/python
export PIP_CACHE_DIR=$root/var/cache/pip
export RUFF_CACHE_DIR=$root/var/cache/ruff
export MYPY_CACHE_DIR=$root/var/cache/mypy
export HYPOTHESIS_STORAGE_DIRECTORY=$root/var/cache/hypothesis

say() { printf '%s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

is_there() { compgen -G "$1" >/dev/null; }

find_python() {
    local name
    for name in python3.11 python3.12 python3.13 python3.14 python3; do
        if "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$name"
            return
        fi
    done
    return 1
}

# Python with what a virtual environment and a C extension take.
python_is_complete() {
    "$1" -c 'import ensurepip, os, sys, sysconfig
header = os.path.join(sysconfig.get_paths()["include"], "Python.h")
sys.exit(not os.path.exists(header))' 2>/dev/null
}

chromium_package() {
    if grep -qs '^ID=ubuntu' /etc/os-release; then
        echo chromium-browser
    else
        echo chromium
    fi
}

# Packages that are missing for "demo" or "test", by what they have to give, so that
# what was installed in another way counts too.
missing_packages() {
    local python
    have libvirtd || echo libvirt-daemon
    have virsh || echo libvirt-clients
    is_there '/usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so' ||
        echo libvirt-daemon-driver-qemu
    have qemu-system-x86_64 || echo qemu-system-x86
    have qemu-img || echo qemu-utils
    have pkg-config || echo pkg-config
    { have pkg-config && pkg-config --exists libvirt; } || echo libvirt-dev
    have gcc || echo gcc
    is_there '/usr/include/stdio.h' || echo libc6-dev
    # redis-tools holds the server too and, unlike redis-server, starts none.
    have redis-server || have redis-check-rdb || echo redis-tools
    have msgfmt || echo gettext
    if ! python=$(find_python); then
        echo python3 python3-venv python3-dev
    elif ! python_is_complete "$python"; then
        "$python" -c 'from sys import version_info as v
print(f"python{v[0]}.{v[1]}-venv python{v[0]}.{v[1]}-dev")'
    fi
    [ "$1" = test ] || return 0
    is_there '/usr/lib/postgresql/*/bin/initdb' || have initdb || echo postgresql
    have chromium || have chromium-browser || have google-chrome || chromium_package
    have docker-compose || echo docker-compose
    have openssl || echo openssl
    have nbdkit || echo nbdkit
}

install_packages() {
    local as_root=()
    have apt-get || die "These are missing and there is no apt-get to install them:" \
        "$*. Install them by hand (see docs/install.md) and start again."
    if [ "$(id -u)" != 0 ]; then
        have sudo || die "These packages are missing and there is no sudo to install" \
            "them: $*. Run \"apt-get install $*\" as root and start again."
        as_root=(sudo)
    fi
    say "Installing Debian packages: $*"
    say "(This takes some minutes the first time; details in var/log/setup.log.)"
    # A package's own service must not start: policy-rc.d forbids it while we install.
    "${as_root[@]}" sh -s -- "$@" >>"$log" 2>&1 <<'ROOT' ||
set -e
policy=/usr/sbin/policy-rc.d
if [ ! -e $policy ]; then
    trap 'rm -f $policy' EXIT
    trap 'exit 130' INT TERM HUP
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
fi
export DEBIAN_FRONTEND=noninteractive
apt-get -q update </dev/null
apt-get -q -y -o DPkg::Lock::Timeout=120 --no-install-recommends install "$@" </dev/null
ROOT
        die "apt-get could not install $*: $(tail -n 1 "$log") (see var/log/setup.log)"
}

ensure_packages() {
    local packages
    read -ra packages <<<"$(missing_packages "$1" | tr '\n' ' ')"
    [ ${#packages[@]} = 0 ] || install_packages "${packages[@]}"
}

ensure_namespaces() {
    local mapping=(--map-current-user)
    [ "$(id -u)" != 0 ] || mapping=(--map-user=65534 --map-group=65534)
    unshare --user "${mapping[@]}" --pid --uts --mount --ipc --fork --mount-proc true \
        2>>"$log" || die "This machine does not let you create user namespaces, which" \
        "the private libvirt hosts need: see \"User namespaces\" in docs/install.md."
}

# It has a Python that runs, and its scripts know where they are: it was not moved.
environment_works() {
    .venv/bin/python -c '' 2>>"$log" && grep -qF "$root/.venv" .venv/bin/activate
}

# $1: the file of locked packages. Installed anew when they or Python change.
ensure_environment() {
    local python lock=$1 stamp=.venv/${1%.txt}.stamp wanted
    python=$(find_python) ||
        die "Python 3.11 or newer is needed and this machine has none to install."
    wanted=$({ "$python" --version && cat requirements*.txt; } | sha256sum)
    if [ "$wanted" = "$(cat "$stamp" 2>/dev/null)" ] && environment_works; then return; fi
    say "Installing the Python packages of $lock into .venv"
    rm -f .venv/*.stamp
    environment_works || "$python" -m venv --clear .venv >>"$log" 2>&1 ||
        die "Python could not make a virtual environment in .venv (see var/log/setup.log)"
    # The tools that build packages come first and are locked too: without "isolation"
    # pip builds with these and fetches nothing whose hash it does not know.
    install_locked requirements-build.txt
    install_locked "$lock"
    printf '%s\n' "$wanted" >"$stamp"
    # The packages of the tests include those of the demo.
    [ "$lock" = requirements.txt ] || printf '%s\n' "$wanted" >.venv/requirements.stamp
}

install_locked() {
    .venv/bin/python -m pip install --disable-pip-version-check --no-input --quiet \
        --require-hashes --no-build-isolation -r "$1" >>"$log" 2>&1 ||
        die "pip could not install the packages of $1: $(grep -m 1 ERROR "$log" ||
            tail -n 1 "$log") (see var/log/setup.log)"
}

# The catalogs of texts that Django reads, from those that people write.
ensure_catalogs() {
    local texts catalog said
    for texts in locale/*/LC_MESSAGES/*.po; do
        [ -e "$texts" ] || continue  # nobody has translated anything yet
        catalog=${texts%.po}.mo
        [ ! "$catalog" -nt "$texts" ] || continue
        said=$(msgfmt --check-format --output-file="$catalog.$$" "$texts" 2>&1) ||
            die "msgfmt could not compile $texts: $said"
        mv "$catalog.$$" "$catalog"
    done
}

set_up() {
    mkdir -p var/log
    : >"$log"
    have unshare && have setpriv || die "This needs Linux with util-linux 2.38 or newer."
    ensure_packages "$1"
    ensure_namespaces
    if [ "$1" = test ]; then
        ensure_environment requirements-dev.txt
    else
        ensure_environment requirements.txt
    fi
    ensure_catalogs
    PATH=$root/.venv/bin:$PATH
}
