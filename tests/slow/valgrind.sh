#!/bin/sh
# valgrind.sh VALGRIND...: runs one trial of each wiring and a study's small version under
# the command given.  Not a TAP test: make check-valgrind.
set -u
if ! command -v "$1" >/dev/null 2>&1; then
    echo "check-valgrind: there is no $1 here" >&2
    exit 77
fi
mls=$MLS_BUILD/mls status=0
dir=$(mktemp -d "${TMPDIR:-/tmp}/mls-valgrind-XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT
outcome() { # 1 = status, 2 = what, 3 = log: the lines that valgrind or mls wrote
    errors=$(grep -c '^==.* at 0x' "$3")
    echo "check-valgrind: $2: status $1, $errors errors"
    [ "$1" -eq 0 ] && [ "$errors" -eq 0 ] && return
    status=1
    grep "^==\|^mls:\|valgrind" "$3" | head -n 60; tail -n 5 "$dir/out"
}
for mode in sequential parallel bidirectional; do
    mkdir "$dir/$mode"
    cat >"$dir/$mode/config.yaml" <<Y
task: { component: task.delayed_copy, length: 8, delay: 2, training: 16, validation: 4, test: 4 }
network: { mode: $mode, width: 8, layers: 1, dropout: 0.1, chunk: 4 }
train: { steps: 4, batch: 2, checkpoint_every: 2, evaluate_every: 2 }
record: [enc.spikes, { selector: liq.out, every: 2, samples: 1, report: true }]
Y
    "$@" "$mls" trial "$dir/$mode" >"$dir/out" 2>"$dir/log"
    outcome $? "mls trial, $mode" "$dir/log"
    # the same again from its checkpoint
    rm -f "$dir/$mode/result.yaml" "$dir/$mode/checkpoint-4.h5"
    "$@" "$mls" trial "$dir/$mode" >"$dir/out" 2>"$dir/log"
    outcome $? "mls trial, $mode, resumed" "$dir/log"
done
MLS_EXE=$mls "$@" "$mls" run "$MLS_SOURCE/experiments/integration_modes.lua" --smoke --results "$dir/r" \
    >"$dir/out" 2>"$dir/log"
state=$?
cat "$dir"/r/*/*/log.txt >>"$dir/log"
outcome $state "mls run integration_modes.lua --smoke and $(ls -d "$dir"/r/*/*/ | wc -l) trials" "$dir/log"
exit $status
