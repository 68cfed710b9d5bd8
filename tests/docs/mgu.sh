#!/bin/sh
# docs/example/mgu.lua and mgu.c: each validates, and they are the same component.
set -u
source=${MLS_SOURCE:-.} mls=${MLS_BUILD:-build}/mls
if grep -q fsanitize "${MLS_BUILD:-build}/config.status" 2>/dev/null; then
    echo "1..0 # SKIP sanitized build: plugins of an outside author are not"
    exit 0
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
n=0
result() {
    n=$((n + 1))
    if [ "$1" = 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"; grep -v '^ok' "$dir/said" | head -n 20 | sed 's/^/# /'; fi
}
${CC:-gcc} -Wall -Wextra -Werror -O2 -shared -fPIC -fvisibility=hidden \
    -I"$source/framework/include" "$source/docs/example/mgu.c" -o "$dir/mgu.so" -lm >"$dir/said" 2>&1
result $? "mgu.c compiles without a warning"
"$mls" validate "$dir/mgu.so" >"$dir/said" 2>&1; result $? "mgu.c validates"
"$mls" validate "$source/docs/example/mgu.lua:mgu" >"$dir/said" 2>&1; result $? "mgu.lua validates"
"$mls" lua "$source/tests/docs/mgu.lua" "$source/docs/example" "$dir/mgu.h5" --plugin-path "$dir/mgu.so" \
    >"$dir/said" 2>&1
status=$?
grep '^#' "$dir/said"
[ $status = 0 ] && grep -q '^1\.\.' "$dir/said" && ! grep -q '^not ok' "$dir/said"
result $? "the two give equal outputs, states and gradients"
echo "1..$n"
