#!/bin/sh
# Each case of mls validate can fail: for every file tests/plugins/broken/CASE.c, which does
# one thing wrong, the case of that name says so; and right.c and right_task.c pass them all.
# The comments are the table broken plugin -> case -> message.
set -u
src=${MLS_SOURCE:-.}
mls=${MLS_BUILD:-build}/mls
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
n=0
result() { # 1 = 0 for passed, 2 = what
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}

build() { # 1 = name without .c
    case $1 in
    exports-one-symbol | lists-without-running | loads-rtld-now) own= ;;
    *) own=${MLS_SANITIZE:-} ;;
    esac
    # shellcheck disable=SC2086
    ${CC:-cc} -std=gnu11 -O1 -fPIC -shared -fvisibility=hidden $own \
        -I"$src/framework/include" -o "$dir/$1.so" "$src/tests/plugins/broken/$1.c"
}

for right in right right_task; do
    build "$right" && "$mls" validate "$dir/$right.so" >"$dir/log" 2>&1
    status=$?
    [ $status -eq 0 ] || grep -A1 '^not ok' "$dir/log" | sed 's/^/# /'
    result $status "$right: every case lets it pass"
done

"$mls" validate --list | awk '{ print $1 }' >"$dir/cases"
while read -r case; do
    if [ ! -e "$src/tests/plugins/broken/$case.c" ]; then
        result 1 "$case: has a plugin that is broken for it"
        continue
    fi
    build "$case" || { result 1 "$case: its broken plugin is built"; continue; }
    "$mls" validate "$dir/$case.so" --case "$case" >"$dir/log" 2>/dev/null
    status=$?
    # speed only warns
    if [ "$case" = speed ]; then
        grep -q '^# warning: ' "$dir/log"
    else
        [ $status -eq 1 ] && grep -q '^not ok' "$dir/log"
    fi
    result $? "$case: finds what is wrong with its plugin"
    sed -n "s|$dir/||g; s/^# reproduce.*//; s/^# /# /p" "$dir/log" | grep -v '^# *[0-9]* component' |
        grep . | head -n 1 | sed "s|^# |# $case.c -> $case -> |"
done <"$dir/cases"
echo "1..$n"
