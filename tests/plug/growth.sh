#!/bin/sh
# Structs that grow: mls compiled against a header with a field more at the end of each of
# them still runs plugins of today's header; and today's mls runs plugins of that one.
set -u
build=${MLS_BUILD:-.}
source=${MLS_SOURCE:-.}
dir=$(mktemp -d "${TMPDIR:-/tmp}/mls-growth-XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT
unset MLS_PLUGIN_PATH
cc="${CC:-gcc} -std=gnu11 -w -O0"
n=0
check() { # 1 = status of what was asked, 2 = what
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"; sed 's/^/# /' "$dir/log" | tail -n 20; fi
}
made() { # 1 = a variable of the build's Makefile
    printf 'growth-show:\n\t@echo $(%s)\n' "$1" |
        MAKEFLAGS= ${MAKE:-make} -s -C "$build" -f Makefile -f - growth-show
}

# ---- the header of a later minor version
grows="mls_plugin_info mls_component mls_task mls_op mls_host mls_array_file mls_port
 mls_option mls_tensor mls_call mls_task_shape mls_sample mls_spec mls_part"
mkdir -p "$dir/later/framework/include/mls" "$dir/now" "$dir/newer" "$dir/o"
for folder in "$source"/framework/*/; do
    mkdir -p "$dir/later/framework/$(basename "$folder")"
    cp "$folder"*.h "$dir/later/framework/$(basename "$folder")/" 2>/dev/null
done
for file in $(made libmls_a_SOURCES) $(made nodist_libmls_a_SOURCES) framework/cli/main.c; do
    case $file in *.c)
        cp "$source/$file" "$dir/later/$file" 2>/dev/null || cp "$build/$file" "$dir/later/$file"
    esac
done
cp "$source"/framework/include/mls/*.h "$dir/later/framework/include/mls/"
edit=$(for s in $grows; do printf '%s\n' "s/^} $s;/    const char *later_field;\n} $s;/"; done)
minor=$(sed -n 's/^#define MLS_ABI_MINOR \([0-9]*\).*/\1/p' "$source/framework/include/mls/plugin.h")
sed -i "$edit
s/^#define MLS_ABI_MINOR $minor/#define MLS_ABI_MINOR $((minor + 1))/" \
    "$dir/later/framework/include/mls/plugin.h"
[ "$(grep -c 'later_field;' "$dir/later/framework/include/mls/plugin.h")" -eq 14 ]
check $? "a field more in each of 14 structs"

# ---- a program that looks at the new fields of what was loaded
cat >"$dir/look.c" <<'C'
#include "plug/plug.h"
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv)
{
    static mls_registry r;
    static mls_error e;
    int bad = 0, rows = 0;
    if (!mls_registry_load(&r, argv[1], &e)) return puts(e.text), 1;
    for (int i = 0; i < r.n_components; i++) {
        const mls_component *c = r.component[i];
        const mls_plugin_file *f = mls_registry_file(&r, c);
        bad += !f || f->info->later_field || f->info->size != sizeof *f->info;
        bad += c->size != sizeof *c || c->later_field != NULL;
        if (c->task) bad += c->task->size != sizeof *c->task || c->task->later_field;
        for (int k = 0; c->ports && c->ports[k].name; k++, rows++)
            bad += c->ports[k].later_field || strlen(c->ports[k].help) == 0 ||
                   mls_plug_port(&r, c, k) != &c->ports[k];
        for (int k = 0; c->options && c->options[k].name; k++, rows++)
            bad += c->options[k].later_field || strlen(c->options[k].help) == 0 ||
                   mls_plug_option(&r, c, k) != &c->options[k];
    }
    printf("%d components, %d rows, %d bad\n", r.n_components, rows, bad);
    mls_registry_free(&r);
    return bad != 0 || rows < 20 || argc != 2;
}
C
flags="-DHAVE_CONFIG_H -I$dir/later/framework/include -I$dir/later/framework -I$build/framework
 $(made DEPS_CFLAGS) -DMLS_PREFIX=\"/none\" -DMLS_PLUGINDIR=\"/none/plugins\""
