# shellcheck shell=bash
# Shared by the scripts beside it; sourced, never run. The caller has set -euo pipefail.

MUSTER_ROOT="$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)"

# The clang whose formatter and linter the tree is written for: another version formats differently.
# shellcheck disable=SC2034 # for the scripts that source this
MUSTER_LLVM=19

say() { printf '\n== %s\n' "$*" >&2; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# usage SCRIPT: prints the comment at its head, which is its help text.
usage() { sed -n '2,/^[^#]/ { s/^# \{0,1\}//p }' "$1"; }

# system_release: "debian 12", "debian 13", "ubuntu 24.04" or what else /etc/os-release says.
system_release() {
    (
        ID=unknown VERSION_ID=
        # shellcheck source=/dev/null
        [[ -r /etc/os-release ]] && . /etc/os-release
        echo "$ID ${VERSION_ID:-}"
    )
}

# serves_muster COMPILER: true for GCC >= 13 and Clang >= 16 (CMake has the last word; this only
# picks a candidate).
serves_muster() {
    command -v "$1" >/dev/null || return 1
    local macros gcc clang
    macros="$("$1" -dM -E -x c++ /dev/null 2>/dev/null)" || return 1
    clang="$(awk '$2 == "__clang_major__" { print $3 }' <<<"$macros")"
    gcc="$(awk '$2 == "__GNUC__" { print $3 }' <<<"$macros")"
    if [[ -n $clang ]]; then
        ((clang >= 16))
    else
        ((${gcc:-0} >= 13))
    fi
}

# select_compiler: exports CC and CXX unless the user has. The system's compiler where it serves,
# else the newest clang there is (Debian 12's GCC 12 miscompiles coroutines).
select_compiler() {
    [[ -n ${CXX:-} ]] && return
    if serves_muster c++; then
        export CC=cc CXX=c++
        return
    fi
    local version
    for version in 21 20 19 18 17 16; do
        if serves_muster "clang++-$version"; then
            export CC="clang-$version" CXX="clang++-$version"
            return
        fi
    done
    die "no compiler for muster found: it needs GCC >= 13 or Clang >= 16. scripts/install-deps.sh installs one."
}

# parallel_jobs: as many as there are processors, fewer where memory is short (a translation unit
# with Beast takes up to 1.5 GB).
parallel_jobs() {
    local cores memory
    cores="$(nproc)"
    memory="$(awk '/^MemAvailable:/ { print int($2 / 1500000) }' /proc/meminfo 2>/dev/null || true)"
    if [[ -n $memory ]] && ((memory < cores)); then
        cores=$((memory > 0 ? memory : 1))
    fi
    echo "$cores"
}

# build PRESET [TARGET...]: configures build/PRESET and builds the targets, or everything.
build() {
    local preset="$1"
    shift
    select_compiler
    say "Building preset $preset with $CXX"
    (
        cd "$MUSTER_ROOT" || exit
        cmake --preset "$preset"
        cmake --build --preset "$preset" --parallel "$(parallel_jobs)" ${1:+--target "$@"}
    )
}

# run_tests PRESET [ctest option...]: all tests of build/PRESET, in parallel.
run_tests() {
    local preset="$1"
    shift
    say "Testing preset $preset"
    (
        cd "$MUSTER_ROOT" || exit
        ctest --preset "$preset" --parallel "$(nproc)" "$@"
    )
}

# own_files PATTERN...: the tree's own files that match, NUL-separated; works without git, too.
own_files() {
    cd "$MUSTER_ROOT" || return
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files -z -- "$@"
    else
        local pattern names=()
        for pattern in "$@"; do
            names+=(-o -name "$pattern")
        done
        find . \( -path ./build -o -path ./.git \) -prune -o -type f \( "${names[@]:1}" \) -print0
    fi
}
