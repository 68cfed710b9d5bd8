#!/bin/sh
# Weights of 8 bits: mls quantize, and eval and generate on what it wrote.
set -u
mls=${MLS_BUILD:-.}/mls
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
n=0
check() { # 1 = status of what was asked, 2 = what
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"; sed 's/^/# /' "$dir/err" "$dir/out" | head -n 12; fi
}
says() { # 1 = text, 2... = command: its stderr must hold the text, its status not be 0
    text=$1; shift
    "$@" >"$dir/out" 2>"$dir/err" && return 1
    grep -qF -e "$text" "$dir/err"
}
i=0
while [ $i -lt 400 ]; do echo "the cat sat on mat $((i % 7)), and so on"; i=$((i + 1)); done >"$dir/text"
cat >"$dir/c.yaml" <<X
task: { component: task.text, path: $dir/text, length: 32 }
network: { mode: sequential, width: 32, layers: 1 }
train: { steps: 40, batch: 8 }
X
"$mls" train "$dir/c.yaml" --out "$dir/a" --quiet >"$dir/out" 2>"$dir/err" &&
    "$mls" quantize "$dir/a" -o "$dir/a/int8.h5" >"$dir/told" 2>"$dir/err"
check $? "a network is rounded"
grep -q '^matrices of 8 bits: [1-9]' "$dir/told" &&
    awk '/^nats:/ { d = $4 - $2; exit !(d < 0.01 && d > -0.01) }' "$dir/told"
check $? "its loss changes by less than 0.01 nats"
awk '/^weights:/ { exit !($5 < 0.45 * $2) }' "$dir/told"; check $? "its weights take less than half"
after=$(awk '/^loss:/ { print $4 }' "$dir/told")
"$mls" eval "$dir/a" --weights "$dir/a/int8.h5" >"$dir/out" 2>"$dir/err" &&
    awk -v a="$after" '/^loss:/ { exit !($2 - a < 1e-5 && a - $2 < 1e-5) }' "$dir/out"
check $? "mls eval --weights finds the loss that was told"
"$mls" eval "$dir/a" >"$dir/whole" 2>"$dir/err" && ! cmp -s "$dir/whole" "$dir/out"
check $? "without it the floats are read"
cp -r "$dir/a" "$dir/b" && rm "$dir/b"/checkpoint-*.h5
"$mls" generate "$dir/b" --weights "$dir/b/int8.h5" --length 50 --temperature 0 >"$dir/out" 2>"$dir/err" &&
    [ "$(wc -c <"$dir/out")" -ge 50 ]; check $? "mls generate needs no checkpoint beside it"
"$mls" quantize "$dir/a" -o "$dir/kept.h5" --keep 'embed*' --keep 'head.*' >"$dir/out" 2>"$dir/err" &&
    [ "$(sed -n 's/^matrices of 8 bits: \([0-9]*\).*/\1/p' "$dir/out")" -lt \
      "$(sed -n 's/^matrices of 8 bits: \([0-9]*\).*/\1/p' "$dir/told")" ]
check $? "--keep leaves matrices as they are"
says "did you mean \"head.weight\"" "$mls" quantize "$dir/a" -o "$dir/x.h5" --keep head.wieght &&
    [ ! -e "$dir/x.h5" ]; check $? "a pattern that nothing has"
says "says what is written" "$mls" quantize "$dir/a"; check $? "no -o"
says "cannot be created" "$mls" quantize "$dir/a" -o "$dir/none/x.h5"; check $? "a folder that is not there"
sed 's/width: 32/width: 48/' "$dir/c.yaml" >"$dir/d.yaml"
"$mls" train "$dir/d.yaml" --set train.steps=1 --out "$dir/d" --quiet >"$dir/out" 2>&1
says "misshapen" "$mls" eval "$dir/d" --weights "$dir/a/int8.h5"; check $? "the file of another network"
head -c 3000 "$dir/a/int8.h5" >"$dir/cut.h5"
says "is damaged" "$mls" eval "$dir/a" --weights "$dir/cut.h5"; check $? "a file that was cut"
best=$dir/a/checkpoint-best.h5
"$mls" eval "$dir/a" --weights "$best" >"$dir/out" 2>"$dir/err" && diff "$dir/out" "$dir/whole" >"$dir/err"
check $? "--weights takes a whole checkpoint too"
echo "1..$n"
