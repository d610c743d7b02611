#!/usr/bin/env bash
# Usage: scripts/demo.sh [--no-deps] [-- CONFIG-PUSH-OPTION...]
#
# From a bare machine to a configuration pushed over real SSH: installs what the build needs,
# builds config-push and runs it against an embedded virtual fleet of 50 devices.
#
#   --no-deps   do not look after packages; they are there
#   -- ...      further options for config-push --demo
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/lib.sh"

deps=yes
while (($#)); do
    case "$1" in
    --no-deps) deps=no ;;
    --help | -h)
        usage "$0"
        exit
        ;;
    --)
        shift
        break
        ;;
    *) die "unknown option $1; see scripts/demo.sh --help" ;;
    esac
    shift
done

[[ $deps == no ]] || "$MUSTER_ROOT/scripts/install-deps.sh"
build release config-push
say "config-push --demo"
exec "$MUSTER_ROOT/build/release/bin/config-push" --demo "$@"