libs="$(made DEPS_LIBS) $(made LIBS) -lm"
: >"$dir/log"
(
    for folder in "$dir"/later/framework/*/; do
        ls "$folder"*.c >/dev/null 2>&1 || continue
        mkdir -p "$dir/o/$(basename "$folder")" && cd "$dir/o/$(basename "$folder")" &&
            $cc $flags -c "$folder"*.c || exit 1
    done
    cd "$dir" && ar cr o/libmls.a $(find o -name '*.o' ! -path o/cli/main.o) &&
        $cc $flags -o later/mls o/cli/main.o o/libmls.a $libs &&
        $cc $flags -o later/look look.c o/libmls.a $libs
) >"$dir/log" 2>&1
check $? "mls compiles against it"

# ---- today's plugins in the later mls
for p in encoder/lif mixer/identity head/linear task/delayed_copy; do
    $cc -shared -fPIC -fvisibility=hidden -I"$source/framework/include" \
        -o "$dir/now/$(basename $p).so" "$source/plugins/$p.c" -lm
done >"$dir/log" 2>&1
[ "$(ls "$dir/now" | wc -l)" -eq 4 ]; check $? "plugins compile against today's"
config() { # 1 = encoder
    cat <<Y
task: { component: task.delayed_copy, length: 16, delay: 1, training: 32, validation: 8, test: 8 }
network: { width: 8, layers: 1, nodes: { e: { component: $1, units: 6 }, m: { component: mixer.identity } }, wire: "input -> e; e.membrane -> m -> output" }
train: { steps: 3, batch: 4 }
Y
}
config encoder.lif | sed 's/, m: .*wire/, m: { component: encoder.lif } }, wire/' >"$dir/now.yaml"
later=$dir/later/mls
"$dir/later/look" "$dir/now" >"$dir/log" 2>&1; check $? "the new fields are there, and 0"
"$later" list --plugin-path "$dir/now" >"$dir/log" 2>&1 && grep -q '^encoder\.lif ' "$dir/log"
check $? "later mls list"
"$later" help encoder.lif --plugin-path "$dir/now" >"$dir/log" 2>&1 &&
    grep -q 'threshold  .*1 (0.001 to 1000)' "$dir/log" &&
    grep -q 'subtract_beta' "$dir/log"
check $? "later mls help reads the option rows"
"$later" train "$dir/now.yaml" --plugin-path "$dir/now" --out "$dir/a" --quiet >"$dir/log" 2>&1 &&
    grep -q '^outcome: done' "$dir/a/result.yaml"
check $? "later mls train"
if "$later" help | grep -q '^  mls validate'; then
    "$later" validate encoder.lif mixer.identity --case causal \
        --plugin-path "$dir/now" >"$dir/log" 2>&1
    check $? "later mls validate"
fi

# ---- plugins of the later header in today's mls, beside the build's own
sed 's/"lif"/"later_lif"/' "$source/plugins/encoder/lif.c" >"$dir/newer/later_lif.c"
$cc -shared -fPIC -fvisibility=hidden -I"$dir/later/framework/include" \
    -I"$source/plugins/encoder" -o "$dir/newer/later_lif.so" \
    "$dir/newer/later_lif.c" -lm >"$dir/log" 2>&1
"$build/mls" help encoder.later_lif --plugin-path "$dir/newer" >"$dir/log" 2>&1 &&
    grep -q 'threshold  .*1 (0.001 to 1000)' "$dir/log"
check $? "today's mls help with a later plugin"
config encoder.later_lif | sed 's/, m: .*wire/, m: { component: mixer.identity } }, wire/
s/, units: 6//; s/e; e.membrane/e/' >"$dir/newer.yaml"
"$build/mls" train "$dir/newer.yaml" --plugin-path "$dir/newer" --out "$dir/b" --quiet >"$dir/log" 2>&1 &&
    grep -q '^outcome: done' "$dir/b/result.yaml"
check $? "today's mls train with a later plugin"
echo "1..$n"
