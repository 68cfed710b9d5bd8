#!/bin/sh
# mls new KIND NAME --lua: for every kind one file that validates, and a study that runs.
set -u
mls=${MLS_BUILD:-.}/mls
dir=$(mktemp -d "${TMPDIR:-/tmp}/mls-new-XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT
XDG_DATA_HOME=$dir/data
export XDG_DATA_HOME
cd "$dir" || exit 99
n=0
check() { # 1 = status of what was asked, 2 = what
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"; grep -v '^ok' log | head -n 12 | sed 's/^/# /'; fi
}
for kind in encoder adapter liquid mixer fusion head task; do
    "$mls" new $kind "my_$kind" --lua >log 2>&1 &&
        [ "$(cd "my_$kind" && echo *)" = "my_$kind.lua study.lua" ] && ! grep -q @ my_$kind/*.lua
    check $? "$kind: the component and a study are written"
    "$mls" validate "my_$kind/my_$kind.lua" >log 2>&1; check $? "$kind: it validates"
    "$mls" run "my_$kind/study.lua" --smoke --results results >log 2>&1; check $? "$kind: the study runs"
done
"$mls" new liquid cfc --lua >log 2>&1; [ $? -ne 0 ] && grep -q 'there is a liquid.cfc already' log && [ ! -e cfc ]
check $? "a name that is taken"
"$mls" new liquid my_liquid --lua >log 2>&1; [ $? -ne 0 ] && grep -q 'it holds "' log
check $? "a folder that is not empty"
echo "1..$n"
