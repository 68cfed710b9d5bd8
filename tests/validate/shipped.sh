#!/bin/sh
# Every component that comes with mls passes every case that applies to it.
set -u
mls=${MLS_BUILD:-build}/mls
log=$(mktemp) || exit 99
trap 'rm -f "$log"' EXIT
"$mls" validate >"$log" 2>/dev/null
status=$?
n=$(grep -cE '^(not )?ok ' "$log")
if [ "$n" -lt 100 ]; then
    echo "Bail out! mls validate gave $n results, status $status"
    exit 1
fi
# what does not apply is left out, not skipped
grep -vE '^ok .* # SKIP (it is no plugin file|a task is no part|for tasks only|no port|its first)' "$log" |
    grep -vE '^1\.\.' | awk '/^(not )?ok/ { sub(/ok [0-9]+/, "ok " ++k) } { print } END { print "1.." k }'
