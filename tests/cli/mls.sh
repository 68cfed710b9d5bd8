#!/bin/sh
# The command line as a user meets it: training, resuming, evaluating, generating, errors.
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
says() { # 1 = text, 2... = command: its stderr must hold the text, its status not be 0
    text=$1; shift
    "$@" >"$dir/out" 2>"$dir/err" && return 1
    grep -qF -e "$text" "$dir/err"
}
status() { # 1 = status, 2... = command
    want=$1; shift
    "$@" >"$dir/out" 2>"$dir/err"
    [ $? -eq "$want" ]
}

cat >"$dir/c.yaml" <<'X'
task: { component: task.delayed_copy, length: 32, delay: 4, training: 64, validation: 8, test: 8 }
network: { mode: bidirectional, width: 16, layers: 1, dropout: 0.1, chunk: 8 }
train: { steps: 30, batch: 4, checkpoint_every: 5, evaluate_every: 10 }
record: [enc.spikes]
X
"$mls" train "$dir/c.yaml" --out "$dir/a" --quiet >"$dir/out" 2>"$dir/err"; check $? "a training ends"
ls "$dir/a" | tr '\n' ' ' >"$dir/err"
[ "$(cat "$dir/err")" = "checkpoint-25.h5 checkpoint-30.h5 checkpoint-best.h5 config.yaml log.txt metrics.jsonl record.h5 result.yaml " ]
check $? "its folder holds what it should"
grep -q '^tokens_per_second: [1-9]' "$dir/a/result.yaml" && grep -q '^spike_rate: 0\.' "$dir/a/result.yaml" &&
    grep -q '^peak_memory: [1-9]' "$dir/a/result.yaml"; check $? "the result has speed, memory and spikes"
[ "$(grep -c '"crc32"' "$dir/a/metrics.jsonl")" -eq 34 ]; check $? "metrics: 30 steps, 3 evaluations, the test"
before=$(cksum "$dir/a/result.yaml")
"$mls" train "$dir/c.yaml" --out "$dir/a" --quiet >"$dir/out" 2>"$dir/err" &&
    [ "$before" = "$(cksum "$dir/a/result.yaml")" ]; check $? "what is complete is not run again"
"$mls" train "$dir/a/config.yaml" --out "$dir/b" --threads 2 --quiet >"$dir/out" 2>"$dir/err" &&
    cmp "$dir/a/metrics.jsonl" "$dir/b/metrics.jsonl" >>"$dir/err"
check $? "the resolved configuration and 2 threads give the same metrics"
mkdir "$dir/t"; cp "$dir/c.yaml" "$dir/t/config.yaml"
printf 'x\n' >"$dir/err"
"$mls" trial "$dir/t" 2>"$dir/err" | head -n 1 >"$dir/out"
grep -q '^{"step":[0-9]*,"steps":30,"loss":' "$dir/out"; check $? "a trial tells its progress as JSON"
for at in 1 2 3; do
    "$mls" train "$dir/c.yaml" --out "$dir/k" --quiet >"$dir/out" 2>&1 & pid=$!
    sleep "0.$at"; kill -9 $pid 2>/dev/null; wait $pid 2>/dev/null
done
"$mls" train "$dir/c.yaml" --out "$dir/k" --quiet >"$dir/out" 2>"$dir/err" &&
    cmp "$dir/a/metrics.jsonl" "$dir/k/metrics.jsonl" >>"$dir/err"
check $? "killed three times and resumed: the same metrics"
"$mls" train "$dir/c.yaml" --precision mixed --out "$dir/m" --quiet >"$dir/out" 2>"$dir/err" &&
    ! cmp -s "$dir/a/metrics.jsonl" "$dir/m/metrics.jsonl" && cp -r "$dir/m" "$dir/n" &&
    rm "$dir/n/result.yaml" "$dir/n/checkpoint-30.h5" &&
    "$mls" train "$dir/c.yaml" --precision mixed --out "$dir/n" --quiet >"$dir/out" 2>"$dir/err" &&
    cmp "$dir/m/metrics.jsonl" "$dir/n/metrics.jsonl" >>"$dir/err" &&
    "$mls" eval "$dir/n" >"$dir/out" 2>"$dir/err"
check $? "mixed precision resumed from a file: the same metrics"
says 'is not one of float32|mixed; did you mean "mixed"?' \
    "$mls" train "$dir/c.yaml" --precision mixt --out "$dir/m" --quiet
