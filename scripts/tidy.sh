#!/usr/bin/env bash
# Usage: scripts/tidy.sh [--quick] [PRESET] [PATH-REGEX]
#
# Runs clang-tidy with the checks of .clang-tidy over the sources of build/PRESET (default: dev,
# which is configured first when it isn't) whose path matches PATH-REGEX (default: all of ours).
#
#   --quick   without the static analyzer, which takes most of the time
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

checks=()
while [[ ${1:-} == -* ]]; do
    case "$1" in
    --quick) checks=('-checks=-clang-analyzer-*') ;;
    --help | -h)
        usage "$0"
        exit
        ;;
    *) die "unknown option $1; see scripts/tidy.sh --help" ;;
    esac
    shift
done
preset="${1:-dev}"
# asio_impl.cpp and tls_impl.cpp are Asio, compiled here: not ours.
pattern="${2:-^$MUSTER_ROOT/(src|examples|tests|benchmarks)/.*(?<!/asio_impl)(?<!/tls_impl)\.cpp$}"

tidy="clang-tidy-$MUSTER_LLVM"
runner="run-clang-tidy-$MUSTER_LLVM"
for tool in "$tidy" "$runner"; do
    command -v "$tool" >/dev/null ||
        die "$tool is not installed; scripts/install-deps.sh --lint installs it."
done

cd "$MUSTER_ROOT"
if [[ ! -f build/$preset/compile_commands.json ]]; then
    select_compiler
    cmake --preset "$preset"
fi
# Flags of a GCC build that clang does not know are no findings.
exec "$runner" -clang-tidy-binary "$tidy" -p "build/$preset" -quiet -j "$(parallel_jobs)" \
    -extra-arg=-Wno-unknown-warning-option "${checks[@]}" "$pattern"
