#!/usr/bin/env bash
# Usage: tests/interop/frr.sh start DIR
#        tests/interop/frr.sh stop DIR
#        tests/interop/frr.sh run DIR -- COMMAND...
#
# A real router's command line on loopback: FRRouting's vtysh behind OpenSSH's sshd (ForceCommand).
# `start` returns when a login would succeed; `run` starts, runs COMMAND with the variables below in
# its environment, stops, and ends with COMMAND's status. DIR receives
#
#   env              FRR_HOST FRR_PORT FRR_USER FRR_PASSWORD_FILE FRR_KEY FRR_KNOWN_HOSTS FRR_INVENTORY
#                    FRR_SAVED (the file `write memory` writes)
#   inventory.yaml   the router as a netmiko device list
#   log/             what sshd and the daemons said
#
# Needs root, frr and openssh-server (scripts/install-deps.sh --tests); exits with 77, which ctest
# reports as skipped, where one is missing, or with 1 where MUSTER_REQUIRE_INTEROP is 1.
#
# Nothing of the machine changes. All runs in namespaces of its own: the daemons without the host's
# network, so that no route is touched; files over /etc/frr, /run/frr and the user database, so that
# the system's FRR and accounts are out of reach. Killing one recorded process ends everything.
set -euo pipefail

die() {
    printf 'frr.sh: %s\n' "$*" >&2
    exit 1
}

skip() {
    printf 'frr.sh: skipped: %s\n' "$*" >&2
    [[ ${MUSTER_REQUIRE_INTEROP:-0} != 1 ]] || exit 1
    exit 77
}

readonly user=netops
readonly daemons_dir=/usr/lib/frr

# ---------------------------------------------------------------- inside the namespaces

# daemons LOG: they run in a network namespace of their own. mgmtd exists since FRR 9, and there the
# others get parts of their configuration from it.
daemons() {
    local log="$1" daemon
    for daemon in mgmtd zebra staticd bgpd; do
        [[ -x $daemons_dir/$daemon ]] || continue
        "$daemons_dir/$daemon" >"$log/$daemon" 2>&1 &
    done
    wait -n
    echo "a daemon ended" >&2
}

# inside RUN LOG: the first process of the namespaces. Ends only by being killed or when one of its
# parts has ended.
inside() {
    local run="$1" log="$2" port attempt file
    hostname frr1
    mkdir -p /run/frr /run/sshd
    mount --bind "$run/frr" /run/frr
    mount --bind "$run/etc" /etc/frr
    for file in passwd shadow group; do
        mount --bind "$run/$file" "/etc/$file"
    done
    unshare --net -- "$BASH" "${BASH_SOURCE[0]}" daemons "$log" &

    # Whether a port is free is known for certain only by listening on it.
    for attempt in {1..20}; do
        port=$((20000 + (RANDOM + attempt) % 10000))
        : >"$log/sshd"
        /usr/sbin/sshd -D -f "$run/sshd_config" -E "$log/sshd" -o "ListenAddress=127.0.0.1:$port" &
        while ! grep -q '^Server listening' "$log/sshd"; do
            if ! kill -0 $! 2>/dev/null; then
                continue 2
            fi
            sleep 0.05
        done
        break
    done

    # All daemons answer once vtysh names them; what was saved is then read as at boot.
    local expected=3 answering
    [[ -x $daemons_dir/mgmtd ]] && expected=4
    until answering="$(vtysh -c 'show daemons' 2>/dev/null)" &&
        (($(wc -w <<<"$answering") >= expected)); do
        sleep 0.1
    done
    vtysh -b >"$log/boot" 2>&1
    echo "$port" >"$run/port.new"
    mv "$run/port.new" "$run/port"
    wait -n
}

# ---------------------------------------------------------------- outside

# started_at PID: the process's start time, which tells it from a later one with the same number.
started_at() { sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 20; }

check_needs() {
    local path
    ((EUID == 0)) || skip "needs root, for namespaces and sshd"
    for path in "$daemons_dir/zebra" "$daemons_dir/bgpd" /usr/bin/vtysh /usr/sbin/sshd \
        /usr/bin/ssh-keygen /usr/bin/openssl; do
        [[ -x $path ]] || skip "$path is missing; scripts/install-deps.sh --tests installs it"
    done
    unshare --mount --net --uts --pid --fork true 2>/dev/null ||
        skip "may not make namespaces here (CAP_SYS_ADMIN)"
}

