#!/bin/sh
# mls validate as a tool: its output, its exit status, and plugins that crash, hang, are no
# plugins or are not there.
set -u
src=${MLS_SOURCE:-.}
build=${MLS_BUILD:-build}
mls=$build/mls
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
n=0
check() { # 1 = what; the status before the call decides
    status=$?
    n=$((n + 1))
    if [ $status -eq 0 ]; then echo "ok $n - $1"; else
        echo "not ok $n - $1"
        head -n 5 "$dir/log" | sed 's/^/# /'
    fi
}
run() { "$mls" validate "$@" >"$dir/log" 2>"$dir/err"; }
plugin() { # 1 = path of the C file without .c; leaves $dir/NAME.so
    ${CC:-cc} -std=gnu11 -O1 -fPIC -shared -fvisibility=hidden -I"$src/framework/include" \
        -o "$dir/$(basename "$1").so" "$src/$1.c"
}

run mixer.identity --case causal --case streams
[ $? -eq 0 ] && [ "$(grep -c '^ok ' "$dir/log")" -eq 2 ] && grep -q '^1\.\.2$' "$dir/log"
check "chosen cases only, a plan, status 0"

run mixer
[ "$(grep -oE '^(not )?ok [0-9]+ - [a-z_.]+' "$dir/log" | sed 's/.* //' | sort -u | grep -c '^mixer\.')" -ge 4 ]
check "a kind stands for all its components"

"$mls" validate --list >"$dir/log"
[ "$(wc -l <"$dir/log")" -ge 30 ] && awk '{ if ($1 !~ /^[a-z0-9-]+$/ || NF < 4) exit 1 }' "$dir/log"
check "--list: names in kebab-case, each with a sentence"

run mixer.identity --case causel
[ $? -eq 2 ] && grep -q 'no case "causel"; did you mean "causal"' "$dir/err"
check "an unknown case: status 2 and the nearest"

run mixer.mambo
[ $? -eq 2 ] && grep -q 'did you mean "mixer.mamba"' "$dir/err"
check "an unknown component: status 2 and the nearest"

cat >"$dir/two:parts.lua" <<'END'
local mls = require "mls"
mls.component { kind = "mixer", name = "one", forward = function (_, x) return x * 2 end }
mls.component { kind = "mixer", name = "two", forward = function (_, x) return x * 3 end }
END
run "$dir/two:parts.lua:two" "$dir/two:parts.lua:mixer.one" "$dir/two:parts.lua" --case causal
[ $? -eq 0 ] && [ "$(grep -c '^ok ' "$dir/log")" -eq 2 ]
check "two components of one file of Lua, whose name has a colon"

run mixer.identity --json
[ $? -eq 0 ] && [ "$(grep -c '^{.*"case":.*"status":.*}$' "$dir/log")" -eq "$(wc -l <"$dir/log")" ]
check "--json: one object a line"

plugin tests/plugins/broken/causal
run "$dir/causal.so" --seed 17
[ $? -eq 1 ]
check "a failed case: status 1"
again=$(sed -n 's/^# reproduce: mls //p' "$dir/log" | grep -e '--case causal ')
[ "$again" = "validate $dir/causal.so --case causal --seed 17" ]
check "the command that reproduces it is told"
grep -A1 '^not ok .*: causal$' "$dir/log" | sed -n 2p >"$dir/first"
# shellcheck disable=SC2086
"$mls" $again 2>/dev/null | grep '^# mixer' | head -n 1 | cmp -s - "$dir/first" && [ -s "$dir/first" ]
check "and it gives the same message"

plugin tests/plug/segfault
run "$dir/segfault.so"
[ $? -eq 1 ] && grep -q '^# crashed: SIGSEGV in layer0.n segfault.copy forward' "$dir/log" &&
    tail -n 2 "$dir/log" | grep -q '^1\.\.'
check "a crash is a result, with the op"

plugin tests/plug/forever
run "$dir/forever.so" --case causal --time-limit 0.5
[ $? -eq 1 ] && grep -q '^# no answer after 0.5 s of processor time' "$dir/log"
check "an endless loop is a result"

