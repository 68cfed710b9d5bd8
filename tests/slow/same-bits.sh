#!/bin/sh
# What may not change a bit: trials side by side, threads, recording, the folder, the
# language and the time zone.
set -u
mls=$MLS_BUILD/mls differ=$MLS_BUILD/tests/slow/differ
dir=$(mktemp -d "${TMPDIR:-/tmp}/mls-bits-XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT
. "$MLS_SOURCE/tests/slow/same"
study=$MLS_SOURCE/tests/slow/kill.lua
: >"$dir/err"

"$mls" run "$study" --results "$dir/one" -j1 >"$dir/out" 2>"$dir/err"; check $? "one trial at a time"
"$mls" run "$study" --results "$dir/two" -j2 >"$dir/out" 2>"$dir/err" &&
    same_study "$dir/one/kill" "$dir/two/kill"
check $? "two trials at a time: the same files"

# A comma as the decimal point, where such a locale can be had.
lang=C.UTF-8 here=
if locale -a 2>/dev/null | grep -qx de_DE.utf8; then lang=de_DE.UTF-8
elif localedef -i de_DE -f UTF-8 "$dir/de_DE.utf8" 2>/dev/null; then
    lang=de_DE.UTF-8 here=$dir
fi
echo "# LC_ALL=$lang"
mkdir "$dir/elsewhere"
(cd "$dir/elsewhere" && LC_ALL=$lang LANG=$lang TZ=Asia/Kathmandu ${here:+env LOCPATH="$here"} \
    "$mls" run "$study" --results here -j2 >"$dir/out" 2>"$dir/err") &&
    same_study "$dir/one/kill" "$dir/elsewhere/here/kill"
check $? "another folder, LC_ALL=$lang, TZ=Asia/Kathmandu: the same files"

# Large enough for matrices to be cut into panels.
more= modes=bidirectional
[ -n "${MLS_SLOW-}" ] && more="--set train.steps=40 --set task.length=192" &&
    modes="sequential parallel bidirectional"
for mode in $modes; do
    cat >"$dir/$mode.yaml" <<Y
task: { component: task.delayed_copy, length: 96, delay: 4, training: 64, validation: 8, test: 8 }
network: { mode: $mode, width: 48, layers: 2, dropout: 0.1, chunk: 24 }
train: { steps: 4, batch: 8, checkpoint_every: 2, evaluate_every: 2 }
record: [enc.spikes, { selector: liq.out, every: 2, samples: 2 }]
Y
    for threads in 1 2 4; do
        # shellcheck disable=SC2086
        "$mls" train "$dir/$mode.yaml" $more --threads $threads --out "$dir/$mode-$threads" --quiet \
            >"$dir/out" 2>"$dir/err" || { check 1 "$mode trains with $threads threads"; continue; }
        [ $threads = 1 ] && continue
        same_trial "$dir/$mode-1" "$dir/$mode-$threads"
        check $? "$mode: $threads threads, the same files as one"
    done
    # shellcheck disable=SC2086
    "$mls" train "$dir/$mode.yaml" $more --set record='[]' --out "$dir/$mode-off" --quiet \
        >"$dir/out" 2>"$dir/err" && same_trial "$dir/$mode-1" "$dir/$mode-off" weights
    check $? "$mode: without recording, the same weights and metrics"
done
echo "1..$n"
