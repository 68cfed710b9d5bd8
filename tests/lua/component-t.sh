#!/bin/sh
# A study whose components are written in Lua: trained, recorded, evaluated, run again.
out=$(mktemp -d "${TMPDIR:-/tmp}/mls-component-XXXXXX") || exit 99
trap 'rm -rf "$out"' EXIT
mls=$MLS_BUILD/mls
n=0
mkdir "$out/parts"
cd "$out" || exit 99

say () {                                    # say STATUS NAME
  n=$((n + 1))
  if [ "$1" = 0 ]; then echo "ok $n - $2"; else
    echo "not ok $n - $2"; tail -n 30 text err | sed 's/^/# /'; fi
}

cat > parts/gate.lua <<'END'
local mls = require "mls"
mls.component { kind = "liquid", name = "other", forward = function (c, x) return x end }
return mls.component {
  kind = "fusion", name = "my_gate", help = "a gate",
  options = { gain = { 1.0, min = 0.1, max = 10, help = "slope" } },
  setup = function (c)
    local n = c:width "a"
    c.wa, c.wb, c.bias = c:weight("a", n, n), c:weight("b", n, n), c:weight("bias", 1, n, "zeros")
  end,
  forward = function (c, a, b)
    local g = c:sigmoid((c:linear(a, c.wa, c.bias) + c:linear(b, c.wb)) * c.gain)
    c:tap("gate", g, nil, "share of a")
    return g * a + (1 - g) * b
  end,
}
END
cat > study.lua <<'END'
local mls = require "mls"
local gate = require "parts.gate"
return mls.study {
  name = "lua",
  network = function (p)
    return mls.modes.bidirectional { width = 8, layers = 2, chunk = 4,
      liquid = mls.liquid.cfc {}, mixer = mls.mixer.mamba {},
      fusion = p.lua and gate { gain = 2.0 } or mls.fusion.my_gate {} }
  end,
  vary = { lua = { true, false } },
  task = mls.task.delayed_copy { length = 16, delay = 2, training = 16, validation = 8, test = 8 },
  train = { steps = 4, batch = 4 },
  record = { "fuse.gate" },
  seeds = { 1 },
}
END
run () { "$mls" run study.lua > text 2> err; }
trials () { grep -c '"event":"done"' results/lua/journal.jsonl; }

run
say $? "a study with a gate in Lua runs"
dir=$(dirname "$(ls results/lua/*/lua/main | head -n 1)")
test -s "$dir/study.lua" && test -s "$dir/parts/gate.lua"
say $? "a trial keeps its Lua files"
dir=$(dirname "$dir")
grep -q 'layer1.fuse.gate' "$dir/record.h5"
say $? "its tap is recorded"

mkdir away && mv study.lua parts away
"$mls" eval "$dir" > text 2> err && grep -q '^loss: ' text
say $? "mls eval finds the component without the study"

echo "print(require('mls').load('$dir'))" > script.lua
"$mls" lua script.lua > text 2> err && grep -q '16560 parameters' text
say $? "a script opens the trial without the study"
mv away/* . && rmdir away

before=$(trials)
sed -i 's/seeds = { 1 }/seeds = { 1, 2 }/' study.lua
sed -i '1s/^/-- a comment\n/' parts/gate.lua
run && test "$(trials)" = $((before + 2))
say $? "another seed and a comment run two trials, not four"

sed -i 's/(1 - g) \* b/(1 - g) * b * 1/' parts/gate.lua
run && test "$(trials)" = $((before + 6))
say $? "an edit of forward runs all four again"

sed -i 's/^    c:tap(.*/& if pcall(a.get, a, 0, 0, 0) then error "numbers" end/' parts/gate.lua
! run && grep -q 'layer0.fuse: gate.lua:13: numbers' text
say $? "an error in a trial names node, file and line"

sed -i 's/if pcall.*/local x = nil; x()/' parts/gate.lua
! run && grep -q 'layer0.fuse: gate.lua:13: attempt to call a nil value' err
say $? "an error that needs no numbers is found before the first trial"

echo "1..$n"