plugin tests/plugins/broken/finite-at-init
run "$dir/finite-at-init.so" --case finite-at-init
[ $? -eq 1 ] && grep -qE '^# .*sample [0-9]+, unit [0-9]+ is -?nan' "$dir/log"
check "NaN is found, with its place"

run "$dir/forever.so" --time-limit 0.2
[ $? -eq 1 ] && [ "$(grep -c '^# no answer' "$dir/log")" -eq 3 ] &&
    grep -q '# SKIP no case before it was answered in time' "$dir/log"
check "after three cases without an answer no more are begun"

printf 'int mls_x __attribute__((constructor)); __attribute__((constructor)) static void f(void) { *(volatile int *)0 = 1; }\n' |
    sed 's/int mls_x __attribute__((constructor)); //' >"$dir/c.c"
${CC:-cc} -shared -fPIC -w -o "$dir/startup.so" "$dir/c.c"
run "$dir/startup.so"
[ $? -eq 1 ] && grep -q '^not ok .*startup.so: loads-rtld-now' "$dir/log" && grep -q '^# crashed: SIGSEGV' "$dir/log"
check "a plugin that crashes on opening is a result"

starting() { # 1 = name, 2 = body of its constructor: a plugin that is right but for that
    {
        cat "$src/tests/plugins/broken/right.c"
        printf '#include <stdio.h>\n#include <unistd.h>\n'
        printf '__attribute__((constructor)) static void begins(void) { %s }\n' "$2"
    } >"$dir/$1.c"
    ${CC:-cc} -std=gnu11 -O1 -fPIC -shared -fvisibility=hidden -I"$src/framework/include" \
        -I"$src/tests/plugins/broken" -o "$dir/$1.so" "$dir/$1.c"
}

shaped() { # 1 = kind, 2 = name, 3 = rows of ports after "in", 4 = shape of "in"
    cat >"$dir/$2.c" <<END
#include <mls/plugin.h>
static void setup(mls_ctx *c, void *self) { (void)c, (void)self; }
static void forward(mls_ctx *c, void *self, const mls_t *in, mls_t *out)
{
    (void)self;
    for (int i = 0; ports[i + 1].name; i++) out[i] = mls->scale(c, in[0], i + 1, 0);
}
static const mls_component part = { sizeof part, "$1", "$2", MLS_CAUSAL | MLS_STREAMS, "Copies",
                                    ports, NULL, 1, setup, forward, NULL };
MLS_PLUGIN("$2", "1", "Apache-2.0", &part);
END
    sed -i "1a static const mls_port ports[] = { { \"in\", MLS_IN, \"$4\", \"values\" }, $3 MLS_PORT_END };" \
        "$dir/$2.c"
    ${CC:-cc} -std=gnu11 -O1 -fPIC -shared -fvisibility=hidden -I"$src/framework/include" \
        -o "$dir/$2.so" "$dir/$2.c"
}
outputs() { # 1 = shape, 2... = names
    shape=$1
    shift
    printf '{ "%s", MLS_OUT, "'"$shape"'", "values" }, ' "$@"
}

starting talks 'puts("ok 1 - of my own"); fflush(stdout);'
run "$dir/talks.so"
[ $? -eq 1 ] && grep -q '^# opening it writes 17 bytes' "$dir/log" &&
    [ "$(grep -c '^not ok' "$dir/log")" -eq 1 ] && ! grep -q 'of my own' "$dir/log" "$dir/err"
check "what a plugin prints on opening is a result and not in the results"

shaped mixer loose "$(outputs "T B n" out)" "T B n"
sed 's/static const mls_port ports/static mls_port ports/' "$dir/loose.c" >"$dir/looser.c"
${CC:-cc} -std=gnu11 -O1 -fPIC -shared -fvisibility=hidden -I"$src/framework/include" \
    -o "$dir/looser.so" "$dir/looser.c"
