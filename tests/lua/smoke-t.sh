#!/bin/sh
# Every experiment runs in its small version, is skipped when run again, and says so when
# its data are absent.
out=$(mktemp -d "${TMPDIR:-/tmp}/mls-smoke-XXXXXX") || exit 99
trap 'rm -rf "$out"' EXIT
mls=$MLS_BUILD/mls
n=0

say () {                                    # say STATUS NAME [directive]
  n=$((n + 1))
  if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}

for study in integration_modes text_modes cheetah mixers liquids fusions encoders physionet \
    spiking_losses claims events precision; do
  file=$MLS_SOURCE/experiments/$study.lua
  "$mls" run "$file" --smoke -j2 --results "$out" > "$out/$study.txt" 2> "$out/$study.err"
  status=$?
  if [ $status = 77 ]; then
    n=$((n + 1)); echo "ok $n - $study # SKIP the data are absent"
    continue
  fi
  [ $status = 0 ] || sed 's/^/# /' "$out/$study.txt" "$out/$study.err"
  say $status "$study runs with --smoke"
  test -s "$out/$study-smoke/table.csv" && test -s "$out/$study-smoke/study.h5"
  say $? "$study leaves table.csv and study.h5"
done

# A second run starts no trial again.
before=$(cat "$out"/integration_modes-smoke/journal.jsonl | wc -l)
"$mls" run "$MLS_SOURCE/experiments/integration_modes.lua" --smoke --results "$out" \
  > /dev/null 2>&1
after=$(cat "$out"/integration_modes-smoke/journal.jsonl | wc -l)
test "$before" = "$after"
say $? "a second run finds everything done"

MLS_DATA=/nowhere "$mls" check "$MLS_SOURCE/experiments/text_modes.lua" > "$out/absent" 2>&1
status=$?
test $status = 77 && grep -q /nowhere/tinyshakespeare/input.txt "$out/absent"
say $? "absent data are named"

"$mls" check "$MLS_SOURCE/experiments/integration_modes.lua" --filter mode=mamba \
  > "$out/check" 2>&1
test $? = 0 && grep -q '3 trials of 1 variants' "$out/check"
say $? "check lists what a filter leaves"

"$mls" check "$MLS_SOURCE/experiments/integration_modes.lua" --filter mode=mamba --seeds 2 \
  > "$out/seeds" 2>&1
test $? = 0 && grep -q '2 trials of 1 variants' "$out/seeds"
say $? "--seeds takes the first of them"

echo "1..$n"
