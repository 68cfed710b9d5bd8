#!/bin/sh
# The README shows files as they are, and its component compiles and loads.
set -u
source=${MLS_SOURCE:-.} build=${MLS_BUILD:-build}
n=0
result() { n=$((n + 1)); if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi; }

block() { # the first code block of a language in the README
    awk -v lang="$1" '$0 == "```" lang { on = 1; next } on && /^```/ { exit } on' "$source/README.md"
}
block lua | cmp -s - "$source/experiments/first.lua"
result $? "the study in the README is experiments/first.lua"
[ "$(wc -l <"$source/experiments/first.lua")" -le 30 ]
result $? "it has at most 30 lines"
block c | cmp -s - "$source/docs/example/leaky.c"
result $? "the component in the README is docs/example/leaky.c"
[ "$(wc -l <"$source/docs/example/leaky.c")" -le 60 ]
result $? "it has at most 60 lines"

if grep -q fsanitize "$build/config.status" 2>/dev/null; then
    n=$((n + 1)); echo "ok $n - the component loads # SKIP sanitized build"
else
    dir=$(mktemp -d)
    trap 'rm -rf "$dir"' EXIT
    ${CC:-gcc} -Wall -Wextra -Werror -O3 -shared -fPIC -fvisibility=hidden \
        -I"$source/framework/include" "$source/docs/example/leaky.c" -o "$dir/leaky.so" -lm &&
        "$build/mls" help liquid.leaky --plugin-path "$dir/leaky.so" | grep -q 'time constant'
    result $? "the component compiles and mls shows its options"
fi
echo "1..$n"
