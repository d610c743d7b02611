#!/usr/bin/env bash
# Usage: scripts/bench.sh [--quick] [core | net | ssh | sftp | build]... [-- OPTION...]
#
# Installs what the build needs, builds the release preset and compares muster with the same work written on plain Asio, with
# callbacks and with asio::awaitable, and with epoll by hand: medians of runs that take turns, ratios,
# and whether the targets are reached. docs/design/performance.md says what the figures mean.
#
#   core         the event loop: tasks, awaits, timers, queues, locks, executors
#   net          a TCP echo server
#   ssh          SSH sessions with a virtual fleet: CPU time, rate, memory, the longest step; beside raw
#                libssh2 and, where they are installed, Go (golang-go golang-golang-x-crypto-dev) and
#                AsyncSSH (python3-asyncssh)
#   sftp         a file of 1 GB over SFTP beside OpenSSH's sftp and bare libssh2 (needs OpenSSH's server)
#   build        seconds and memory to compile a first program, and its size
#   --quick      a twentieth of the work, once: to see that it runs, not for figures
#   -- OPTION... further options for the programs, such as a workload's name or --runs 9; see
#                build/release/bin/bench-core --help
#
# Without names, all five. Leave the machine alone meanwhile.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

parts=()
options=()
runs=()
megabytes=()
while (($#)); do
    case "$1" in
    core | net | ssh | sftp | build) parts+=("$1") ;;
    --quick)
        options+=(--runs 1 --scale 0.05)
        runs=(--runs 1)
        megabytes=(--megabytes 50)
        ;;
    --help | -h)
        usage "$0"
        exit
        ;;
    --)
        shift
        options+=("$@")
        break
        ;;
    *) die "unknown option $1; see scripts/bench.sh --help" ;;
    esac
    shift
done
((${#parts[@]})) || parts=(core net ssh sftp build)

"$MUSTER_ROOT/scripts/install-deps.sh"
build release bench_core bench_net bench_ssh bench_sftp
for part in "${parts[@]}"; do
    say "Benchmarks: $part"
    if [[ $part == build ]]; then
        "$MUSTER_ROOT/benchmarks/build/build_cost.py" "$MUSTER_ROOT/build/release" "${runs[@]}"
    elif [[ $part == sftp ]]; then
        "$MUSTER_ROOT/build/release/bin/bench-sftp" "${runs[@]}" "${megabytes[@]}"
    else
        "$MUSTER_ROOT/build/release/bin/bench-$part" "${options[@]}"
    fi
done
