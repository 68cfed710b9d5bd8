#!/bin/sh
# The k-th write, open, fsync, rename ... of a training fails, for k = 1 ... until one
# passes: a message of one line, a status that is not 0 and no signal; what was complete
# is intact; and the same command then goes on to the same files.  Every seventh k; all of
# them, and both kinds of failure, with MLS_SLOW.
set -u
mls=$MLS_BUILD/mls differ=$MLS_BUILD/tests/slow/differ shim=$MLS_BUILD/tests/slow/faults.so
dir=$(mktemp -d "${TMPDIR:-/tmp}/mls-faults-XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT
. "$MLS_SOURCE/tests/slow/same"
if nm -D "$mls" 2>/dev/null | grep -q __asan_init; then
    echo "1..0 # SKIP a program with the address sanitizer takes no preloaded library"
    exit 0
fi
cat >"$dir/c.yaml" <<'Y'
task: { component: task.delayed_copy, length: 8, delay: 2, training: 16, validation: 4, test: 4 }
network: { mode: sequential, width: 8, layers: 1 }
train: { steps: 4, batch: 2, checkpoint_every: 2, evaluate_every: 2 }
record: [enc.spikes]
Y
train() { "$mls" train "$dir/c.yaml" --out "$1" --quiet; }
# 1 = k, 2 = errno, 3 = yes: it stays
faulty() {
    (export LD_PRELOAD="$shim" MLS_FAULT_DIR="$dir/f" MLS_FAULT_AT="$1" MLS_FAULT_ERRNO="$2" \
        MLS_FAULT_LOG="$dir/log"
    [ -n "$3" ] && export MLS_FAULT_STAYS=yes
    train "$dir/f")
}
# What has its final name after a failure is whole, and what the undisturbed run made.
intact() {
    for f in "$dir"/f/*; do
        name=${f##*/}
        case $name in
        checkpoint-best.h5) for w in "$dir"/whole/checkpoint-[0-9]*.h5; do
                "$differ" "$w" "$f" >>"$dir/x" 2>&1 && continue 2
            done
            echo "# $name is none of the checkpoints" >>"$dir/err"; return 1 ;;
        record.h5 | checkpoint-*.h5) "$differ" "$dir/whole/$name" "$f" >>"$dir/err" 2>&1 || {
            echo "# $name is not what it was" >>"$dir/err"; return 1; } ;;
        result.yaml) timeless "$f" >"$dir/x"; timeless "$dir/whole/$name" >"$dir/y"
            cmp "$dir/x" "$dir/y" >>"$dir/err" 2>&1 || return 1 ;;
        config.yaml) cmp "$f" "$dir/whole/$name" >>"$dir/err" 2>&1 || return 1 ;;
        esac
    done
}

train "$dir/whole" >"$dir/out" 2>"$dir/err"; check $? "the training ends undisturbed"
rm -f "$dir/log"; : >"$dir/err"
faulty 0 0 '' >"$dir/out" 2>"$dir/err" && same_trial "$dir/whole" "$dir/f"
check $? "and with the library preloaded"
all=$(wc -l <"$dir/log")
cut -d ' ' -f 2 "$dir/log" | sort | uniq -c | sed 's/^/# /'
[ "$all" -gt 100 ]; check $? "calls are met"

# 1 = errno, 2 = stays, 3 = first, 4 = stride, 5 = what
every() {
    k=$3 runs=0 bad=0 passed=0
    while [ "$k" -le "$all" ]; do
        rm -rf "$dir/f" "$dir/log"
        faulty "$k" "$1" "$2" >"$dir/out" 2>"$dir/err"
        status=$? what=$(cat "$dir/log" 2>/dev/null)
        runs=$((runs + 1)) lines=$(wc -l <"$dir/err")
        head -n 1 "$dir/err" >>"$dir/messages"
        offence=
        # What can be done without (a log, a second name for the best) may fail.
        if [ $status -eq 0 ] && [ -e "$dir/f/result.yaml" ]; then passed=$((passed + 1))
        elif [ $status -eq 0 ] || [ $status -ge 124 ]; then offence="status $status"
        elif [ "$lines" -ne 1 ] || ! grep -q '^mls: .' "$dir/err"; then offence="$lines lines"; fi
        [ -z "$offence" ] && ! intact && offence="a complete file is damaged"
        if [ -z "$offence" ]; then
            train "$dir/f" >"$dir/out" 2>>"$dir/err" && same_trial "$dir/whole" "$dir/f" ||
                offence="the next run does not end the same"
        fi
        if [ -n "$offence" ]; then
            bad=$((bad + 1))
            { echo "# call $what, errno $1: $offence"; sed 's/^/#   /' "$dir/err"; } | head -n 6
        fi
        k=$((k + $4))
    done
    echo "# $5: $runs runs, $passed of them ended well, $bad offences"
    [ $bad -eq 0 ]; check $? "$5"
}
: >"$dir/messages"
if [ -n "${MLS_SLOW-}" ]; then
    every 28 yes 1 1 "a full disk from every call on"
    every 5 '' 1 1 "an input/output error at every call"
else
    every 28 yes 3 14 "a full disk from some call on"
    every 5 '' 10 14 "an input/output error at some call"
fi
grep '^mls' "$dir/messages" | sed -e 's/[0-9.]* MB/N MB/' -e "s,$dir/,," | sort | uniq -c |
    sort -rn | head -n 8 | cut -c 1-150 | sed 's/^/# /'
echo "1..$n"
