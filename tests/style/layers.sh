#!/bin/sh
# Rules of the house that a program can check: layers, exports, headers, forbidden calls.
set -u
cd "${MLS_SOURCE:-.}" || exit 99
build=${MLS_BUILD:-build}
n=0
result() { # 1 = text of offences (empty: passed), 2 = the rule
    n=$((n + 1))
    if [ -z "$1" ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"; echo "$1" | head -n 10 | sed 's/^/# /'; fi
}
layers="base kern grad plug net conf train rec import study validate bench lua cli"

offences=
lower=
for layer in $layers; do
    lower="$lower $layer"
    for f in framework/$layer/*.[ch]; do
        [ -e "$f" ] || continue
        for used in $(sed -n 's/^ *# *include "\([a-z]*\)\/.*/\1/p' "$f" | sort -u); do
            case " $layers " in *" $used "*) ;; *) continue ;; esac
            case "$lower " in *" $used "*) ;; *) offences="$offences$f includes $used/
" ;; esac
        done
    done
done
result "$offences" "a file includes only its own layer and lower ones"

offences=
only() { # 1 = header, 2 = layer
    offences="$offences$(grep -lE "include [<\"]$1" framework/*/*.[ch] plugins/*/*.[ch] 2>/dev/null |
        grep -v "^framework/$2/")"
}
only 'cblas\.h' kern; only 'yaml\.h' conf; only 'hdf5\.h' rec; only 'lua\.h' lua
only 'png\.h' import; only 'sndfile\.h' import; only 'kiss_fft' import
result "$offences" "one layer owns each library"

result "$(grep -nE '# *include' plugins/*/*.[ch] | grep -vE '<(mls/[a-z]+|math|complex|string|stdint|stddef|stdio|stdlib|ctype|float|limits|errno)\.h>' |
    grep -vE 'include "(\.\./[a-z]+/)?[a-z0-9_]+\.h"')" "a plugin includes mls/ headers and libc only"

result "$(grep -nE '(^|[^_a-zA-Z0-9])(exit|abort|printf) ?\(' framework/*/*.c |
    grep -vE '^framework/(cli|lua)/|^[^:]*:[0-9]*: *(/?\*|//)')" "no exit, abort or printf in the framework"

result "$(grep -nE '(^|[^_a-zA-Z0-9])(malloc|calloc|realloc|free) ?\(' plugins/*/*.c |
    grep -vE ': *(/?\*|//)')" "no plugin manages memory"

result "$(wc -l framework/*/*.[ch] plugins/*/*.[ch] framework/lua/*.lua 2>/dev/null |
    awk '$2 != "total" && $1 > 900 { print $2, $1, "lines" }')" "no file is longer than 900 lines"

printf '#include <mls/plugin.h>\n#include <mls/kernel.h>\nint x;\n' >"$build/header-t.c"
result "$(${CC:-gcc} -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -Iframework/include -fsyntax-only "$build/header-t.c" 2>&1)" \
    "the headers compile as C11"
if command -v "${CXX:-g++}" >/dev/null 2>&1; then
    printf '#include <mls/plugin.h>\nint x;\n' >"$build/header-t.cc"
    result "$(${CXX:-g++} -std=c++17 -Wall -Wextra -Werror -Iframework/include -fsyntax-only "$build/header-t.cc" 2>&1)" \
        "mls/plugin.h compiles as C++17"
else
    n=$((n + 1)); echo "ok $n - mls/plugin.h compiles as C++17 # SKIP no C++ compiler"
fi
rm -f "$build/header-t.c" "$build/header-t.cc"

offences=
if ! grep -q 'fsanitize' "$build/config.status" 2>/dev/null; then
    for so in "$build"/plugins/*/*.so; do
        [ -e "$so" ] || continue
        extra=$(nm -D --defined-only "$so" | awk '{ print $3 }' | grep -vE '^mls_plugin$' | tr '\n' ' ')
        [ -z "$extra" ] || offences="$offences$so exports $extra
"
    done
fi
result "$offences" "a plugin exports mls_plugin and nothing else"
echo "1..$n"
