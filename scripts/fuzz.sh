#!/usr/bin/env bash
# Usage: scripts/fuzz.sh [--seconds N] [--seed N] [TARGET...]
#
# Builds the fuzz targets (tests/fuzz) with clang and libFuzzer and lets each look for N seconds (20)
# for input that crashes, leaks, hangs or trips a sanitizer. What it finds is kept in
# build/fuzz/found/TARGET; copy such a file to tests/fuzz/corpus/TARGET, where every build's tests run
# it, and repair what it breaks. What it has learnt is kept in build/fuzz/learnt, and used again.
#
#   --seed N  search the same way each time, starting from nothing but the corpus: a search that
#             cannot fail by chance finds little that is new, but does find what is broken again
#   TARGET    known_hosts, private_key, sftp_server, ssh_config, ssh_server_after_auth,
#             ssh_server_before_auth; all of them unless told otherwise
#
# Where no clang with libFuzzer is installed, it says so and does nothing.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

seconds=20
seed=
targets=()
while (($#)); do
    case "$1" in
    --seconds)
        seconds="${2:-}"
        [[ $seconds =~ ^[1-9][0-9]*$ ]] || die "--seconds needs a number"
        shift
        ;;
    --seed)
        seed="${2:-}"
        [[ $seed =~ ^[1-9][0-9]*$ ]] || die "--seed needs a number"
        shift
        ;;
    --help | -h)
        usage "$0"
        exit
        ;;
    -*) die "unknown option $1; see scripts/fuzz.sh --help" ;;
    *)
        [[ -f $MUSTER_ROOT/tests/fuzz/fuzz_$1.cpp ]] || die "there is no tests/fuzz/fuzz_$1.cpp"
        targets+=("$1")
        ;;
    esac
    shift
done
if ((${#targets[@]} == 0)); then
    for source in "$MUSTER_ROOT"/tests/fuzz/fuzz_*.cpp; do
        name="$(basename "$source" .cpp)"
        targets+=("${name#fuzz_}")
    done
fi

# fuzzes COMPILER: true for a clang that has libFuzzer's library.
fuzzes() {
    command -v "$1" >/dev/null &&
        "$1" -fsanitize=fuzzer -x c++ -o /dev/null - 2>/dev/null \
            <<<'extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return 0; }'
}

compiler=
for candidate in "clang++-$MUSTER_LLVM" clang++; do
    if fuzzes "$candidate"; then
        compiler="$candidate"
        break
    fi
done
if [[ -z $compiler ]]; then
    say "Not fuzzing: no clang with libFuzzer here (Debian: clang-$MUSTER_LLVM, libclang-rt-$MUSTER_LLVM-dev)"
    exit
fi
export CXX="$compiler" CC="${compiler/clang++/clang}"
build fuzz fuzz_targets

# fuzz TARGET: one target, for a bounded time.
fuzz() {
    local target="$1" found="$MUSTER_ROOT/build/fuzz/found/$1" learnt="$MUSTER_ROOT/build/fuzz/learnt/$1"
    local log="$MUSTER_ROOT/build/fuzz/$1.log"
    [[ -z $seed ]] || learnt="$learnt-$seed"
    [[ -z $seed ]] || rm -rf "$learnt"
    mkdir -p "$found" "$learnt"
    if "$MUSTER_ROOT/build/fuzz/bin/fuzz_$target" \
        -seed="${seed:-0}" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="$found/" -dict="$MUSTER_ROOT/tests/fuzz/dictionaries/$target" \
        "$learnt" "$MUSTER_ROOT/tests/fuzz/corpus/$target" >"$log" 2>&1; then
        printf '%s: %s inputs, nothing found\n' "$target" \
            "$(awk '/stat::number_of_executed_units/ { print $2 }' "$log")"
    else
        # From what the sanitizer says, or libFuzzer, to the input itself in base64.
        awk '/ERROR: |runtime error: / { found = 1 } found && !/Shadow|^  0x|^=>0x/' "$log"
        printf '%s: FOUND SOMETHING, see %s and %s\n' "$target" "$log" "$found"
        return 1
    fi
}

say "Fuzzing ${targets[*]}, $seconds s each"
symbolizer="$(command -v "llvm-symbolizer-$MUSTER_LLVM" llvm-symbolizer | head -n 1)" || true
export ASAN_OPTIONS="${symbolizer:+external_symbolizer_path=$symbolizer}"
failed=0
running=0
for target in "${targets[@]}"; do
    if ((running == $(nproc))); then
        wait -n || failed=1
        running=$((running - 1))
    fi
    fuzz "$target" &
    running=$((running + 1))
done
while ((running > 0)); do
    wait -n || failed=1
    running=$((running - 1))
done
exit "$failed"
