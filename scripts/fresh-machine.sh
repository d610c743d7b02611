#!/usr/bin/env bash
# Usage: scripts/fresh-machine.sh bookworm|trixie [--demo | --test | --all | --deps] [--keep DIR]
#
# Proves that the README's commands work on a bare machine: makes a minimal Debian in a directory
# of its own (debootstrap), clones this checkout's HEAD into it, and runs them there. Needs root,
# debootstrap and Debian's archive keyring. Mirror, proxy and credentials are those of the host's
# apt; --mirror replaces the first.
#
#   --demo        run scripts/demo.sh
#   --test        run scripts/test.sh
#   --all         both (the default)
#   --deps        only install the dependencies, tests' and lint tools' included
#   --keep DIR    make the machine in DIR, or use the one that is there, and leave it
#   --mirror URL  a Debian mirror
#
# All mounts are made in a mount namespace of their own and all processes live in a process
# namespace of their own, so both are gone before anything is removed.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

# ---------------------------------------------------------------- what apt on the host knows

# The host's sources as lines "URI SUITE COMPONENT", without what is not Debian's own.
host_sources() {
    # The $(...) are apt's placeholders, not the shell's.
    # shellcheck disable=SC2016
    apt-get indextargets --format '$(REPO_URI) $(RELEASE) $(COMPONENT) $(LABEL)' 'Created-By: Packages' |
        awk '$4 ~ /^Debian/ { print $1, $2, $3 }' | sort -u
}

# sources_list SUITE [MIRROR]: the one-line-style sources for SUITE, in the host's image: the same
# mirror, the updates and security suites where the host has them.
sources_list() {
    local suite="$1" mirror="${2:-}" host uri release component
    if [[ -n $mirror ]]; then
        echo "deb $mirror $suite main"
        return
    fi
    host="$(. /etc/os-release && echo "$VERSION_CODENAME")"
    host_sources | while read -r uri release component; do
        [[ $component == main ]] || continue
        case "$release" in
        "$host" | "$host-updates" | "$host-security") echo "deb $uri $suite${release#"$host"} main" ;;
        esac
    done
}

# host_apt_settings: how the host reaches its mirror, as lines of apt.conf.
host_apt_settings() {
    apt-config dump |
        grep -E '^Acquire::((http|https)::|Check-Valid-Until|Check-Date|Retries|ForceIPv4)' |
        grep -v -i -E 'Proxy-Auto-Detect|User-Agent' || true
}

# keyring: the file that debootstrap checks the archive's signature with.
keyring() {
    local file=/usr/share/keyrings/debian-archive-keyring.gpg
    [[ -r $file ]] || die "$file is missing; install the package debian-archive-keyring."
    echo "$file"
}

# ---------------------------------------------------------------- making the machine

# machine_made ROOT: the file that is written last, when the machine is complete.
machine_made() { echo "$1/etc/apt/apt.conf.d/90host"; }

# make_machine ROOT SUITE [MIRROR]
make_machine() {
    local root="$1" suite="$2" sources mirror proxy made include=()
    made="$(machine_made "$root")"
    sources="$(sources_list "$suite" "${3:-}")"
    mirror="$(awk -v suite="$suite" '$3 == suite { print $2; exit }' <<<"$sources")"
    [[ -n $mirror ]] || die "apt on this machine knows no Debian mirror; name one with --mirror."
    [[ $sources != *" https:"* ]] || include=(--include=ca-certificates)
    eval "$(apt-config shell proxy Acquire::http::Proxy)"
    [[ -z ${proxy:-} ]] || export http_proxy="$proxy" https_proxy="$proxy"

    say "Making a bare $suite machine in $root"
    unshare --mount --propagation private -- debootstrap --variant=minbase --keyring="$(keyring)" "${include[@]}" \
        "$suite" "$root" "$mirror" >"$root.log" 2>&1 || {
        tail -n 20 "$root.log" >&2
        die "debootstrap failed"
    }
    rm -f "$root.log"
    printf '%s\n' "$sources" >"$root/etc/apt/sources.list"
    if [[ -d /etc/apt/auth.conf.d ]]; then
        cp -a /etc/apt/auth.conf.d/. "$root/etc/apt/auth.conf.d/"
    fi
    [[ ! -e /etc/apt/auth.conf ]] || cp -a /etc/apt/auth.conf "$root/etc/apt/"
    cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
    # Nobody reads the translated package descriptions here.
    echo 'Acquire::Languages "none";' >"$root/etc/apt/apt.conf.d/80small"
    host_apt_settings >"$made.new"
    mv "$made.new" "$made"
}

