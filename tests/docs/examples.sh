#!/bin/sh
# What the pages show works: the README shows files as they are, its component compiles and
# loads, and every code block of the pages is run, loaded or parsed:
#
#   sh      sh -n; of each mls command the verb and its options must exist, and a study
#           that it names must load (mls check). With the marker run: run, in a folder of
#           the page's own, with mls in the PATH
#   lua     a study: mls check. Other code is compiled, and with the marker run it is run by
#           mls lua. Marker study: the fields of a study, loaded inside of one
#   c       compiled against mls/plugin.h; with MLS_PLUGIN in it also loaded by mls
#   yaml    mls train --dry-run; what a fragment lacks is added
#   wire    a network of enc, ad, liq, mix and fuse is wired so
#   python  compiled
#
# A marker is the line before the block: <!-- run -->, <!-- study -->, or <!-- not tested:
# why -->. <!-- all of FILE --> and <!-- part of FILE -->: it shows a file of the tree, which
# the blocks after it find. <!-- said -->: the run before it said these lines, whatever the
# digits. A block that begins with the name of a file in a comment, /* leaky.c ... or
# -- leaky.lua, is kept under that name for the blocks after it.
set -u
source=${MLS_SOURCE:-.} build=${MLS_BUILD:-build}
unset MLS MAKEFLAGS MAKELEVEL MFLAGS
mls=$build/mls
n=0
result() { n=$((n + 1)); if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi; }
skip() { n=$((n + 1)); echo "ok $n - $1 # SKIP $2"; }

block() { # the first code block of a language in the README
    awk -v lang="$1" '$0 == "```" lang { on = 1; next } on && /^```/ { exit } on' "$source/README.md"
}
block lua | cmp -s - "$source/experiments/first.lua"
result $? "the study in the README is experiments/first.lua"
[ "$(wc -l <"$source/experiments/first.lua")" -le 30 ]
result $? "it has at most 30 lines"
block c | cmp -s - "$source/docs/example/leaky.c"
result $? "the component in the README is docs/example/leaky.c"
[ "$(wc -l <"$source/docs/example/leaky.c")" -le 75 ]
result $? "it has at most 75 lines"

sanitized=0
if grep -q fsanitize "$build/config.status" 2>/dev/null; then sanitized=1; fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/bin"
ln -s "$(cd "$build" && pwd)/mls" "$dir/bin/mls"

compile() { # FILE.c FILE.so
    ${CC:-gcc} -Wall -Wextra -Werror -O1 -shared -fPIC -fvisibility=hidden \
        -I"$source/framework/include" "$1" -o "$2" -lm
}
if [ $sanitized = 1 ]; then
    skip "the component loads" "sanitized build"
    skip "the component is right" "sanitized build"
else
    compile "$source/docs/example/leaky.c" "$dir/leaky.so" &&
        "$mls" help liquid.leaky --plugin-path "$dir/leaky.so" | grep -q 'time constant'
    result $? "the component compiles and mls shows its options"
    "$mls" validate "$dir/leaky.so" >/dev/null 2>&1
    result $? "mls validate finds nothing wrong with it"
fi

# ---- blocks ------------------------------------------------------------------------------

# Writes the blocks of page $1 to $work/block.N and a line "N LINE LANGUAGE MARKER" for each.
split() {
    awk -v to="$work/block." '
        on && /^```/ { on = 0; close(file); next }
        on { print > file; next }
        /^```/ { on = 1; file = to (++n); printf "" > file
                 print n, NR, substr($0, 4) == "" ? "text" : substr($0, 4), marker
                 marker = ""; next }
        /^<!-- .* -->$/ { marker = substr($0, 6, length($0) - 9); next }
        !/^$/ { marker = "" }' "$1"
}

