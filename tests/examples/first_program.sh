#!/usr/bin/env bash
# Usage: first_program.sh BIN_DIR SOURCE_DIR
#
# Runs the README's first program as the README says: with its devices.yaml, against two virtual
# devices, one over SSH, one over HTTP. Ports are free ones instead of the file's.
set -euo pipefail

bin="$1"
source="$2"
folder="$(mktemp -d)"
cd "$folder"

"$bin/virtual-fleet" --devices 2 --known-hosts known_hosts >fleet.log 2>&1 &
fleet=$!
trap 'kill "$fleet" 2>/dev/null || true; wait "$fleet" 2>/dev/null || true; rm -rf "$folder"' EXIT
until grep -q 'Ctrl-C' fleet.log; do
    kill -0 "$fleet" || { cat fleet.log; exit 1; }
done
port_of() { sed -n "s/^ *$1 .*:\([0-9]*\) to .*/\1/p" fleet.log; }
sed -e "s/port: 2222/port: $(port_of ssh)/" -e "s/port: 8080/port: $(port_of http)/" \
    "$source/examples/first_program/devices.yaml" >devices.yaml

"$bin/first-program" | tee output
grep -q '^r1: Cisco IOS Software' output
grep -q '^r2: 15\.' output
