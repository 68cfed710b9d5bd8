#!/bin/sh
# Scripts: what tests/lua/model.lua checks; a loop by hand against mls train; interruption,
# messages, lines typed in.
out=$(mktemp -d "${TMPDIR:-/tmp}/mls-model-XXXXXX") || exit 99
trap 'rm -rf "$out"' EXIT
mls=$MLS_BUILD/mls
here=$MLS_SOURCE/tests/lua

"$mls" lua "$here/model.lua" "$out" > "$out/checks" 2> "$out/err"
status=$?
grep -v '^1\.\.' "$out/checks"
n=$(grep -c '^\(not \)\{0,1\}ok ' "$out/checks")
sed 's/^/# /' "$out/err"

say () {                                    # say STATUS NAME
  n=$((n + 1))
  if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}
say $status "model.lua runs to its end"

# ---- a loop by hand, and mls train -----------------------------------------------------------
cat > "$out/same.yaml" <<'END'
task: { component: task.delayed_copy, length: 16, symbols: 4, delay: 2, training: 64,
        validation: 16 }
network: { mode: sequential, width: 16, layers: 1, dropout: 0.1 }
train: { learning_rate: 0.003, clip: 1, schedule: cosine, warmup_steps: 5, steps: 40, batch: 8 }
END
cat > "$out/same.lua" <<'END'
local mls = require "mls"
local function text (net)
  local all = {}
  for name, w in pairs(net:parameters()) do
    for _, row in ipairs(w:totable()[1]) do
      for _, x in ipairs(row) do name = name .. string.pack("f", x) end
    end
    all[#all + 1] = name
  end
  table.sort(all)
  return table.concat(all)
end
os.exit(text(mls.load(arg[1])) == text(mls.load(arg[2])))
END
example=$MLS_SOURCE/docs/example/by_hand.lua
"$mls" lua "$example" "$out/hand.h5" > "$out/hand" 2>&1
say $? "docs/example/by_hand.lua runs"
"$mls" train "$out/same.yaml" --out "$out/trial" --quiet > "$out/train" 2>&1
"$mls" lua "$out/same.lua" "$out/hand.h5" "$out/trial/checkpoint-40.h5"
say $? "it comes to the weights of mls train, bit by bit"
sed 's/dropout: 0.1/dropout: 0.2/' "$out/same.yaml" > "$out/other.yaml"
"$mls" train "$out/other.yaml" --out "$out/other" --quiet > "$out/train" 2>&1
"$mls" lua "$out/same.lua" "$out/hand.h5" "$out/other/checkpoint-40.h5"
test $? = 1
say $? "and not to those of other settings"
# noise goes by the samples, and a weight changes beside its gradient
cat > "$out/plastic.yaml" <<'END'
task: { component: task.delayed_copy, length: 16, symbols: 4, delay: 2, training: 64,
        validation: 16 }
network: { width: 16, layers: 1, dropout: 0.1, wire: "input -> code -> enc -> output",
           nodes: { code: { component: encoder.rate, gain: 0.5, offset: 0.5 },
                    enc: { component: encoder.lif, threshold: 0.5, plasticity: stdp,
                           plasticity_rate: 0.001 } } }
train: { learning_rate: 0.003, clip: 1, schedule: cosine, warmup_steps: 5, steps: 40, batch: 8 }
END
sed 's/mls.modes.sequential { \(.*\) }, data)/mls.network { \1,\
  code = mls.encoder.rate { gain = 0.5, offset = 0.5 },\
  enc = mls.encoder.lif { threshold = 0.5, plasticity = "stdp", plasticity_rate = 0.001 } }\
  :wire "input -> code -> enc -> output", data)/' "$example" > "$out/plastic.lua"
"$mls" lua "$out/plastic.lua" "$out/plastic.h5" > "$out/hand" 2>&1 &&
  "$mls" train "$out/plastic.yaml" --out "$out/plastic" --quiet > "$out/train" 2>&1 &&
  grep -q '"plasticity":' "$out/plastic/metrics.jsonl" &&
  "$mls" lua "$out/same.lua" "$out/plastic.h5" "$out/plastic/checkpoint-40.h5"
say $? "so it does with plasticity and random spikes"
sed 's/forward(batch)/forward(batch.token)/' "$out/plastic.lua" > "$out/keyless.lua"
"$mls" lua "$out/keyless.lua" "$out/keyless.h5" > "$out/hand" 2>&1 &&
  ! "$mls" lua "$out/same.lua" "$out/plastic.h5" "$out/keyless.h5"
say $? "which the keys of a batch bring along"
test "$(grep -vcE '^ *(--.*)?$' "$example")" -le 25
say $? "its code has at most 25 lines"
printf 'local mls = require "mls"\nlocal net = mls.load(arg[1])\nprint(net:data():batches())' \
  > "$out/folder.lua"
test "$("$mls" lua "$out/folder.lua" "$out/trial")" = 8
say $? "the folder of a trial is loaded with its data"

# ---- interruption: the script itself says when it is ready --------------------------------------
# (in the foreground timeout hands the signal on once; else also to its group, and a second
# SIGINT ends mls without the message)
cat > "$out/long.lua" <<'END'
local mls = require "mls"
local net = mls.build(mls.network { width = 4, layers = 1, n = mls.liquid.cfc {} }
  :wire "input -> n -> output", { steps = 3, input = 1, output = 1, loss = "mse" })
for step in mls.progress(1 << 40, { save = { net, arg[1] .. "/left.h5" } }) do
  if step == 3 then io.open(arg[1] .. "/ready", "w"):close() end
end
print "the script goes on"
END
timeout --foreground -k 5 60 "$mls" lua "$out/long.lua" "$out" > "$out/long" 2> "$out/long.err" &
pid=$!
while [ ! -e "$out/ready" ] && kill -0 $pid 2> /dev/null; do sleep 0.05; done
kill -INT $pid
wait $pid
test $? = 130 && grep -q 'the script goes on' "$out/long" && grep -q 'left.h5 was written' \
  "$out/long.err"
say $? "Ctrl-C ends the loop; the script goes on and its status is 130"
printf 'require("mls").load(arg[1])' > "$out/load.lua"
"$mls" lua "$out/load.lua" "$out/left.h5"
say $? "the checkpoint that was left can be loaded"
rm "$out/ready"
cat > "$out/spin.lua" <<'END'
local function spin ()
  io.open(arg[1] .. "/ready", "w"):close() while true do end
end
spin()
END
timeout --foreground -k 5 60 "$mls" lua "$out/spin.lua" "$out" 2> "$out/spin" &
pid=$!
while [ ! -e "$out/ready" ] && kill -0 $pid 2> /dev/null; do sleep 0.05; done
kill -INT $pid
wait $pid
test $? = 130 && grep -q 'spin.lua:2: interrupted' "$out/spin" &&
  grep -q 'spin.lua:4: in the script' "$out/spin"
say $? "without such a loop it is an error at the script's line"

# ---- messages --------------------------------------------------------------------------------
printf 'local mls = require "mls"\nlocal function f ()\n  mls.tensor { 1 }:slice(5)\nend\nf()\n' \
  > "$out/wrong.lua"
"$mls" lua "$out/wrong.lua" 2> "$out/wrong"
test $? = 1 && grep -q 'wrong.lua:3: slice' "$out/wrong" &&
  grep -q 'wrong.lua:3: in f' "$out/wrong" && grep -q 'wrong.lua:5: in the script' "$out/wrong" &&
  test "$(wc -l < "$out/wrong")" = 4
say $? "a traceback has the script's lines and no others"
"$mls" lua "$out/absent.lua" 2> "$out/wrong"
test $? = 1 && grep -q absent.lua "$out/wrong"
say $? "a script that is not there"
"$mls" lua 2> "$out/wrong"
test $? = 2
say $? "no script at all is a wrong command line"
printf 'local mls = require "mls"\nlocal net = mls.build(1, 2)\n' > "$out/study.lua"
"$mls" check "$out/study.lua" > "$out/wrong" 2>&1
test $? != 0 && grep -q 'study.lua:2: mls.build is for scripts' "$out/wrong"
say $? "a study is told that mls.build is for scripts"

printf 'x = 3\nx + 1\n= x, "y"\nfor i = 1, 2 do\n  print(i * 10)\nend\nnosuch()\nx =\n5\nx\n' |
  "$mls" repl > "$out/repl" 2> "$out/repl.err"
test $? = 0 && printf '4\n3\ty\n10\n20\n5\n' | cmp -s - "$out/repl"
say $? "the repl prints expressions and joins unfinished lines"
grep -q "repl:1: attempt to call a nil value (global 'nosuch')" "$out/repl.err"
say $? "an error does not end it"
echo "1..$n"
