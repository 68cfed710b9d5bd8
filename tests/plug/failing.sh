#!/bin/sh
# A study with a component that crashes, one that never ends and one that gives NaN: the
# run ends, the good variant has its numbers, each of the others a row that says why not.
set -u
mls=${MLS_BUILD:-.}/mls
plugins=${MLS_BUILD:-.}/tests/plug
dir=$(mktemp -d "${TMPDIR:-/tmp}/mls-failing-XXXXXX") || exit 99
trap 'rm -rf "$dir"' EXIT
n=0
check() { # 1 = status of what was asked, 2 = what, 3 = the file to show if not
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"
        sed 's/^/# /' "$dir/${3:-out}" "$dir/err"
    fi
}
row() { # 1 = variant, 2 = what its row of the table must hold
    grep -qE "mix=$1\b.*$2" "$dir/$3"
}

cat >"$dir/failing.lua" <<'L'
local mls = require "mls"
local part = { good = mls.mixer.identity {}, segfault = mls.mixer.segfault { from = 4 },
               forever = mls.mixer.forever { from = 3 }, nan = mls.mixer.nan { from = 7 },
               unsure = mls.mixer.nan { from = 13 } }
return mls.study {
  name    = "failing",
  task    = mls.task.delayed_copy { length = 16, delay = 1, training = 64, validation = 8,
                                    test = 8 },
  network = function (p)
    local net = mls.network { width = 8, layers = 1, mix = part[p.mix] }
    net:wire "input -> mix -> output"
    return net
  end,
  vary    = { mix = { "good", "segfault", "forever", "nan", "unsure" } },
  seeds   = 1,
  train   = { optimiser = mls.optimiser.adamw { lr = 1e-3 }, steps = 12, batch = 4,
              evaluate_every = 12 },
  measure = { "loss", "accuracy" },
  compare = { by = "loss", against = { mix = "good" } },
  timeout = 2,
}
L
three=$plugins/segfault.so:$plugins/forever.so:$plugins/nan.so
timeout 100 "$mls" run "$dir/failing.lua" -j2 --results "$dir/results" \
    --plugin-path "$three" >"$dir/out" 2>"$dir/err"
[ $? -eq 1 ]; check $? "the run ends, and its status says that trials failed"
table=results/failing/table.csv
row good '",1,[0-9]\.[0-9]+.*,0\.[0-9]+,' $table && row good '[0-9]\.[0-9]' out
check $? "the good variant has numbers"
row segfault 'crashed: SIGSEGV in layer0\.mix segfault\.copy forward, step 4' $table
check $? "the crash names signal, component, op and step"
row forever 'timeout after 2 s in layer0\.mix forever\.copy forward, step 3' $table
check $? "the endless one names the time and the step"
row nan 'step 7: the loss is NaN: output 0 of op nan\.copy in node layer0\.mix is NaN' $table
check $? "NaN names tensor, node and step"
row unsure 'step 12: the loss of an evaluation is not finite: output 0 of op nan\.copy in node layer0\.mix' $table
check $? "so does NaN in an evaluation"
grep -q 'SIGSEGV in layer0.mix' "$dir/out" && grep -q 'timeout after 2 s in layer0.mix' "$dir/out" &&
    grep -q 'op nan.copy in node layer0.mix' "$dir/out"
check $? "the printed table has the same reasons"
[ "$(find "$dir/results/failing" -name result.yaml | wc -l)" -eq 1 ]
check $? "one trial has a result"

good=$(dirname "$(find "$dir/results/failing" -name result.yaml)")
before=$(cksum "$good/result.yaml" "$good/metrics.jsonl" "$good/log.txt")
started=$(grep -c '"leased"' "$dir/results/failing/journal.jsonl")
timeout 100 "$mls" run "$dir/failing.lua" -j2 --results "$dir/results" \
    --plugin-path "$three" >"$dir/out2" 2>"$dir/err"
[ $? -eq 1 ] && [ "$before" = "$(cksum "$good/result.yaml" "$good/metrics.jsonl" "$good/log.txt")" ]
check $? "a second run leaves the good one alone"
again=$(grep -c '"leased"' "$dir/results/failing/journal.jsonl")
[ "$started" -eq 5 ] && [ $((again - started)) -eq 4 ]
check $? "a second run starts the four others again"
row good '[0-9]\.[0-9]' $table && row forever 'timeout after 2 s' $table
check $? "the table is as before"

"$mls" run "$dir/failing.lua" --results "$dir/r2" >"$dir/out2" 2>"$dir/err"
[ $? -eq 1 ] && grep -q 'segfault' "$dir/err"
check $? "without the plugins the missing component is named"
"$mls" run "$dir/failing.lua" --plugin-path "$dir/nothing" >"$dir/out2" 2>"$dir/err"
[ $? -ne 0 ] && grep -q "plugin path $dir/nothing: no such file or folder" "$dir/err"
check $? "a plugin path that is not there is named"
echo "1..$n"