"$mls" validate "$dir/loose.so" --case lists-without-running >"$dir/log" 2>&1
! grep -q warning: "$dir/log" && run "$dir/looser.so" --case lists-without-running
[ $? -eq 0 ] && grep -q '^# warning: the table of ports of mixer.loose can be written' "$dir/log"
check "a table that is not constant is warned of"

starting waits 'for (;;) pause();'
run "$dir/waits.so" --case loads-rtld-now --case causal --time-limit 0.1
[ $? -eq 1 ] && grep -q '^# no answer after 2.4 s' "$dir/log" &&
    grep -q -e '--seed 1 --time-limit 0.1$' "$dir/log" && grep -q 'causal # SKIP the plugin' "$dir/log"
check "a plugin that never finishes opening is a result"

starting leaves 'if (!fork()) for (;;) pause();'
run "$dir/leaves.so" --case causal
[ $? -eq 0 ]
check "processes that a plugin starts are not waited for"

shaped mixer broad "$(outputs "T B 64" out)" "T B 64"
run "$dir/broad.so"
check "a port may ask for any number of features"

shaped mixer many "$(outputs "T B n" out o2 o3 o4 o5 o6 o7)" "T B n"
run "$dir/many.so"
check "a component may have many outputs"

shaped head short "$(outputs "T B n" out)" "T B n"
run "$dir/short.so" --case causal
[ $? -eq 1 ] && grep -q '^# head.short: its output is \[9\]\[3\]\[16\], expected \[9\]\[3\]\[5\]$' "$dir/log"
check "a head that is not as wide as the answers"

shaped mixer silent "" "T B n"
run "$dir/silent.so" --case causal
[ $? -eq 1 ] && grep -q '^# it has no output to look at' "$dir/log"
check "a component without an output"

mkdir "$dir/it's a folder"
cp "$dir/causal.so" "$dir/it's a folder/x.so"
run "$dir/it's a folder/x.so" --case causal
again=$(sed -n 's/^# reproduce: mls validate //p' "$dir/log")
eval "run $again"
[ $? -eq 1 ] && grep -q '^not ok 1 - .*: causal$' "$dir/log"
check "the command that reproduces it can be pasted, whatever the path"

run /etc/passwd
[ $? -eq 1 ] && grep -q 'is not a shared object' "$dir/log"
check "a path that is no plugin is a failure, not a lot of skips"

run mixer.identity mixer.identity mixer --case causal
[ $? -eq 0 ] && [ "$(grep -c 'mixer.identity: causal' "$dir/log")" -eq 1 ]
check "a component that is named twice is asked once"

echo 'this is no plugin' >"$dir/text.so"
run "$dir/text.so"
[ $? -eq 1 ] && grep -q 'text.so: is not a shared object' "$dir/log" &&
    grep -q '# SKIP the plugin was not loaded' "$dir/log"
check "a text file: the loader's words, the other cases skipped"
! grep -q crashed "$dir/log"
check "and nothing crashes for want of it"

head -c 3000 "$dir/causal.so" >"$dir/cut.so"
run "$dir/cut.so"
[ $? -eq 1 ] && grep -q '^not ok .*cut.so: loads-rtld-now' "$dir/log"
check "a truncated file"

run "$dir/absent.so"
[ $? -eq 1 ] && grep -q 'absent.so' "$dir/log"
check "a file that is not there"

run mixer.identity --seed x
[ $? -eq 2 ] && grep -q -e '--seed' "$dir/err"
check "a seed that is no number: status 2"

# what stands in the user's folder does not hinder the file that is named
mkdir -p "$dir/home/mls/plugins"
cp "$dir/causal.so" "$dir/home/mls/plugins/"
plugin tests/plugins/broken/causal
${CC:-cc} -std=gnu11 -O2 -g -fPIC -shared -fvisibility=hidden -I"$src/framework/include" \
    -o "$dir/causal.so" "$src/tests/plugins/broken/causal.c"
XDG_DATA_HOME="$dir/home" "$mls" validate "$dir/causal.so" --case describe >"$dir/log" 2>"$dir/err"
check "a named file goes before an older one in the user's folder"
echo "1..$n"
