#!/bin/sh
# mls bench: its rows and files.  Nothing here looks at how long anything took.
set -u
mls=${MLS_BUILD:-.}/mls
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
n=0
check() { # 1 = status of what was asked, 2 = what
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"; sed 's/^/# /' "$dir/err" | head -n 12; fi
}
says() { # 1 = text, 2 = status, 3... = command: its stderr must hold the text
    text=$1 want=$2; shift 2
    "$@" >"$dir/out" 2>"$dir/err"
    [ $? -eq "$want" ] && grep -qF -e "$text" "$dir/err"
}
tiny="--steps 8 --batch 2 --width 64 --repeats 2"

"$mls" bench --list >"$dir/list" 2>"$dir/err" && grep -q '^cfc  *component ' "$dir/list" &&
    grep -q '^lm-bidirectional  *training ' "$dir/list" && grep -q '^gemm  *kernel ' "$dir/list"
check $? "the rows are listed, each with its group"
says 'did you mean "mamba"?' 2 "$mls" bench mambo; check $? "a misspelt row"
says 'did you mean --repeats?' 2 "$mls" bench --repeat 3; check $? "a misspelt option"
says 'expected a whole number from 1' 1 "$mls" bench lif --steps 0; check $? "no steps"
says "$dir/none.json" 1 "$mls" bench lif $tiny --compare "$dir/none.json"
check $? "what is compared with must be there before anything is measured"
printf '{"rows": 3}\n' >"$dir/bad.json"
says 'no rows of an mls bench' 1 "$mls" bench lif $tiny --compare "$dir/bad.json"
check $? "a file of something else"

"$mls" bench $tiny --json "$dir/a.json" --ops >"$dir/out" 2>"$dir/err"; check $? "every row runs"
missing=$(while read -r row rest; do grep -q "\"row\": *\"$row\"" "$dir/a.json" || echo "$row"; done <"$dir/list")
[ -z "$missing" ] || echo "not measured: $missing" >"$dir/err"; [ -z "$missing" ]
check $? "and stands in the file"
cat >"$dir/schema.lua" <<'X'
local f = assert (io.open (arg[1]))
local text = f:read "a"
for _, key in ipairs { "command", "isa", "blas", "rates", "rows", "steps", "batch", "width", "threads",
                       "repeats", "seconds", "wall", "cpu", "median", "low", "high", "forward", "backward",
                       "tokens_per_second", "flops", "exps", "bytes", "limit", "saved_bytes_per_token",
                       "peak_bytes", "ops", "calls" } do
  assert (text:find ('"' .. key .. '":', 1, true), "no key " .. key)
end
assert (not text:find "nan" and not text:find "inf", "a number that JSON does not have")
X
"$mls" lua "$dir/schema.lua" "$dir/a.json" >"$dir/out" 2>"$dir/err"; check $? "the file has what --compare and others read"
"$mls" bench cfc mamba $tiny --compare "$dir/a.json" >"$dir/out" 2>"$dir/err" &&
    grep -q 'old / new' "$dir/out" && grep -qE '^cfc +8 +2 +64 ' "$dir/out"
check $? "an earlier run is compared with"
"$mls" bench cfc $tiny --threads 2 --compare "$dir/a.json" >"$dir/out" 2>"$dir/err" &&
    grep -q 'no row of the same sizes and threads' "$dir/out"
check $? "but not with another number of threads"
"$mls" bench mamba $tiny --ops >"$dir/out" 2>"$dir/err" && grep -qE '^mamba +mamba.scan +1 ' "$dir/out" &&
    grep -qE '^mamba +linear +4 ' "$dir/out"
check $? "the ops of a component are its own alone"

# Peers: a script that answers as the real one does.
FAKE_LOG=$dir/log; export FAKE_LOG
fake="--peers /bin/sh --peer-script ${MLS_SOURCE:-.}/tests/cli/peers-fake"
"$mls" bench cfc lm-mamba $tiny $fake --json "$dir/p.json" >"$dir/out" 2>"$dir/err" &&
    grep -qE '^cfc +8 +64 +good +9[.]9 +g +750 ' "$dir/out" && grep -qE '^lm-mamba +8 +64 +good ' "$dir/out" &&
    grep -q 'fake 1.0, torch 9.9; absent, and left out: nothing' "$dir/out"
check $? "a peer stands beside the rows that it has"
grep -qF 'left out: cfc, bad: grad/w is off by 0.5, at most 0.0001 is the same work' "$dir/out" &&
    ! grep -q '"run".*"bad"' "$dir/log" && ! grep -qE '^cfc +8 +64 +bad ' "$dir/out"
check $? "what does not compute the same is told and not timed"
grep -qF 'left out: cfc, broken: peers: it has no such layer' "$dir/out"; check $? "nor what fails"
grep -q '"left_out":' "$dir/p.json" && grep -q '"peer": *"good"' "$dir/p.json"; check $? "the file has both"
[ "$(grep -c '"run".*"cfc".*"good"' "$dir/log")" -eq 2 ]; check $? "a repeat of the peer for each of ours"
says '/nowhere/python' 1 "$mls" bench cfc $tiny --peers /nowhere/python; check $? "no such Python"
says '--peer-script FILE' 1 "$mls" bench cfc $tiny --peers /bin/sh --peer-script /nowhere/peers.py
check $? "no such script"
says 'ended without an answer' 1 "$mls" bench cfc $tiny --peers /bin/true; check $? "a process that ends at once"

# Tables of long sequences, here short.
"$mls" bench lm-mamba lm-bidirectional --growth --generation --million --steps 1024 --width 32 \
    --json "$dir/l.json" --markdown "$dir/l.md" >"$dir/out" 2>"$dir/err"; check $? "tables of long sequences"
[ "$(grep -cE '^(mamba|bidirectional) ' "$dir/out")" -eq 8 ]; check $? "a line for each model and length"
for key in growth generation million 'remat MiB' 'bytes of state' 'at 1000' 'tokens/s at last' nats; do
    grep -qF "\"$key\":" "$dir/l.json" || { echo "no $key" >"$dir/err"; break; }
done && grep -q '^| mode |' "$dir/l.md" && grep -q '^|---|' "$dir/l.md" && grep -q '^`.*bench lm-mamba' "$dir/l.md"
check $? "in the file and as Markdown"
awk '$1 == "mamba" && $2 ~ /^[0-9,]+$/ && $3 == "1" { gsub(",", "", $5); b[++n] = $5 + 0 }
    END { exit !(n == 2 && b[2] < 1.3 * b[1]) }' "$dir/out"; check $? "memory grows with the length and no faster"
says 'are of models' 1 "$mls" bench cfc --growth; check $? "a component has no such table"

# The real one, where its Python is.
python=${MLS_PEERS:-python3}
if "$python" -c 'import torch, h5py' >/dev/null 2>&1; then
    "$mls" bench scan lif cfc ltc mamba attention lm-bidirectional lm-attention --steps 40 --batch 2 --width 64 \
        --repeats 1 --peers "$python" --peer-script "${MLS_SOURCE:-.}/scripts/bench/peers.py" \
        >"$dir/out" 2>"$dir/err" && ! grep -q '^left out' "$dir/out" &&
        [ "$(grep -cE '^[a-z-]+ +40 +64 +best ' "$dir/out")" -eq 8 ]
    status=$?; [ $status -eq 0 ] || cat "$dir/out" >>"$dir/err"
    check $status "PyTorch has the same outputs and gradients"
else
    n=$((n + 1)); echo "ok $n - PyTorch has the same outputs and gradients # SKIP no torch and h5py in $python"
fi
echo "1..$n"