check $? "the nearest precision is named"
"$mls" train "$dir/c.yaml" --set train.steps=100000 --out "$dir/i" --quiet >"$dir/out" 2>"$dir/err" & pid=$!
for i in $(seq 100); do [ -e "$dir/i/metrics.jsonl" ] && break; sleep 0.1; done
sleep 0.5; kill -TERM $pid; wait $pid; [ $? -eq 130 ] && ls "$dir/i"/checkpoint-*.h5 >/dev/null
check $? "a signal leaves a checkpoint and status 130"
says "belongs to another configuration" "$mls" train "$dir/c.yaml" --out "$dir/i" --quiet
check $? "another configuration does not continue it"
"$mls" eval "$dir/a" >"$dir/out" 2>"$dir/err" && grep -q '^accuracy: 0\.' "$dir/out"; check $? "eval"
says "only networks trained on a text task" "$mls" generate "$dir/a"; check $? "generate needs a text"
yes 'the quick brown fox jumps over the lazy dog' | head -n 200 >"$dir/x.txt"
"$mls" train --task llm --data "$dir/x.txt" --integration-mode sequential --hidden-dim 16 --num-layers 1 \
    --sequence-length 32 --steps 20 --out "$dir/g" --quiet >"$dir/out" 2>"$dir/err" &&
    "$mls" generate "$dir/g" --prompt 'the ' --length 20 --seed 4 >"$dir/one" 2>"$dir/err" &&
    "$mls" generate "$dir/g" --prompt 'the ' --length 20 --seed 4 >"$dir/two" 2>"$dir/err" &&
    cmp "$dir/one" "$dir/two" && [ "$(wc -c <"$dir/one")" -eq 25 ]
check $? "a text is learned and generated, twice the same"
says 'does not occur in the text' "$mls" generate "$dir/g" --prompt 'Z'; check $? "a strange prompt is refused"
says 'did you mean --batch-size?' "$mls" train "$dir/c.yaml" --batchsize 3; check $? "a misspelt option"
says 'did you mean "mls train"?' "$mls" trian; check $? "a misspelt verb"
says 'did you mean "liquid.cfc"?' "$mls" train "$dir/c.yaml" --liquid-backbone cfd; check $? "a misspelt component"
says 'did you mean "threshold"?' "$mls" train "$dir/c.yaml" --set network.nodes.enc.treshold=2
check $? "a misspelt option of a component"
says 'output_dim is 3, but task.delayed_copy has 8 outputs' "$mls" train "$dir/c.yaml" --output-dim 3
check $? "output_dim must fit the task"
printf 'task: text\nnetwork:\n  widht: 3\n' >"$dir/bad.yaml"
says "$(printf '  widht: 3\n    ^')" "$mls" train "$dir/bad.yaml"; check $? "a mistake is shown in its line"
printf 'task: {component: task.text, path: /nowhere}\n' >"$dir/bad.yaml"
says "/nowhere" "$mls" train "$dir/bad.yaml" --out "$dir/z"; check $? "a missing data file is named"
printf 'name: ../z\ntask: {component: task.delayed_copy}\n' >"$dir/bad.yaml"
says 'as the name of a folder' "$mls" train "$dir/bad.yaml"; check $? "a name is no path"
tiny="--task llm --data $dir/x.txt --hidden-dim 16 --num-layers 1 --sequence-length 32 --steps 2 --quiet"
says 'task.order is random' "$mls" train $tiny --out "$dir/y" --set train.carry=true &&
    status 0 "$mls" train $tiny --out "$dir/y" --set train.carry=true --set task.order=contiguous
check $? "states are carried over contiguous text only"
says 'would see the next character' "$mls" train $tiny --out "$dir/w" --integration-mode attention \
    --set network.nodes.att.bidirectional=true
check $? "no network may read the text that it predicts"
status 2 "$mls" eval; check $? "wrong usage is status 2"
status 1 "$mls" eval "$dir/nothing"; check $? "a failure is status 1"
status 0 "$mls" help && status 0 "$mls" help train && status 0 "$mls" import idx --help && status 0 "$mls" help encoder.lif &&
    status 0 "$mls" help modes && status 0 "$mls" list liquid && status 0 "$mls" version; check $? "help"
"$mls" list | sed 's/ .*//' >"$dir/names"
"$mls" help >"$dir/help"
while read -r name; do grep -q "^  $name  *[^ ]" "$dir/help" || echo "$name"; done <"$dir/names" >"$dir/missing"
[ -s "$dir/names" ] && [ ! -s "$dir/missing" ]; check $? "help names every component in one line"
dd if=/dev/zero of="$dir/k/checkpoint-30.h5" bs=1 seek=3000 count=64 conv=notrunc 2>/dev/null
rm "$dir/k/result.yaml"
"$mls" train "$dir/c.yaml" --out "$dir/k" --quiet >"$dir/out" 2>"$dir/err" &&
    cmp "$dir/a/metrics.jsonl" "$dir/k/metrics.jsonl" >>"$dir/err" && grep -q 'older one' "$dir/k/log.txt"
check $? "a damaged checkpoint is passed over for an older one"
echo "1..$n"
