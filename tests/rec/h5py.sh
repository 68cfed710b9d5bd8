#!/bin/sh
# The session of docs/analysis.md on a small recording, and SONATA's report as h5py sees it.
set -u
source=${MLS_SOURCE:-.}
mls=${MLS_BUILD:-.}/mls
python=
for p in python3 /usr/bin/python3; do
    "$p" -c 'import h5py' 2>/dev/null && { python=$p; break; }
done
[ -n "$python" ] || { echo "1..0 # SKIP python3 with h5py is absent"; exit 0; }
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
n=0
check() { # 1 = status of what was asked, 2 = what
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"; sed 's/^/# /' "$dir/out" "$dir/err" | tail -n 12; fi
}

cat >"$dir/c.yaml" <<'X'
task: { component: task.delayed_copy, length: 32, delay: 4, training: 64, validation: 8, test: 8 }
network: { mode: parallel, width: 16, layers: 1 }
train: { steps: 10, batch: 4, evaluate_every: 10 }
step_ms: 0.5
record:
  - { selector: enc.spikes, every: 5, samples: 1 }
  - { selector: "liq.[ot]*", every: 5, samples: 1, report: true }
  - { selector: fuse.gate, every: 5, samples: 1 }
X
"$mls" train "$dir/c.yaml" --out "$dir/t" --quiet >"$dir/out" 2>"$dir/err"; check $? "a recording with a step of 0.5 ms"
awk '/^```python/ { on = 1; next } /^```/ { on = 0 } on' "$source/docs/analysis.md" >"$dir/session.py"
lines=$(wc -l <"$dir/session.py")
[ "$lines" -ge 8 ] && [ "$lines" -le 15 ]; check $? "the session has at most 15 lines"
picture=1
"$python" -c 'import matplotlib' 2>/dev/null || {
    picture=0; sed -i '/^import matplotlib/,$d' "$dir/session.py"; }
(cd "$dir/t" && MPLCONFIGDIR=$dir MPLBACKEND=Agg "$python" "$dir/session.py") >"$dir/out" 2>"$dir/err" &&
    grep -q '^training step 10: [1-9][0-9]* spikes of .* ms$' "$dir/out" &&
    grep -q '^liq.out: 2 record, 32 step ms, 1 sample, 16 unit; ' "$dir/out" &&
    grep -q '^fuse.gate: ' "$dir/out"
check $? "it prints spikes and states with names and units"
if [ "$picture" -eq 1 ]; then
    [ -s "$dir/t/raster.png" ]; check $? "and draws the spikes"
else
    n=$((n + 1)); echo "ok $n - and draws the spikes # SKIP no matplotlib"
fi

cat >"$dir/report.py" <<'X'
import h5py, numpy as np, sys
f = h5py.File(sys.argv[1])
assert f.attrs["step_ms"] == 0.5 and "step_ms: 0.5" in f["config"][()].decode()
s = f["spikes/layer0.enc.spikes"]
assert (s["timestamps"][:] == 0.5 * s["step"][:]).all()
g, d = f["report/layer0.liq.tau"], f["states/layer0.liq.tau"]
m = g["mapping"]
assert sorted(f["report"]) == ["layer0.liq.out", "layer0.liq.tau"]
assert g["data"].dtype == np.float32 and g["data"].shape == (32, 16)
assert (g["data"][:] == d[-1, :, 0]).all() and g["data"].attrs["train_step"] == 10
assert g["data"].attrs["units"] == d.attrs["units"]
assert [a.label for a in g["data"].dims] == ["time", "element"]
assert m["node_ids"].dtype == np.uint64 and (m["node_ids"][:] == np.arange(16)).all()
assert (m["index_pointers"][:] == np.arange(17)).all()
assert m["element_ids"].dtype == np.uint32 and (m["element_ids"][:] == 0).all()
assert m["time"][:].tolist() == [0.0, 16.0, 0.5] and m["time"].attrs["units"] == "ms"
X
"$python" "$dir/report.py" "$dir/t/record.h5" >"$dir/out" 2>"$dir/err"; check $? "/report as SONATA wants it, times in steps of 0.5 ms"
"$mls" recover "$dir/t/record.h5" -o "$dir/r.h5" >"$dir/out" 2>"$dir/err" &&
    "$python" "$dir/report.py" "$dir/r.h5" >"$dir/out" 2>"$dir/err"; check $? "and after mls recover"
echo "1..$n"
