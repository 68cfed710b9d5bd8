#!/bin/sh
# The same training with each family of kernels: another order of additions, the same result.
# No encoder: where a sum lies at the threshold, its last bit decides over a whole spike.
set -u
mls=${MLS_BUILD:-.}/mls
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
cat >"$dir/c.yaml" <<'X'
task: { component: task.delayed_copy, length: 48, delay: 4, training: 64, validation: 8, test: 8 }
network:
  width: 40
  layers: 1
  nodes:
    liq: liquid.cfc
    mix: mixer.mamba
    att: mixer.attention
    fuse: fusion.gate
  wire: input -> liq -> fuse.a; input -> mix -> att -> fuse.b; fuse -> output
train: { steps: 6, batch: 4 }
X
losses() { # 1 = folder: the training loss of each step, one a line
    sed -n 's/.*"loss": *\([0-9.eE+-]*\).*/\1/p' "$dir/$1/metrics.jsonl"
}
echo 1..4
n=0
for isa in plain avx2 avx512; do
    n=$((n + 1))
    if MLS_ISA=$isa "$mls" train "$dir/c.yaml" --out "$dir/$isa" --quiet >"$dir/err" 2>&1 &&
        losses "$isa" >"$dir/$isa.txt" && [ "$(wc -l <"$dir/$isa.txt")" -ge 6 ]; then
        echo "ok $n - $isa: six steps"
    else echo "not ok $n - $isa: six steps"; sed 's/^/# /' "$dir/err"; fi
done
# A CPU without AVX runs its best family for each name, so this holds there too.
if paste "$dir/plain.txt" "$dir/avx2.txt" "$dir/avx512.txt" 2>"$dir/err" |
    awk 'NF != 3 { bad = 1 }
         { for (i = 2; i <= 3; i++) { d = $i - $1; if (d < 0) d = -d; if (d > worst) worst = d } }
         END { print "# largest difference of a loss: " worst + 0; exit bad || !(NR >= 6 && worst < 1e-5) }'
then echo "ok 4 - the losses agree"; else echo "not ok 4 - the losses agree"; fi
