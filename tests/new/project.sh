#!/bin/sh
# What mls new writes builds without a warning, validates and runs, for every kind; with
# MLS_SLOW=1 also from an installed mls alone, with nothing but pkg-config.
set -u
build=${MLS_BUILD:-.}
mls=$build/mls
dir=$(mktemp -d "${TMPDIR:-/tmp}/mls-new-XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT
unset MLS_PLUGIN_PATH MLS MAKEFLAGS MAKELEVEL MFLAGS
HOME=$dir/home
export HOME
unset XDG_DATA_HOME
make=${MAKE:-make}
n=0
check() { # 1 = status of what was asked, 2 = what
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"; sed 's/^/# /' "$dir/log" | tail -n 20; fi
}
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP this mls has no validate"; }
"$mls" validate --help >/dev/null 2>&1 && validates=1 || validates=
kinds="encoder adapter liquid mixer fusion head task"
kind_of() { # 1 = kind, 2 = mls: everything that a user would do with a new project
    cd "$dir" || exit 99
    "$2" new "$1" "my_$1" >"$dir/log" 2>&1; check $? "$3$1: mls new"
    cd "$dir/my_$1" || exit 99
    $make CFLAGS='-O2 -Werror' >"$dir/log" 2>&1; check $? "$3$1: make, without a warning"
    if [ "$validates" ]; then $make check >"$dir/log" 2>&1; check $? "$3$1: make check"
    else skip "$3$1: make check"; fi
    env XDG_DATA_HOME="$dir/none" "$2" run study.lua --smoke --plugin-path "./my_$1.so" \
        >"$dir/log" 2>&1
    check $? "$3$1: the study runs"
    $make install >"$dir/log" 2>&1 && "$2" list "$1" >"$dir/log" 2>&1 &&
        grep -q "^$1\.my_$1 " "$dir/log"
    check $? "$3$1: make install, and mls finds it from anywhere"
}
if grep -q fsanitize "$build/config.status" 2>/dev/null; then
    echo "1..0 # SKIP sanitized build: plugins of an outside author are not"
    exit 0
fi
for k in $kinds; do kind_of "$k" "$mls" ""; done

cd "$dir/my_liquid" || exit 99
$make debug >"$dir/log" 2>&1 && [ -f debug/my_liquid.so ]; check $? "make debug"
sed -i 's/share\[n\] \* (f - old/share[n] * (2.0f * f - old/' my_liquid.c
if [ ! "$validates" ]; then skip "a mistake in a gradient"; else
    $make >"$dir/log" 2>&1 && ! $make check >"$dir/log" 2>&1 && grep -q '^not ok.*: gradients' "$dir/log"
    check $? "forward and backward that no longer belong together: make check fails"
fi
$make uninstall >"$dir/log" 2>&1 && [ ! -e "$HOME/.local/share/mls/plugins/my_liquid.so" ]
check $? "make uninstall"
mkdir "$dir/a folder" && MLS_PLUGIN_PATH="$dir/a folder:/nowhere" $make install DESTDIR= \
    >"$dir/log" 2>&1 && [ -f "$dir/a folder/my_liquid.so" ]
check $? "make install into the first folder of MLS_PLUGIN_PATH"
$make install DESTDIR="$dir/root" >"$dir/log" 2>&1 &&
    [ -f "$dir/root$HOME/.local/share/mls/plugins/my_liquid.so" ]
check $? "DESTDIR"
$make clean >"$dir/log" 2>&1 && [ ! -e my_liquid.so ]; check $? "make clean"
$make MLS="$dir/nothing" >"$dir/log" 2>&1; [ $? -ne 0 ] && grep -q 'mls is not found' "$dir/log"
check $? "no mls where it should be: a message"

if [ "${MLS_SLOW:-}" = 1 ]; then
    rm -rf "$dir"/my_* "$HOME"
    (cd "$build" && $make install prefix="$dir/usr") >"$dir/log" 2>&1; check $? "make install of mls"
    # as configure --prefix would have written it
    sed -i "s|^prefix=.*|prefix=$dir/usr|" "$dir/usr/lib/pkgconfig/mls.pc"
    for k in $kinds; do kind_of "$k" "$dir/usr/bin/mls" "installed, "; done
    ! grep -rF "$build" "$dir"/my_*/Makefile >"$dir/log"; check $? "no trace of the build tree"
fi
echo "1..$n"