# The options of one mls command (without "mls") must be in the help of its verb.
command_is_known() {
    verb=$1; shift
    help=$("$mls" help "$verb" 2>&1) || { echo "mls $verb: there is no such verb"; return 1; }
    for word; do
        case $word in
        --plugin-path*|--help) ;;
        -j[0-9]*) printf '%s\n' "$help" | grep -q -e '-j N' || { echo "mls $verb $word"; return 1; } ;;
        --no-*) printf '%s\n' "$help" | grep -q -e "--${word#--no-}" ||
                    { echo "mls $verb has no $word"; return 1; } ;;
        -?*) printf '%s\n' "$help" | grep -q -e "^  *${word%%=*}\( \|\$\)" ||
                 { echo "mls $verb has no $word"; return 1; } ;;
        esac
    done
    case $verb in run|check)
        for word; do
            case $word in *.lua) [ ! -f "$source/$word" ] || study_loads "$source/$word" || return 1 ;; esac
        done ;;
    esac
}
study_loads() { # absent data are no fault of the page
    case ${seen:-} in *" $1 "*) return 0 ;; esac
    "$mls" check "$1" >"$work/said" 2>&1
    status=$?
    if [ $status -ne 0 ] && [ $status -ne 77 ]; then cat "$work/said"; return 1; fi
    seen="${seen:- }$1 "
}
sh_block() {
    sh -n "$1" || return 1
    # A command a line: joined continuations, without comments, cut at && ; | &
    sed -e ':a' -e '/\\$/{N;s/\\\n//;ta' -e '}' "$1" | sed -e 's/^#.*//' -e 's/[[:space:]]#.*//' \
        -e 's/&&/\n/g' -e 's/[;|&]/\n/g' >"$work/commands"
    while read -r cmd; do
        # Words in quotes stay one word; nothing is expanded or run.
        eval "set -f; set -- $(printf '%s' "$cmd" | sed 's/[$`<>()]/_/g'); set +f"
        while case ${1:-} in [A-Z]*=*) ;; *) false ;; esac; do shift; done
        case ${1:-} in
        mls|build/mls|./mls) shift; [ $# = 0 ] || command_is_known "$@" || return 1 ;;
        scripts/*) [ -x "$source/$1" ] || { echo "there is no $1"; return 1; } ;;
        esac
    done <"$work/commands"
}
lua_compiles() { # FILE: no luac is needed
    printf 'assert(loadfile(arg[1]))' >"$work/load.lua"
    "$mls" lua "$work/load.lua" "$1"
}
study_of_fields() {
    { echo 'local mls = require "mls"'
      echo 'local given = {'; cat "$1"; echo '}'
      cat <<'LUA'
local study = {
  name = "fragment", task = mls.task.delayed_copy { length = 16, delay = 2 },
  network = function (p)
    return mls.modes.sequential { width = p.width or 8, layers = 1,
                                  liquid = mls.liquid.cfc { backbone_units = 8 } }
  end,
  train = { steps = 2 },
}
for k, v in pairs(given) do study[k] = v end
return mls.study(study)
LUA
    } >"$work/fragment.lua"
    study_loads "$work/fragment.lua"
}
c_block() {
    file=$1
    if ! grep -q '#include' "$1"; then
        file=$work/fragment.c
        { echo '#include <math.h>'; echo '#include <mls/plugin.h>'; cat "$1"; } >"$file"
    fi
    if ! grep -q 'MLS_PLUGIN(' "$1"; then
        ${CC:-gcc} -Wall -Wextra -Wno-unused -Werror -fsyntax-only -x c -I"$source/framework/include" "$file"
    elif [ $sanitized = 0 ]; then
        compile "$file" "$work/plugin.so" && "$mls" list --plugin-path "$work/plugin.so" >/dev/null
    fi
}
yaml_block() {
    cp "$1" "$work/config.yaml"
    grep -q '^task:' "$1" || echo 'task: { component: task.delayed_copy, length: 16, delay: 2 }' >>"$work/config.yaml"
    grep -q '^network:' "$1" || echo 'network: { mode: sequential, width: 8, layers: 1 }' >>"$work/config.yaml"
    "$mls" train "$work/config.yaml" --dry-run >/dev/null
}
wire_block() {
    { echo 'task: { component: task.delayed_copy, length: 16, delay: 2 }'
      echo 'network:'
      echo '  width: 8'
      echo '  chunk: 4'
      echo '  nodes:'
      echo '    { enc: { component: encoder.lif }, ad: { component: adapter.rate },'
      echo '      liq: { component: liquid.cfc }, mix: { component: mixer.mamba },'
      echo '      fuse: { component: fusion.sum } }'
      echo '  wire: |'
      sed 's/^/    /' "$1"; } >"$work/wire.yaml"
    "$mls" train "$work/wire.yaml" --dry-run >/dev/null
}
shown() { # BLOCK FILE: the lines of the block stand together in the file
    cat >"$work/shown.lua" <<'LUA'
local function read (path) return assert(io.open(path)):read "a" end
os.exit(read(arg[2]):find(read(arg[1]), 1, true) ~= nil)
LUA
    "$mls" lua "$work/shown.lua" "$1" "$source/$2" || { echo "$2 has no such lines"; return 1; }
    mkdir -p "$work/$(dirname "$2")" && cp "$source/$2" "$work/$2"
}
said() { # BLOCK
    sed 's/[0-9]\{1,\}/N/g' "$work/ran" >"$work/ran.N"
    sed 's/[0-9]\{1,\}/N/g' "$1" | while IFS= read -r text; do
        grep -qxF -e "$text" "$work/ran.N" || { echo "it did not say: $text"; exit 1; }
    done
}
try_block() { # FILE LANGUAGE MARKER
    case $2:$3 in
    *:not\ tested:*) ;;
    *:all\ of\ *) cmp "$1" "$source/${3#all of }" && shown "$1" "${3#all of }" ;;
    *:part\ of\ *) shown "$1" "${3#part of }" ;;
    *:said) said "$1" ;;
    sh:run) (cd "$work" && PATH="$dir/bin:$PATH" && export PATH && timeout 120 sh -eu "$1") >"$work/ran" 2>&1
            status=$?; cat "$work/ran"; return $status ;;
    sh:*) sh_block "$1" ;;
    lua:run) (cd "$work" && timeout 120 "$dir/bin/mls" lua "$1") ;;
    lua:study) study_of_fields "$1" ;;
    lua:*) lua_compiles "$1" && if grep -q '^return mls.study' "$1"; then study_loads "$1"; fi ;;
    c:*) c_block "$1" ;;
    wire:*) wire_block "$1" ;;
    yaml:*) yaml_block "$1" ;;
    python:*) ! command -v python3 >/dev/null ||
                  python3 -c 'import sys; compile(open(sys.argv[1]).read(), sys.argv[1], "exec")' "$1" ;;
    esac
}

for page in README.md $(cd "$source" && ls docs/*.md); do
    work=$dir/$(basename "$page" .md)
    mkdir "$work"
    split "$source/$page" >"$work/list"
    while read -r i line language marker; do
        case $language:$marker in sh:*|lua:*|c:*|yaml:*|wire:*|python:*|*:said) ;; *) continue ;; esac
        named=$(sed -n '1s,^\(/\*\|--\|#\) *\([A-Za-z0-9_]*\.[a-z]*\)\( .*\)\{0\,1\}$,\2,p' "$work/block.$i")
        file=$work/${named:-$i.$language}
        mv "$work/block.$i" "$file"
        # A sanitized mls validates no plugin of an outside author, so that none is made.
        if [ $sanitized = 1 ] && { [ "$marker" = said ] || { [ "$marker" = run ] &&
                grep -q -e '^make' -e '^mls new' -e '^mls help liquid.mgu' "$file"; }; }; then
            skip "$page:$line $language ($marker)" "sanitized build"
            continue
        fi
        try_block "$file" "$language" "$marker" >"$work/out" 2>&1
        status=$?
        [ $status = 0 ] || head -n 20 "$work/out" | sed 's/^/# /'
        result $status "$page:$line $language${marker:+ ($marker)}"
    done <"$work/list"
done

# Every name mls.x.y that a page speaks of exists.
cat >"$dir/names.lua" <<'LUA'
local mls, known, bad = require "mls", { ["mls.lua"] = true, ["mls.pc"] = true }, 0
local function exists (name)
  local at = mls
  for word in name:gmatch "%.([%w_]+)" do at = at[word] end
  return at ~= nil
end
for _, path in ipairs(arg) do
  for name in io.open(path):read "a":gmatch "%f[%w_./]mls%.%l[%w_.]*%w" do
    local ok, there = pcall(exists, name)
    if not known[name] and not (ok and there) then
      print(("# %s: %s"):format(path:match "[^/]*$", name))
      bad = bad + 1
    end
    known[name] = true
  end
end
os.exit(bad == 0)
LUA
if [ $sanitized = 0 ]; then
    "$mls" lua "$dir/names.lua" --plugin-path "$dir/leaky.so" "$source/README.md" "$source"/docs/*.md
    result $? "every mls.name in the pages exists"
fi

# The page for authors has every function that plugin.h offers them.
missing=$(sed -n '/^typedef struct mls_host/,/^} mls_host/s/.*(\*\([a-z_]*\))(.*/\1/p' \
    "$source/framework/include/mls/plugin.h" | grep -v -e body | while read -r name; do
    sed -n '/^## Host operations/,$p' "$source/docs/authoring.md" | grep -q "\`$name\`" || echo "$name"
done)
[ -z "$missing" ]
result $? "docs/authoring.md has every host operation $(echo $missing)"
echo "1..$n"
