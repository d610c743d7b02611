#!/usr/bin/env bash
# Usage: scripts/tidy.sh [PRESET] [PATH-REGEX]
#
# Runs clang-tidy with the checks of .clang-tidy over the sources of build/PRESET (default: dev,
# which is configured first when it isn't) whose path matches PATH-REGEX (default: all of ours).
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

case "${1:-}" in
--help | -h)
    usage "$0"
    exit
    ;;
esac
preset="${1:-dev}"
# asio_impl.cpp and its like are other people's sources, compiled here.
pattern="${2:-^$MUSTER_ROOT/(src|examples|tests|benchmarks)/.*(?<!_impl)\.cpp$}"

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
    -extra-arg=-Wno-unknown-warning-option "$pattern"
