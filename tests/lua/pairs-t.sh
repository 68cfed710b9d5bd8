#!/bin/sh
# A study with a budget: every variant is compared with the baseline that differs in
# `against` alone, whatever widths the budget found; the plan knows the steps.
out=$(mktemp -d "${TMPDIR:-/tmp}/mls-pairs-XXXXXX") || exit 99
trap 'rm -rf "$out"' EXIT
mls=$MLS_BUILD/mls
n=0

say () {                                    # say STATUS NAME
  n=$((n + 1))
  if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}

cat > "$out/pairs.lua" <<'END'
local mls = require "mls"
local function network (p)
  local net = mls.network { width = p.width or 16, layers = 1, norm = p.norm }
  if p.half == "mamba" then net.n = mls.mixer.mamba { state = 4 }
  else net.n = mls.liquid.cfc { backbone_units = 8 } end
  net:wire "input -> n -> output"
  return net
end
return mls.study {
  name = "pairs", network = network,
  task = mls.task.delayed_copy { length = 16, symbols = 4, delay = 2, training = 64,
                                 validation = 16 },
  vary = { half = { "liquid", "mamba" }, norm = { "rms", "layer" } },
  budget = { parameters = 4000, step = 2, tolerance = 0.2 },
  seeds = 2, train = { epochs = 1, batch = 8, accumulate = 2 },
  compare = { by = "loss", against = { half = "liquid" } },
  smoke = { timeout = 0.001 },
}
END
"$mls" check "$out/pairs.lua" > "$out/plan" 2>&1
test "$(awk '/half=/ { print $6 }' "$out/plan" | sort -u)" = 4
say $? "the plan counts steps as the training does: epochs, batches, accumulation"

"$mls" run "$out/pairs.lua" -j2 --results "$out" > "$out/table" 2>&1
say $? "the study runs"
awk -F, '/^variant/ { mean[$2] = $4; far[$2] = $6 }
  END { for (i in far) if (i ~ /mamba/) {
          n++; j = i; sub(/mamba/, "liquid", j)
          d = far[i] - (mean[i] - mean[j]); if (d > 1e-6 || d < -1e-6) exit 1 }
        exit n != 2 }' "$out/pairs/table.csv"
say $? "each variant is compared with its own baseline"

"$mls" run "$out/pairs.lua" --smoke --results "$out" > "$out/table" 2>&1
grep -q "timeout after" "$out/table"
say $? "--smoke takes its own timeout"
echo "1..$n"
