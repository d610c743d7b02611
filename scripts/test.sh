#!/usr/bin/env bash
# Usage: scripts/test.sh [--no-deps] [--rooms] [--sanitizers | PRESET...] [-- CTEST-OPTION...]
#
# Installs what the build and the tests need, builds everything and runs all tests.
#
#   PRESET         dev (the default), release, asan (AddressSanitizer and
#                  UndefinedBehaviorSanitizer) or tsan (ThreadSanitizer)
#   --sanitizers   the same as: asan tsan
#   --rooms        build only the tests of the rooms and of the docs' code blocks; choose from them with
#                  -- -R, since those of whole programs are not there then
#   --no-deps      do not look after packages; they are there
#   -- ...         further options for ctest, such as -R 'ssh:'
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

deps=yes
presets=()
targets=()
while (($#)); do
    case "$1" in
    --no-deps) deps=no ;;
    --rooms) targets=(room_tests) ;;
    --sanitizers) presets+=(asan tsan) ;;
    dev | release | asan | tsan) presets+=("$1") ;;
    --help | -h)
        usage "$0"
        exit
        ;;
    --)
        shift
        break
        ;;
    *) die "unknown option $1; see scripts/test.sh --help" ;;
    esac
    shift
done

[[ $deps == no ]] || "$MUSTER_ROOT/scripts/install-deps.sh" --tests
for preset in "${presets[@]:-dev}"; do
    build "$preset" "${targets[@]}"
    run_tests "$preset" "$@"
done
