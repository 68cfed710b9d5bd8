#!/bin/sh
# Components inside of components, as users meet them: settings and their errors, names in
# mls trace and recordings, a trial's identity, and what a text task refuses.
set -u
mls=${MLS_BUILD:-.}/mls
source=${MLS_SOURCE:-.}
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
n=0
check() { # 1 = status of what was asked, 2 = what
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"; sed 's/^/# /' "$dir/said" | tail -n 20; fi
}
said() { # 1 = what, 2... = lines of the last output
    what=$1; shift
    for line; do
        grep -qF -e "$line" "$dir/said" && continue
        echo "lacks: $line" >>"$dir/said"; check 1 "$what"; return
    done
    check 0 "$what"
}

"$mls" trace 'mixer.moe{experts={liquid.cfc{backbone_units=3}, mixer.mlp{ratio=1}}}' \
    --width 4 --list >"$dir/said" 2>&1
said "trace names the weights, states and taps of parts" "state/expert0.h " \
    "weight/expert1.up.weight                 [4][4]" "tap/expert1.hidden " "tap/load " \
    "weight/expert0.backbone.0.weight         [3][8]"
"$mls" help mixer.bidirectional >"$dir/said" 2>&1
said "help tells of the option and of the parts" "part             mixer.mamba" "forward.A_log" \
    "backward.ssm"

cat >"$dir/moe.yaml" <<'Y'
task: { component: task.delayed_copy, length: 16, delay: 2, training: 64, validation: 16, test: 16 }
network:
  width: 8
  layers: 1
  nodes:
    m: { component: mixer.moe, experts: [mixer.mlp, { component: liquid.cfc, backbone_units: 4 }] }
  wire: input -> m -> output
train: { steps: 4, batch: 4 }
record: [m.load, m.expert1.h, m.expert0.hidden]
Y
"$mls" train "$dir/moe.yaml" --out "$dir/a" --quiet --set network.nodes.m.experts.0.ratio=2 \
    --set network.nodes.m.experts.1.backbone_units=6 >"$dir/said" 2>&1 &&
    cp "$dir/a/config.yaml" "$dir/said"
said "--set reaches an option of a part, and all of them are written down" "ratio: 2" \
    "backbone_units: 6" "head_activation: tanh"
"$mls" train "$dir/moe.yaml" --out "$dir/b" --quiet \
    --set network.nodes.m.experts.1.backbone_unts=6 >"$dir/said" 2>&1
said "a misspelt one is suggested" '"backbone_unts"; did you mean "backbone_units"?'
sed 's/liquid.cfc,/liquid.cfcc,/' "$dir/moe.yaml" >"$dir/wrong.yaml"
"$mls" train "$dir/wrong.yaml" --out "$dir/b" --quiet >"$dir/said" 2>&1
said "an unknown component has its place" "wrong.yaml:6:" 'mixer.moe: experts[1]: no component is called "liquid.cfcc"; did you mean "liquid.cfc"?'

cat >"$dir/text.yaml" <<Y
task: { component: task.text, path: $source/docs, length: 32 }
network: { width: 8, layers: 1, nodes: { m: PART }, wire: input -> m -> output }
Y
for part in 'mixer.bidirectional' '{ component: mixer.moe, experts: [mixer.mlp, mixer.bidirectional] }' \
            '{ component: mixer.moe, experts: [mixer.mlp, { component: mixer.attention, bidirectional: true }] }'; do
    sed "s/PART/$part/" "$dir/text.yaml" >"$dir/ahead.yaml"
    "$mls" train "$dir/ahead.yaml" --dry-run >"$dir/said" 2>&1
    said "a text task refuses $part" "is bidirectional: it would see the next character"
done
sed "s/PART/{ component: mixer.moe, experts: [mixer.mlp, mixer.mamba] }/" "$dir/text.yaml" >"$dir/ahead.yaml"
"$mls" train "$dir/ahead.yaml" --dry-run >"$dir/said" 2>&1
check $? "and takes a causal mixture"

# ---- identity
cat >"$dir/mine.lua" <<'L'
local mls = require "mls"
return mls.component { kind = "mixer", name = "mine", help = "A scan.",
  ports = { { "in", "in", "T B n", help = "i" }, { "mask", "in", "T B 1", maybe = true, help = "m" },
            { "out", "out", "T B n", help = "o" } },
  setup = function (c) return { h = c:state ("h", c:width "in", { help = "h" }) } end,
  forward = function (c, x, mask) local a = x:sigmoid () return a:scan ((1 - a) * x, c.h, mask) end }
L
cat >"$dir/study.lua" <<'L'
local mls = require "mls"
require "mine"
return mls.study {
  name = "parts", task = mls.task.delayed_copy { length = 16, symbols = 4, delay = 2 },
  network = function (p)
    return mls.network { width = 8, layers = 1, m = mls.mixer.moe { experts = p.experts } }
      :wire "input -> m -> output"
  end,
  vary = { experts = { { mls.mixer.mlp {}, mls.mixer.mlp {} }, { mls.mixer.mlp {}, mls.mixer.mine {} } } },
  seeds = 1, train = { steps = 4, batch = 4 },
}
L
ids() { "$mls" check "$dir/study.lua" 2>&1 | tee "$dir/said" | sed -n 's/^\([0-9a-f]\{12\}\) .*/\1/p'; }
before=$(ids)
grep -qF 'experts={mixer.mlp,mixer.mine}' "$dir/said"; check $? "a component in Lua is an expert, and named in the table"
sed -i 's/x:sigmoid ()/x:tanh ():sigmoid ()/' "$dir/mine.lua"
after=$(ids)
[ "$(echo "$before" | sed -n 1p)" = "$(echo "$after" | sed -n 1p)" ]
check $? "another file for a part that is not used is the same trial"
[ -n "$before" ] && [ "$(echo "$before" | sed -n 2p)" != "$(echo "$after" | sed -n 2p)" ]
check $? "another file for a part is another trial"
"$mls" run "$dir/study.lua" --results "$dir/results" >"$dir/said" 2>&1; check $? "and the study runs"
echo "1..$n"
