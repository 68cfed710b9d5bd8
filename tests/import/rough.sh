#!/bin/sh
# Real files of every format, whole and then damaged: cut off at many places, of another kind,
# with NaN, too many or too few, folders and unreadable files in their place, and a disk that
# is full.  Whatever the damage, the end is a status of 1, one message that names the file, and
# nothing left; where a shorter file is a right one, a whole output.  The table of it is in the
# log.  Data: MLS_DATA; formats without their data are skipped.  MLS_SLOW: at more places.
set -u
mls="$MLS_BUILD/mls"
data=${MLS_DATA:-../shared/data}
case $data in /*) ;; *) data=$PWD/$data ;; esac
under=${MLS_IMPORT_UNDER:-}                     # "valgrind -q --error-exitcode=99", by hand
dir=$(mktemp -d "${TMPDIR:-/tmp}/mls-rough-XXXXXX") || exit 99
trap 'chmod -R u+rwx "$dir"; rm -rf "$dir"' EXIT
cd "$dir" || exit 99
mkdir out
n=0
cuts='0 7 97 50%' flips=12
[ -n "${MLS_SLOW:-}" ] && cuts='0 1 3 7 11 40 97 25% 50% 75% 99%' flips=60
echo "# | importer | damage | status | message |"
echo "# |---|---|---|---|"

# outcome KIND DAMAGE WORDS...: KIND "must" fail, "may" be right, or be "whole"
outcome() {
    kind=$1 damage=$2; shift 2
    n=$((n + 1))
    $under "$mls" import "$@" -o out/x.h5 >said 2>&1
    status=$?
    left=$(ls -A out)
    good=no
    [ $status = 1 ] && [ -z "$left" ] && [ "$(grep -c '^mls: ' said)" = 1 ] && [ $kind != whole ] &&
        good=yes
    [ $status = 0 ] && [ "$left" = x.h5 ] && [ $kind != must ] && good=yes
    words=$(grep -v '^out/x.h5' said | head -n 1 | cut -c 1-200)
    echo "# | $1 | $damage | $status | $words |"
    if [ $good = yes ]; then echo "ok $n - $1: $damage"; else
        sed 's/^/# /' said; echo "# left: $left"; echo "not ok $n - $1: $damage"; fi
    rm -f out/*
}
skipped() { n=$((n + 1)); echo "ok $n - $1 # SKIP there is no $data/$2"; }

# rough NAME FILE KIND WORDS...: FILE is one of the words, or lies in a folder that is; KIND of
# a file that is cut off; GONE: of one that is not there
rough() {
    name=$1 file=$2 cut=$3; shift 3
    cp "$file" kept
    outcome whole "none" "$name" "$@"
    size=$(wc -c <kept)
    for part in $cuts; do
        case $part in *%) at=$((size * ${part%\%} / 100)) ;; *) at=$part ;; esac
        [ $at -lt $size ] || continue
        head -c "$at" kept >"$file"
        [ "$part" = 0 ] && k=must || k=$cut
        outcome "$k" "cut off after $at of $size bytes" "$name" "$@"
    done
    head -c $((size - 1)) kept >"$file"
    outcome "$cut" "one byte is missing" "$name" "$@"
    { printf 'not of this kind'; tail -c +17 kept; } >"$file"
    outcome must "begins like none of its kind" "$name" "$@"
    head -c 4096 /dev/zero | tr '\0' '\377' >"$file"
    outcome must "4096 bytes of 255" "$name" "$@"
    head -c 4096 /dev/zero >"$file"
    outcome must "4096 bytes of 0" "$name" "$@"
    rm -f "$file"
    outcome "${GONE:-must}" "it is not there" "$name" "$@"
    mkdir "$file"
    outcome must "a folder in its place" "$name" "$@"
    rmdir "$file"
    cp kept "$file"; chmod 000 "$file"
    [ -r "$file" ] || outcome must "not readable" "$name" "$@"
    rm -f "$file"; cp kept "$file"
    n=$((n + 1))
    (ulimit -f 1 && $under "$mls" import "$name" "$@" -o out/x.h5) >said 2>&1
    status=$?
    left=$(ls -A out)
    echo "# | $name | no more room than 1 KiB | $status | $(head -n 1 said | cut -c 1-200) |"
    [ $status = 1 ] && [ -z "$left" ] && [ "$(grep -c '^mls: ' said)" = 1 ] || {
        sed 's/^/# /' said; echo "# left: $left"; printf 'not '; }
    echo "ok $n - $name: no more room than 1 KiB"
    rm -f out/*
}

# ---- idx: the images and labels of MNIST's test, the first 200
if [ -r "$data/mnist/idx/t10k-images-idx3-ubyte.gz" ]; then
    { printf '\0\0\10\3\0\0\0\310\0\0\0\34\0\0\0\34'
      gzip -dc "$data/mnist/idx/t10k-images-idx3-ubyte.gz" | tail -c +17 | head -c 156800; } >images
    { printf '\0\0\10\1\0\0\0\310'
      gzip -dc "$data/mnist/idx/t10k-labels-idx1-ubyte.gz" | tail -c +9 | head -c 200; } >labels
    rough idx images must images labels
    rough idx labels must images labels
    gzip -c images >images.gz
    rough idx images.gz must images.gz labels --as events
    { printf '\0\0\10\3\377\377\377\377\377\377\377\377\377\377\377\377'
      tail -c +17 images; } >wide
    outcome must "sizes of 4294967295" idx wide labels
else skipped idx mnist/idx; fi

# ---- png: a sheet of 3000 images
if [ -r "$data/mnist/mnist_batch_20.png" ]; then
    cp "$data/mnist/mnist_batch_20.png" sheet.png
    tail -c +13 "$data/mnist/mnist_labels.js" | tr -d '];' | tr -s ', ' '\n\n' | tail -n 10000 |
        head -n 3000 >sheet.labels
    rough png sheet.png must sheet.png --labels sheet.labels
    rough png sheet.labels may sheet.png --labels sheet.labels
else skipped png mnist/mnist_batch_20.png; fi

# ---- wav: twenty recordings
if [ -r "$data/fsdd/recordings.tar.xz" ] && command -v xz >/dev/null; then
    mkdir fsdd wave
    tar -xJf "$data/fsdd/recordings.tar.xz" -C fsdd
    find fsdd -name '[01]_*_[0-4].wav' | sort | head -n 20 | while read -r f; do cp "$f" wave; done
    one=$(ls wave | tail -n 1)
    GONE=may
    rough wav "wave/$one" must wave
    rough wav "wave/$one" must wave --as wave
    GONE=
    rm -rf fsdd
else skipped wav fsdd; fi

# ---- npy, csv
if [ -r "$data/cheetah/trace_0000.npy" ]; then
    cp "$data/cheetah/trace_0000.npy" "$data/cheetah/trace_0001.npy" .
    rough npy trace_0001.npy must trace_0000.npy trace_0001.npy --window 32
else skipped npy cheetah; fi
csv=$data/sonata-conformance/AllenInstitute_sonata/tutorials/nwb_sonata/example_data/electrodes.csv
if [ -r "$csv" ]; then
    sed 's/,[^,]*$//' "$csv" | tr ' ' ',' >table.csv
    "$mls" import csv table.csv -o out/x.h5 >/dev/null 2>&1 || {
        { echo 'a,b,c'; awk 'BEGIN { for (i = 0; i < 500; i++) print i "," sin(i) "," i / 7 }'
        } >table.csv; }
    rm -f out/*
    rough csv table.csv may table.csv
else
    { echo 'a,b,c'; awk 'BEGIN { for (i = 0; i < 500; i++) print i "," sin(i) "," i / 7 }'; } >table.csv
    rough csv table.csv may table.csv
fi

# ---- ts: made here, for there is no real one
{ printf '@problemName made\n@timeStamps false\n@classLabel true up down\n@data\n'
  awk 'BEGIN { for (s = 0; s < 40; s++) { for (c = 0; c < 2; c++) { for (t = 0; t < 30; t++)
      printf "%s%.4f", t ? "," : "", sin(s + t / (c + 2)); printf ":" } print s % 2 ? "up" : "down" } }'
} >made.ts
rough ts made.ts may made.ts

# ---- nmnist: three recordings
if [ -r "$data/nmnist-small/NMNISTsmall.tar.xz" ] && command -v xz >/dev/null; then
    tar -xJf "$data/nmnist-small/NMNISTsmall.tar.xz"
    head -n 4 NMNISTsmall/train1K.txt >NMNISTsmall/few.txt
    first=$(sed -n 2p NMNISTsmall/few.txt | awk '{ print $1 }')
    rough nmnist "NMNISTsmall/$first.bs2" may NMNISTsmall/few.txt --ending .bs2
    rough nmnist NMNISTsmall/few.txt may NMNISTsmall/few.txt --ending .bs2
else skipped nmnist nmnist-small; fi

# ---- physionet: thirty records
if [ -r "$data/physionet2012/set-a.tar.xz" ] && command -v xz >/dev/null; then
    tar -xJf "$data/physionet2012/set-a.tar.xz"
    mkdir set
    ls set-a | head -n 30 | while read -r f; do cp "set-a/$f" set; done
    cp "$data/physionet2012/Outcomes-a.txt" outcomes
    one=$(ls set | head -n 1)
    GONE=may; rough physionet "set/$one" may set outcomes; GONE=
    rough physionet outcomes may set outcomes
    rm -rf set-a
else skipped physionet physionet2012; fi

# ---- sonata
spikes=$data/sonata-conformance/AllenInstitute_sonata/examples/300_intfire/output/spikes.h5
if [ -r "$spikes" ]; then
    cp "$spikes" spikes.h5
    rough sonata spikes.h5 must spikes.h5
    # one byte is another, at 60 places: what HDF5 makes of it, no crash
    size=$(wc -c <kept); i=0
    while [ $i -lt $flips ]; do
        at=$((size * i / flips))
        { head -c "$at" kept; printf '\125'; tail -c +$((at + 2)) kept; } >spikes.h5
        outcome may "byte $at is 85" sonata spikes.h5
        i=$((i + 1))
    done
    # every file of other writers: read where it has spikes, else a message
    find "$data/sonata-conformance" -name '*.h5' -o -name '*.nwb' | sort >all
    while read -r f; do
        outcome may "${f#$data/sonata-conformance/}" sonata "$f"
        echo "${f##*/} $status $words" >>read
    done <all
    for known in 'spikes.multipop.h5 0 /: 2 samples of 72217.00 events' \
        'spikes.onepop.v1.0.nwb 0 /: 1 samples of 124.00 events' \
        'spikes.old.h5 0' 'spikes.one_pop.h5 0' 'lgn_spikes.h5 0 /: 1 samples of 2738.00 events' \
        'tw_spikes.h5 0 /: 1 samples of 295.00' 'spikes.h5 0 /: 1 samples of 13010.00 events'; do
        n=$((n + 1)); grep -qF -- "$known" read || printf 'not '; echo "ok $n - sonata: $known"
    done
else skipped sonata sonata-conformance; fi

# ---- pianoroll
json=$data/polymusic/czhuang/jsb-chorales-quarter.json
if [ -r "$json" ]; then
    cp "$json" notes.json
    rough pianoroll notes.json must notes.json
    for change in 's/72/72.5/' 's/72/NaN/' 's/72/999/' 's/72/-7/' 's/"test"/"tset"/' 's/\[\[\[/[[/'; do
        sed "$change" "$json" >notes.json
        outcome must "sed $change" pianoroll notes.json
    done
    cp "$json" notes.json
    outcome must "train: before it" pianoroll train: notes.json
else skipped pianoroll polymusic; fi

# ---- the progress: on a terminal alone
if [ -r images ] && command -v script >/dev/null; then
    "$mls" import idx images labels -o out/x.h5 2>quiet >/dev/null; rm -f out/*
    n=$((n + 1)); [ ! -s quiet ] || printf 'not '; echo "ok $n - no progress where there is no terminal"
    script -qec "'$mls' import idx images labels -o out/x.h5" /dev/null >loud 2>&1; rm -f out/*
    n=$((n + 1)); grep -q '\[[#-]*\] images' loud || printf 'not '
    echo "ok $n - a bar on a terminal"
fi
echo "1..$n"
