#!/bin/sh
# mls recover on what a killed trial left, and the settings that a record takes.
set -u
mls=${MLS_BUILD:-.}/mls
dir=$(mktemp -d) || exit 99
trap 'rm -rf "$dir"' EXIT
n=0
check() { # 1 = status of what was asked, 2 = what
    n=$((n + 1))
    if [ "$1" -eq 0 ]; then echo "ok $n - $2"; else
        echo "not ok $n - $2"; sed 's/^/# /' "$dir/out" "$dir/err" | head -n 12; fi
}
gives() { # 1 = status, 2 = text on stderr, 3... = command
    want=$1; text=$2; shift 2
    "$@" >"$dir/out" 2>"$dir/err"
    [ $? -eq "$want" ] && grep -qF -e "$text" "$dir/err" && ! grep -q h5clear "$dir/out" "$dir/err"
}

cat >"$dir/c.yaml" <<'X'
task: { component: task.delayed_copy, length: 16, delay: 4, training: 64, validation: 8, test: 8 }
network: { mode: sequential, width: 16, layers: 1 }
train: { steps: 100000, batch: 4, checkpoint_every: 5, evaluate_every: 50 }
record: [{ selector: enc.spikes, every: 5 }, { selector: liq.tau, every: 5, samples: 1, report: true }]
X
"$mls" train "$dir/c.yaml" --out "$dir/a" --quiet >"$dir/out" 2>"$dir/err" & pid=$!
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    ls "$dir"/a/checkpoint-[1-9]*.h5 >"$dir/out" 2>&1 && break; sleep 0.2
done
kill -9 $pid 2>"$dir/err"; wait $pid 2>"$dir/err"
part=$dir/a/record.h5.part
before=$(cksum <"$part")
"$mls" recover "$part" -o "$dir/new.h5" >"$dir/out" 2>"$dir/err" &&
    grep -q "new.h5: 2 channels and [1-9][0-9]* metrics up to training step [1-9]" "$dir/out" &&
    grep -q "record.h5.part is as it was" "$dir/out"
check $? "a killed trial's recording is recovered"
[ "$before" = "$(cksum <"$part")" ]; check $? "the original is untouched"
[ -z "$(find "$dir" -maxdepth 1 -name '*.new')" ]; check $? "no temporary file is left"
"$mls" recover "$dir/new.h5" -o "$dir/twice.h5" >"$dir/out" 2>"$dir/err"
check $? "what was recovered is a recording"
gives 1 "exists already" "$mls" recover "$part" -o "$dir/new.h5"; check $? "nothing is written over"
gives 1 "never written" "$mls" recover "$part" -o "$part"; check $? "nor is the original"
gives 2 "-o NEW.h5 is missing" "$mls" recover "$part"; check $? "-o is asked for"
gives 2 "FILE.part is missing" "$mls" recover -o "$dir/x.h5"; check $? "so is the file"
gives 1 "No such file" "$mls" recover "$dir/none.part" -o "$dir/x.h5"; check $? "an absent file"
gives 1 "No such file" "$mls" recover "$part" -o "$dir/none/x.h5"; check $? "an absent folder"
gives 1 "must be mls-record" "$mls" recover "$(ls "$dir"/a/checkpoint-[1-9]*.h5 | head -n 1)" -o "$dir/x.h5"
check $? "a checkpoint is no recording"
head -c 1331 "$part" >"$dir/cut.part"
gives 1 "$dir/cut.part" timeout 60 "$mls" recover "$dir/cut.part" -o "$dir/x.h5"; check $? "a cut file"
head -c 4096 /dev/urandom >"$dir/noise.part"
gives 1 "$dir/noise.part" "$mls" recover "$dir/noise.part" -o "$dir/x.h5" && [ ! -e "$dir/x.h5" ]
check $? "noise"
"$mls" recover --help | grep -q 'mls recover FILE.part -o NEW.h5'; check $? "help names it"
gives 1 "outside 1e-06 to 1000000" "$mls" train "$dir/c.yaml" --set step_ms=0 --out "$dir/b"; check $? "a time step has a length"
gives 1 'on|off' "$mls" train "$dir/c.yaml" --set locking=maybe --out "$dir/b"; check $? "locking is on or off"
"$mls" train "$dir/c.yaml" --set train.steps=5 --set locking=off --out "$dir/l" --quiet >"$dir/out" 2>"$dir/err" &&
    sed -i 's/^locking: .*/locking: "on"/' "$dir/l/config.yaml" &&
    "$mls" train "$dir/l/config.yaml" --out "$dir/l" --quiet >"$dir/out" 2>"$dir/err"
check $? "locking is no part of what a trial is"
"$mls" version >"$dir/out" 2>"$dir/err" && grep -q '^hdf5 1\.' "$dir/out" && grep -q '^lua 5\.' "$dir/out"
check $? "version names the libraries"
echo "1..$n"