# mount_system ROOT: /proc and a /dev of its own. Only called inside a mount namespace.
mount_system() {
    local root="$1" device
    # A mount point, as / is on a machine: or nothing in there could make mount namespaces.
    mount --bind "$root" "$root"
    mount -t proc proc "$root/proc"
    mount -t tmpfs -o mode=755,size=64k tmpfs "$root/dev"
    for device in null zero full random urandom tty; do
        : >"$root/dev/$device"
        mount --bind "/dev/$device" "$root/dev/$device"
    done
    mkdir "$root/dev/pts" "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    ln -s pts/ptmx "$root/dev/ptmx"
    ln -s /proc/self/fd "$root/dev/fd"
    ln -s /proc/self/fd/0 "$root/dev/stdin"
    ln -s /proc/self/fd/1 "$root/dev/stdout"
    ln -s /proc/self/fd/2 "$root/dev/stderr"
}

# on_machine ROOT COMMAND...: runs COMMAND in the checkout there, in its own mount and process
# namespaces: when the command has ended, no mount and no process of it is left.
on_machine() {
    local root="$1"
    shift
    unshare --mount --propagation private --pid --fork --kill-child -- \
        "$BASH" "${BASH_SOURCE[0]}" --inside "$root" "$@" </dev/null &
    running=$!
    local status=0
    wait "$running" || status=$?
    running=""
    return "$status"
}

# stop_machine: ends what on_machine runs. The kernel kills a process namespace's members with its
# first process and lets go of that only when they are gone.
stop_machine() {
    local first
    [[ -n ${running:-} ]] || return 0
    first="$(cat "/proc/$running/task/$running/children" 2>/dev/null || true)"
    # Nothing or one number.
    [[ -z $first ]] || kill -KILL "${first% }" 2>/dev/null || true
    wait "$running" 2>/dev/null || true
}

# The part of on_machine that runs inside the namespaces.
if [[ ${1:-} == --inside ]]; then
    root="$2"
    shift 2
    mount_system "$root"
    # A login's environment and nothing of the host's. /src is the clone.
    exec chroot "$root" /usr/bin/env -i HOME=/root TERM=dumb LANG=C.UTF-8 \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        /bin/bash -c 'cd /src/muster && exec "$@"' on_machine "$@"
fi

# copy_checkout ROOT: HEAD of this checkout, as a stranger would clone it.
copy_checkout() {
    local root="$1"
    if ! git -C "$MUSTER_ROOT" diff --quiet HEAD --; then
        say "Note: what is not committed is not tested"
    fi
    rm -rf "$root/src/muster"
    mkdir -p "$root/src"
    git clone -q --no-local "$MUSTER_ROOT" "$root/src/muster"
}

# ---------------------------------------------------------------- the commands

suite="" action=--all keep="" mirror=""
while (($#)); do
    case "$1" in
    bookworm | trixie) suite="$1" ;;
    --demo | --test | --all | --deps) action="$1" ;;
    --keep | --mirror)
        [[ -n ${2:-} ]] || die "$1 needs a value"
        if [[ $1 == --keep ]]; then keep="$2"; else mirror="$2"; fi
        shift
        ;;
    --help | -h)
        usage "$0"
        exit
        ;;
    *) die "unknown option $1; see scripts/fresh-machine.sh --help" ;;
    esac
    shift
done
[[ -n $suite ]] || die "name the release: bookworm or trixie"
((EUID == 0)) || die "needs root, for debootstrap and chroot"
for tool in debootstrap git unshare apt-get; do
    command -v "$tool" >/dev/null || die "needs $tool"
done

if [[ -n $keep ]]; then
    mkdir -p "$keep"
    root="$(cd "$keep" && pwd)"
    trap stop_machine EXIT
else
    base="$(mktemp -d "${TMPDIR:-/var/tmp}/muster-machine.XXXXXX")"
    root="$base/$suite"
    mkdir "$root"
    remove_machine() {
        # The namespaces are gone by now; should a mount have survived, its contents are not ours.
        if grep -q -F " $base/" /proc/self/mounts; then
            echo "something is mounted below $base: not removed" >&2
        else
            rm -rf --one-file-system "$base"
        fi
    }
    trap 'stop_machine; remove_machine' EXIT
fi
trap 'exit 130' INT
trap 'exit 143' TERM

[[ -e $(machine_made "$root") ]] || make_machine "$root" "$suite" "$mirror"
copy_checkout "$root"

# timed LABEL COMMAND...: runs the command there and says how long it took.
timed() {
    local label="$1" start=$SECONDS
    shift
    say "$suite: $label"
    on_machine "$root" "$@"
    say "$suite: $label took $((SECONDS - start)) s"
}

case "$action" in
--deps) timed "install-deps.sh" scripts/install-deps.sh --tests --lint ;;
--demo) timed "demo.sh" scripts/demo.sh ;;
--test) timed "test.sh" scripts/test.sh ;;
--all)
    timed "demo.sh" scripts/demo.sh
    timed "test.sh" scripts/test.sh
    ;;
esac
