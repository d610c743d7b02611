#!/usr/bin/env bash
# Usage: scripts/install-deps.sh [--tests] [--lint] [--list]
#
# Installs what building muster needs, on Debian 12, Debian 13 and Ubuntu 24.04. Does nothing when
# everything is there, and asks for sudo only when something is missing.
#
#   --tests   also what the tests run against: OpenSSH, dropbear, AsyncSSH, paramiko, FRRouting and gdb.
#             No system service is started or enabled; the tests start their own, on loopback.
#   --lint    also clang-format and clang-tidy
#   --list    only print the packages
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

tests=no lint=no list=no
for option in "$@"; do
    case "$option" in
    --tests) tests=yes ;;
    --lint) lint=yes ;;
    --list) list=yes ;;
    --help | -h)
        usage "$0"
        exit
        ;;
    *) die "unknown option $option; see scripts/install-deps.sh --help" ;;
    esac
done

release="$(system_release)"

packages=(
    cmake ninja-build ccache pkg-config
    libssh2-1-dev libssl-dev zlib1g-dev
    nlohmann-json3-dev libyaml-cpp-dev libcli11-dev libfmt-dev libspdlog-dev
    libssh-dev   # the virtual fleet's side of SSH
    doctest-dev
    python3      # drives the tests of whole programs
    ca-certificates openssl
)
case "$release" in
"debian 12")
    # GCC 12 miscompiles coroutines, and the default Boost is older than 1.81.
    packages+=("clang-$MUSTER_LLVM" "libclang-rt-$MUSTER_LLVM-dev" libboost1.81-dev)
    ;;
"debian 13" | "ubuntu 24.04")
    packages+=(g++ libboost-dev)
    ;;
*)
    cat >&2 <<END
This script knows Debian 12, Debian 13 and Ubuntu 24.04; this is "$release".
Please install, under your system's names for them:

  a compiler    GCC >= 13 or Clang >= 16 (never GCC 12: it miscompiles coroutines)
  build tools   CMake >= 3.25, Ninja, pkg-config, ccache (optional)
  libraries     Boost >= 1.81 (headers), libssh2 >= 1.10, OpenSSL 3, zlib, nlohmann_json, yaml-cpp,
                CLI11, fmt, spdlog
  for tests     doctest, Python >= 3.9, libssh >= 0.10 (server side), openssl, ssh, sshd, dropbear,
                AsyncSSH, paramiko, FRRouting, gdb >= 13

then: cmake --preset release && cmake --build --preset release
END
    exit 1
    ;;
esac
# dropbear-bin is dropbear without its service.
[[ $tests == no ]] ||
    packages+=(openssh-client openssh-server frr iproute2 procps gdb dropbear-bin python3-asyncssh python3-paramiko)
[[ $lint == no ]] || packages+=("clang-format-$MUSTER_LLVM" "clang-tidy-$MUSTER_LLVM")

if [[ $list == yes ]]; then
    printf '%s\n' "${packages[@]}"
    exit
fi

# installed PACKAGE
installed() {
    [[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]
}

missing=()
for package in "${packages[@]}"; do
    installed "$package" || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
    exit
fi

as_root=()
if ((EUID != 0)); then
    command -v sudo >/dev/null ||
        die "not root, and there is no sudo. As root, please run: apt-get install ${missing[*]}"
    as_root=(sudo)
fi

say "Installing ${missing[*]}"

# A package that brings a service starts and enables it unless told not to: a developer's machine
# would find itself with an SSH server because somebody ran the tests.
services=()
for package in "${missing[@]}"; do
    case "$package" in
    openssh-server) services+=(ssh.service ssh.socket) ;;
    frr) services+=(frr.service) ;;
    esac
done
policy=/usr/sbin/policy-rc.d
made_policy=no
restore_policy() { [[ $made_policy == no ]] || "${as_root[@]}" rm -f "$policy"; }
trap restore_policy EXIT
if ((${#services[@]})) && [[ ! -e $policy ]]; then
    made_policy=yes
    printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
    "${as_root[@]}" chmod 755 "$policy"
fi

apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q)
"${apt[@]}" update
"${apt[@]}" install -y --no-install-recommends "${missing[@]}"

if ((${#services[@]})) && command -v systemctl >/dev/null; then
    for service in "${services[@]}"; do
        "${as_root[@]}" systemctl disable --quiet "$service" 2>/dev/null || true
    done
fi
