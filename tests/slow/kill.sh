#!/bin/sh
# A study whose driver, or trials, or both, are killed with SIGKILL at random moments and
# which is run again until it is complete: the same weights, metrics, recordings and table
# as the undisturbed one.  One kill of each kind; with MLS_SLOW ten rounds of up to three.
set -u
mls=$MLS_BUILD/mls differ=$MLS_BUILD/tests/slow/differ
dir=$(mktemp -d "${TMPDIR:-/tmp}/mls-kill-XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT
. "$MLS_SOURCE/tests/slow/same"
study=$MLS_SOURCE/tests/slow/kill.lua
rounds=1 most=1
[ -n "${MLS_SLOW-}" ] && rounds=10 most=3
echo "# MLS_DICE=$dice_state"

children() { cat "/proc/$1/task/$1/children" 2>/dev/null || pgrep -P "$1"; }

# 1 = driver | trials | both, 2 = folder, 3 = milliseconds after which: kills = 1 if it hit
kill_one() {
    "$mls" run "$study" --results "$2" -j2 >"$dir/out" 2>"$dir/said" & pid=$!
    sleep "$(printf '%d.%03d' $(($3 / 1000)) $(($3 % 1000)))"
    trials=$(children $pid) hit=0
    case $1 in
    driver) kill -9 $pid 2>/dev/null && hit=1 ;;
    trials) [ -n "$trials" ] && kill -9 $trials 2>/dev/null && hit=1 ;;
    both) kill -9 $pid $trials 2>/dev/null && hit=1 ;;
    esac
    wait $pid 2>/dev/null
    kills=$((kills + hit))
    return 0
}

began=$(milliseconds)
"$mls" run "$study" --results "$dir/whole" -j2 >"$dir/out" 2>"$dir/err"
check $? "the study runs undisturbed"
took=$(($(milliseconds) - began))

for kind in driver trials both; do
    kills=0 bad=0 round=0 resumed=0
    while [ $round -lt $rounds ]; do
        round=$((round + 1)) again=0
        : >"$dir/err"
        while [ $again -lt $most ]; do
            again=$((again + 1))
            random $((took * 8 / 10)); kill_one $kind "$dir/r" $((dice + took / 20))
        done
        "$mls" run "$study" --results "$dir/r" -j2 >"$dir/out" 2>>"$dir/err" &&
            same_study "$dir/whole/kill" "$dir/r/kill" || { bad=$((bad + 1)); break; }
        resumed=$((resumed + $(grep -l 'continues after step' "$dir"/r/kill/*/log.txt | wc -l)))
        rm -rf "$dir/r"
    done
    echo "# $kind: $kills kills in $round rounds, $resumed trials resumed by the last run"
    [ $bad -eq 0 ]; check $? "kill -9 of $kind: the same files"
    rm -rf "$dir/r"
done
echo "1..$n"
