#!/bin/sh
# A plugin needs the installed headers and a compiler, and nothing else of this project.
set -u
build=${MLS_BUILD:-.}
source=${MLS_SOURCE:-.}
dir=$(mktemp -d "${TMPDIR:-/tmp}/mls-install-XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT
n=0
check() { # 1 = status of what was asked, 2 = what
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"; sed 's/^/# /' "$dir/log" | tail -n 20; fi
}
(cd "$build" && MAKEFLAGS= ${MAKE:-make} install DESTDIR="$dir/root") >"$dir/log" 2>&1
check $? "make install DESTDIR"
header=$(find "$dir/root" -name plugin.h)
mls=$(find "$dir/root" -type f -name mls -perm -u+x)
installed=$(dirname "$(find "$dir/root" -path '*/plugins/mixer' -type d)")
[ -n "$header" ] && [ -n "$mls" ] && [ -d "$installed" ]; check $? "program, header and plugins"
include=$(dirname "$(dirname "$header")")

mkdir "$dir/mine"
sed 's/"identity"/"mine"/; s/mixer-identity/mixer-mine/' \
    "$source/plugins/mixer/identity.c" >"$dir/mine/mine.c"
${CC:-gcc} -shared -fPIC -I"$include" -o "$dir/mine/mine.so" "$dir/mine/mine.c" >"$dir/log" 2>&1
check $? "one line of compiler builds a plugin"
unset MLS_PLUGIN_PATH
cd "$dir" || exit 99
"$mls" list mixer >"$dir/log" 2>&1 && grep -q '^mixer\.mamba ' "$dir/log"
check $? "a prefix that has moved: the program finds its plugins"
"$mls" list mixer --plugin-path "$dir/mine:$installed" >"$dir/log" 2>&1 &&
    grep -q '^mixer\.mine ' "$dir/log" && grep -q '^mixer\.mamba ' "$dir/log"
check $? "mls list --plugin-path shows it beside the others"
"$mls" help mixer.mine --plugin-path "$dir/mine/mine.so" >"$dir/log" 2>&1 &&
    grep -q 'plugin   mixer-mine 1.0' "$dir/log"
check $? "so does mls help, from the file alone"
cat >"$dir/c.yaml" <<'Y'
task: { component: task.delayed_copy, length: 16, delay: 1, training: 32, validation: 8, test: 8 }
network: { width: 8, layers: 1, nodes: { m: { component: mixer.mine } }, wire: "input -> m -> output" }
train: { steps: 3, batch: 4 }
Y
"$mls" train "$dir/c.yaml" --plugin-path "$dir/mine:$installed" --out "$dir/t" --quiet >"$dir/log" 2>&1 &&
    grep -q '^outcome: done' "$dir/t/result.yaml"
check $? "it runs in a network"
nm -D --undefined-only "$dir/mine/mine.so" >"$dir/log" 2>&1
! grep -vE ' [wU] (__cxa_finalize|__gmon_start__|_ITM_.*|mem[a-z]*|__stack_chk_fail)(@.*)?$' "$dir/log" | grep -q .
check $? "it needs no symbol of mls"
echo "1..$n"
