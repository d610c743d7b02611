#!/usr/bin/env bash
# Usage: scripts/check-format.sh [--fix]
#
# Fails where a C++ source is not formatted as .clang-format says; --fix formats it in place.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

mode=(--dry-run -Werror)
case "${1:-}" in
"") ;;
--fix) mode=(-i) ;;
--help | -h)
    usage "$0"
    exit
    ;;
*) die "unknown option $1; see scripts/check-format.sh --help" ;;
esac

formatter="clang-format-$MUSTER_LLVM"
command -v "$formatter" >/dev/null ||
    die "$formatter is not installed; scripts/install-deps.sh --lint installs it."
cd "$MUSTER_ROOT"
own_files '*.cpp' '*.hpp' | xargs -0 -r -n 20 -P "$(nproc)" "$formatter" --style=file "${mode[@]}"
