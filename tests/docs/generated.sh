#!/bin/sh
# The committed pages are those that mls makes of its tables, and they are well-formed.
set -u
n=0
result() { n=$((n + 1)); if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi; }
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }
comment() { head -n 20 | sed 's/^/# /'; }

dir=$(mktemp -d)
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
sh "$MLS_SOURCE/tests/docs/generate.sh" "$dir" >"$dir/said" 2>&1
status=$?
comment <"$dir/said"
result $status "every page can be made"
for page in man components.md lua; do
    diff -r -u "$MLS_SOURCE/docs/$page" "$dir/$page" >"$dir/diff" 2>&1
    status=$?
    [ $status = 0 ] || { comment <"$dir/diff"; echo "# run: make docs"; }
    result $status "docs/$page is what mls makes"
done

if command -v mandoc >/dev/null; then
    mandoc -T lint -W warning "$dir"/man/*.[157] 2>&1 | grep -v 'missing date' >"$dir/lint"
    comment <"$dir/lint"
    [ ! -s "$dir/lint" ]; result $? "mandoc has nothing to say"
else
    skip "mandoc has nothing to say" "no mandoc"
fi
if command -v groff >/dev/null; then
    for page in "$dir"/man/*.[157]; do groff -man -ww -z "$page"; done >"$dir/lint" 2>&1
    comment <"$dir/lint"
    [ ! -s "$dir/lint" ]; result $? "nor has groff"
else
    skip "nor has groff" "no groff"
fi
lua=$(command -v luac5.4 || command -v luac54 || command -v luac)
if [ -n "$lua" ]; then
    "$lua" -p "$dir/lua/mls.lua"; result $? "docs/lua/mls.lua is Lua"
else
    skip "docs/lua/mls.lua is Lua" "no luac"
fi

# Nothing of this machine or of today, and a page for every verb and component.
grep -rnE '/tmp|/home|20[0-9][0-9]-[0-9][0-9]-|HDF5 1\.|AVX' "$dir/man" "$dir/components.md" \
    "$dir/lua" | comment >"$dir/found"
cat "$dir/found"; [ ! -s "$dir/found" ]; result $? "no dates, versions or paths of a machine"
missing=$("$MLS_BUILD/mls" list | while read -r name rest; do
    [ -s "$dir/man/mls-$name.7" ] && grep -q "^### $name\$" "$dir/components.md" || echo "$name"
done)
[ -z "$missing" ]; result $? "every component has a page and an entry $missing"

# mls help, mls VERB --help, mls(1) and the README speak of the same verbs.
verbs=$("$MLS_BUILD/mls" help | sed -n 's/^  mls \([a-z]*\) .*/\1/p')
wrong=$(for v in $verbs; do
    "$MLS_BUILD/mls" "$v" --help | head -n 1 | grep -q "^mls $v" || echo "$v --help"
    grep -q "^\.SS \"mls $v\"" "$dir/man/mls.1" || echo "mls.1 $v"
    "$MLS_BUILD/mls" help "$v" | grep -q "^mls $v" || echo "help $v"
done
sed -n 's/.*`\(build\/\)\{0,1\}mls \([a-z]*\)[ `].*/\2/p; s/^\(build\/\)\{0,1\}mls  *\([a-z]*\) .*/\2/p' \
    "$MLS_SOURCE/README.md" "$MLS_SOURCE"/docs/*.md | sort -u | while read -r v; do
    "$MLS_BUILD/mls" help "$v" >/dev/null 2>&1 || echo "a page speaks of mls $v"
done)
[ -z "$wrong" ]; result $? "verbs agree: help, --help, mls(1), README $wrong"

# What mls help answers, and what it says to a slip.
says() { # TEXT ARGUMENTS...: the answer holds the text
    text=$1; shift
    "$MLS_BUILD/mls" help "$@" >"$dir/said" 2>&1
    grep -qF -e "$text" "$dir/said" || { echo "# mls help $*:"; comment <"$dir/said"; return 1; }
}
says 'ports  a, b -> out' fusion && says 'fusion.gate' fusion; result $? "a kind: its ports and components"
says 'membrane potential carried' encoder.lif && says '64 x 64' encoder.lif && says 'time constant that' liquid.cfc
result $? "a component: weights, states and taps"
says 'net:wire (text)' lua && says 'counted from 0' lua.slice && says 'mls.study (t)' lua.mls.study
result $? "the Lua API and a function of it"
says 'did you mean "slice"' lua.slcie && says 'the Lua API has no ""' lua. && says 'did you mean --man' --mna &&
    says 'did you mean "liquid.cfc"' --man liquid.cff; result $? "a slip is met with the nearest name"
says '.SH MODEL' --man liquid.cfc --source "$MLS_SOURCE" && says '.SH OPTIONS' --man liquid.cfc --source /nowhere &&
    ! grep -q '^.SH MODEL' "$dir/said"; result $? "the model comes from the source tree, if there is one"
echo "1..$n"
