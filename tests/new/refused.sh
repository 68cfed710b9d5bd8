#!/bin/sh
# mls new writes what it says, or says why not and leaves everything as it was.
set -u
mls=${MLS_BUILD:-.}/mls
dir=$(mktemp -d "${TMPDIR:-/tmp}/mls-new-XXXXXX") || exit 99
trap 'chmod -R u+w "$dir"; rm -rf "$dir"' EXIT
XDG_DATA_HOME=$dir/data
export XDG_DATA_HOME
cd "$dir" || exit 99
n=0
check() { # 1 = status of what was asked, 2 = what
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"; sed 's/^/# /' "$dir/err" | head -n 12; fi
}
says() { # 1 = text, 2... = words of mls new: its stderr must hold the text, and nothing be made
    text=$1; shift
    before=$(find . -path ./err -o -path ./out -o -print | sort | cksum)
    "$mls" new "$@" >out 2>err && return 1
    [ "$before" = "$(find . -path ./err -o -path ./out -o -print | sort | cksum)" ] || return 1
    grep -qF -e "$text" err
}

"$mls" new --help >out 2>err && grep -q 'KIND NAME' out; check $? "mls new --help"
says 'expected mls new KIND NAME' liquid; check $? "a name is missing"
says 'expected mls new KIND NAME' liquid a b c; check $? "one word too many"
says 'did you mean "liquid"' liqiud leaky; check $? "the nearest kind is named"
says '"my_leaky"' liquid My_Leaky 2>/dev/null || says 'lower-case' liquid My_Leaky
check $? "capitals are refused, and a name that could be is told"
for bad in 2fast _x '' 'a b' 'a/b' ../up a-b 'é' aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; do
    says 'cannot be the name of a component' liquid "$bad"; check $? "refused: \"$bad\""
done
for bad in int while end nil; do
    says 'a word of C or Lua' liquid $bad; check $? "refused: $bad"
done
says 'liquid/cfc.so' liquid cfc; check $? "a name that is taken, with the file that has it"

mkdir full && echo mine >full/notes
says 'it holds "notes"' liquid leaky full; check $? "a folder that is not empty"
echo mine >file
says 'is no folder' liquid leaky file; check $? "a file in its place"
says 'No such file' liquid leaky no/such/folder; check $? "a folder in no folder"
mkdir empty && "$mls" new liquid leaky empty >out 2>err && [ -f empty/leaky.c ]
check $? "an empty folder will do"
says 'it holds' liquid leaky empty; check $? "but not twice"
[ -z "$(grep -l '@[A-Z]*@' empty/* empty/.gitignore)" ]; check $? "no mark is left in the files"
(ulimit -f 2; trap '' XFSZ; "$mls" new liquid half >out 2>err)
[ $? -ne 0 ] && grep -q 'cannot be written' err && [ ! -e half ]
check $? "a write that fails leaves nothing behind"
echo "1..$n"