# make_files RUN DIR: keys, password, accounts and configurations.
make_files() {
    local run="$1" dir="$2" password uid=61000 vty_group
    mkdir -p "$run/frr" "$run/etc" "$run/home" "$dir/log"
    chmod 700 "$dir"

    password="$(head -c 15 /dev/urandom | base64 | tr '+/' 'xy')"
    (umask 077 && printf '%s\n' "$password" >"$dir/password")
    rm -f "$dir/id_ed25519" "$dir/id_ed25519.pub"
    ssh-keygen -q -t ed25519 -N '' -C frr-test -f "$dir/id_ed25519"
    ssh-keygen -q -t ed25519 -N '' -C frr-host -f "$run/host_key"
    cp "$dir/id_ed25519.pub" "$run/authorized_keys"

    # The accounts as sshd and vtysh will see them: the system's, and one more.
    vty_group="$(getent group frrvty | cut -d : -f 3)"
    while getent passwd "$uid" >/dev/null; do
        uid=$((uid + 1))
    done
    cp /etc/passwd /etc/group "$run/"
    cp -p /etc/shadow "$run/shadow" # readable for PAM's helper, as the original
    echo "$user:x:$uid:$vty_group::$run/home:/bin/sh" >>"$run/passwd"
    echo "$user:$(openssl passwd -6 -stdin <<<"$password"):19000:0:99999:7:::" >>"$run/shadow"

    # vtysh writes its configuration as the user who is logged in, the daemons open their sockets
    # as frr.
    chown "$uid:$vty_group" "$run/etc" "$run/home"
    chmod 775 "$run/etc"
    chown frr:frrvty "$run/frr"
    cat >"$run/etc/vtysh.conf" <<END
service integrated-vtysh-config
END
    echo 'frr defaults traditional' >"$run/etc/frr.conf"
    chown "$uid:$vty_group" "$run/etc/vtysh.conf" "$run/etc/frr.conf"

    cat >"$run/cli" <<'END'
#!/bin/sh
# A session gets the interactive command line; an exec request runs as one command.
if [ -n "$SSH_ORIGINAL_COMMAND" ]; then
    exec /usr/bin/vtysh -c "$SSH_ORIGINAL_COMMAND"
fi
exec /usr/bin/vtysh
END
    chmod 755 "$run/cli"
    cat >"$run/sshd_config" <<END
HostKey $run/host_key
PidFile none
UsePAM no
PasswordAuthentication yes
KbdInteractiveAuthentication no
PubkeyAuthentication yes
AuthorizedKeysFile $run/authorized_keys
StrictModes no
PermitRootLogin no
AllowUsers $user
ForceCommand $run/cli
AllowTcpForwarding no
PrintMotd no
MaxStartups 1000
MaxSessions 100
LogLevel VERBOSE
END
    # OpenSSH 9.8 began to lock out addresses that fail; a test of a wrong password is one.
    echo 'PerSourcePenalties no' >"$run/try"
    cat "$run/sshd_config" >>"$run/try"
    if /usr/sbin/sshd -t -f "$run/try" 2>/dev/null; then
        mv "$run/try" "$run/sshd_config"
    fi
    rm -f "$run/try"
}

# publish RUN DIR PORT: what a client needs to know.
publish() {
    local run="$1" dir="$2" port="$3"
    echo "[127.0.0.1]:$port $(cut -d ' ' -f 1,2 "$run/host_key.pub")" >"$dir/known_hosts"
    cat >"$dir/inventory.yaml" <<END
frr1:
  device_type: frr
  host: 127.0.0.1
  port: $port
  username: $user
  password: file:$dir/password
END
    cat >"$dir/env" <<END
FRR_HOST=127.0.0.1
FRR_PORT=$port
FRR_USER=$user
FRR_PASSWORD_FILE='$dir/password'
FRR_KEY='$dir/id_ed25519'
FRR_KNOWN_HOSTS='$dir/known_hosts'
FRR_INVENTORY='$dir/inventory.yaml'
FRR_SAVED='$run/etc/frr.conf'
END
}

start() {
    local dir run pid deadline=$((SECONDS + 30))
    check_needs
    mkdir -p "$1"
    dir="$(cd "$1" && pwd)"
    stop "$dir"
    # Not below DIR: the path of a socket is short, and the router's user must be able to get there.
    run="$(mktemp -d /tmp/muster-frr.XXXXXX)"
    chmod 755 "$run"
    make_files "$run" "$dir"

    mkdir -p /run/sshd
    setsid unshare --mount --propagation private --uts --pid --fork --kill-child -- \
        "$BASH" "${BASH_SOURCE[0]}" inside "$run" "$dir/log" </dev/null >"$dir/log/start" 2>&1 &
    pid=$!
    echo "$pid $(started_at "$pid") $run" >"$dir/state"
    until [[ -s $run/port ]]; do
        if ((SECONDS > deadline)) || ! kill -0 "$pid" 2>/dev/null; then
            tail -n 5 "$dir"/log/* >&2
            stop "$dir"
            die "the router did not come up; its logs are in $dir/log"
        fi
        sleep 0.1
    done
    publish "$run" "$dir" "$(cat "$run/port")"
}

stop() {
    local dir="$1" pid started run first
    [[ -f $dir/state ]] || return 0
    read -r pid started run <"$dir/state"
    if [[ -n $started && "$(started_at "$pid")" == "$started" ]]; then
        # The namespace's first process; the rest goes with it.
        first="$(cat "/proc/$pid/task/$pid/children")"
        [[ -z $first ]] || kill -KILL "${first% }"
        while [[ "$(started_at "$pid")" == "$started" ]]; do
            sleep 0.05
        done
    fi
    [[ $run != /tmp/muster-frr.* ]] || rm -rf --one-file-system "$run"
    rm -f "$dir/state" "$dir/env" "$dir/inventory.yaml" "$dir/known_hosts" "$dir/password" \
        "$dir/id_ed25519" "$dir/id_ed25519.pub"
}

case "${1:-}" in
inside) inside "$2" "$3" ;;
daemons) daemons "$2" ;;
start | stop)
    [[ $# == 2 ]] || die "usage: $0 $1 DIR"
    "$1" "$2"
    ;;
run)
    [[ $# -ge 4 && $3 == -- ]] || die "usage: $0 run DIR -- COMMAND..."
    dir="$2"
    shift 3
    trap 'stop "$dir"' EXIT
    trap 'exit 143' INT TERM
    start "$dir"
    set -a
    # shellcheck source=/dev/null
    . "$dir/env"
    set +a
    status=0
    "$@" || status=$?
    exit "$status"
    ;;
--help | -h) sed -n '2,/^[^#]/ { s/^# \{0,1\}//p }' "$0" ;;
*) die "usage: $0 start|stop DIR, or $0 run DIR -- COMMAND...; see --help" ;;
esac
