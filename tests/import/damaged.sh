#!/bin/sh
# Damaged inputs of every format: the message with its place, the exit status, and that
# nothing is left.  The files are made here.
set -u
mls="$MLS_BUILD/mls"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir" || exit 99
mkdir out
n=0
# good FORMAT WORDS...: works, and then goes
good() {
    n=$((n + 1))
    if "$mls" import "$@" -o out/x.h5 >said 2>&1 && [ -s out/x.h5 ]; then
        echo "ok $n - $1 works"
    else
        sed 's/^/# /' said; echo "not ok $n - $1 works"
    fi
    rm -f out/*
}
# bad "text of the message" FORMAT WORDS...: status 1
bad() {
    want=$1; shift
    n=$((n + 1))
    "$mls" import "$@" -o out/x.h5 >said 2>&1
    status=$?
    left=$(ls -A out)
    if [ $status = 1 ] && grep -qF -- "$want" said && [ -z "$left" ]; then
        echo "ok $n - $1: $want"
    else
        echo "# status $status, left: $left, said:"; sed 's/^/# /' said
        echo "not ok $n - $1: $want"
    fi
    rm -f out/*
}
cut_to() { dd if="$1" of="$3" bs=1 count="$2" 2>/dev/null; }

# ---- the verb itself
bad 'no format is called "pgn"; did you mean png?' pgn x
bad 'there is no file to import' idx
bad 'the name of a file is empty' idx "" ""
n=$((n + 1)); "$mls" import wav --help >said 2>&1 && grep -q -- '--bands' said || printf 'not '
echo "ok $n - mls import FORMAT --help"
n=$((n + 1)); "$mls" import idx a b >said 2>&1
[ $? = 2 ] && grep -q 'o FILE.h5 is missing' said || printf 'not '; echo "ok $n - no -o: status 2"
n=$((n + 1)); "$mls" import idx a train: b -o out/x.h5 >said 2>&1
[ $? = 2 ] && grep -q 'belongs to no part' said || printf 'not '; echo "ok $n - a file before train:"

# ---- idx
printf '\0\0\10\3\0\0\0\2\0\0\0\2\0\0\0\3abcdefghijkl' >i
printf '\0\0\10\1\0\0\0\2\5\3' >l
good idx i l
good idx train: i l test: i l
gzip -c i >i.gz
good idx i.gz l --as rows
bad 'mls import idx has no option --labels; it has --as, --threshold' idx i l --labels l
bad '--as is "pixel"; expected one of pixels|rows|events' idx i l --as pixel
bad '--threshold is "300"; expected a whole number from 0 to 254' idx i l --as events --threshold 300
bad 'i: its labels are missing' idx i
bad 'absent: No such file' idx absent l
bad 'i: holds images, where labels are expected' idx i i
bad 'l: holds labels, where images are expected' idx l i
cut_to i 20 i.cut; bad 'i.cut: byte 20: the file ends, where a whole image is expected' idx i.cut l
cut_to i 6 i.cut; bad 'i.cut: byte 6: the file ends, where the size of an axis' idx i.cut l
: >empty; bad 'empty: byte 0: the file ends, where the magic number' idx empty l
cut_to i.gz 30 cut.gz; bad 'cut.gz: byte' idx cut.gz l
printf 'PNG\0xxxxxxxxxxxx' >wrong; bad 'wrong: byte 0: 50 4e 47 00, where an idx file has 00 00' idx wrong l
printf '\0\0\10\3\0\0\0\2\377\377\377\377\0\0\0\3abc' >huge
bad 'huge: byte 8: axis 1 has the size 4294967295; expected 1 to 4096' idx huge l
printf '\0\0\10\3\377\377\377\377\0\0\0\2\0\0\0\3abc' >huge
bad 'l: 2 labels for the 4294967295 images of huge' idx huge l
{ cat i; printf x; } >long; bad 'long: byte 28: the file goes on after its last value' idx long l
n=$((n + 1)); touch out/x.h5; "$mls" import idx i l -o out/x.h5 >said 2>&1
[ $? = 1 ] && grep -q 'exists already' said && [ ! -s out/x.h5 ] || printf 'not '
echo "ok $n - a file that exists is never written over"; rm -f out/*
n=$((n + 1)); "$mls" import idx i l -o absent/x.h5 >said 2>&1
[ $? = 1 ] && grep -q 'absent/x.h5' said || printf 'not '; echo "ok $n - a folder that is not there"

# ---- png: a sheet of two images of 2 x 2, made by hand (one stored block of zlib)
printf '5, 7\n' >labels
head='\211PNG\r\n\032\n\0\0\0\015IHDR'
tail='\0\0\0\025IDAT\170\1\1\012\0\365\377\0abcd\0efgh\017\214\003\045\147\072\230\063'
tail="$tail"'\0\0\0\0IEND\256\102\140\202'
printf "$head"'\0\0\0\4\0\0\0\2\010\0\0\0\0\132\303\042\277'"$tail" >s.png
printf "$head"'\0\0\0\4\0\0\0\2\010\2\0\0\0\360\312\352\064'"$tail" >colour.png
printf "$head"'\177\377\377\377\0\0\0\2\010\0\0\0\0\003\311\036\257'"$tail" >huge.png
good png s.png --labels labels
bad '--labels FILE is missing' png s.png
printf '5' >few; bad 'few: has only 1 labels, and there are more images' png s.png --labels few
printf '5,nan' >nan; bad 'nan: label 1 is "nan"; expected a whole number from 0' png s.png --labels nan
printf '5,-1' >nan; bad 'nan: label 1 is "-1"; expected a whole number' png s.png --labels nan
bad 'a row of 4 pixels is no image of 3 x 3' png s.png --labels labels --size 3x3
bad '--size is "x"' png s.png --labels labels --size x
bad 'i: byte 0: no .png file, which begins with 89 50 4e 47' png i --labels labels
cut_to s.png 50 cut.png; bad 'cut.png: ' png cut.png --labels labels
cut_to s.png 20 cut.png; bad 'cut.png: byte 20: ' png cut.png --labels labels
bad 'colour.png: is of 8 bits and colour type 2; expected 8-bit grey' png colour.png --labels labels
bad 'huge.png: byte 33: Invalid IHDR data' png huge.png --labels labels
bad 'absent: No such file' png s.png --labels absent

# ---- wav: four samples of 16 bits
fmt='\020\0\0\0\1\0\1\0\100\037\0\0\200\076\0\0\2\0\020\0'
printf 'RIFF\054\0\0\0WAVEfmt '"$fmt"'data\010\0\0\0\0\0\1\0\2\0\3\0' >3_ann_0.wav
cp 3_ann_0.wav 1_bob_0.wav
good wav 3_ann_0.wav 1_bob_0.wav
good wav --as wave train: 3_ann_0.wav test: 1_bob_0.wav
mkdir sounds; cp ./*.wav sounds; good wav sounds
good wav 3_ann_0.wav --name '{speaker}_{label}_{take}'
bad 'wav has no option --labels' wav sounds --labels l
bad '--name is "{x}"; expected fields in braces' wav sounds --name '{x}'
bad 'i: its name does not fit --name' wav i
bad '3_ann_0.wav: its name does not fit --name "{label}-{x}"' wav 3_ann_0.wav --name '{label}-{x}'
mkdir none; bad 'none: has no file whose name ends in ".wav"' wav none
bad 'absent_a_0.wav: No such file' wav absent_a_0.wav
cut_to 3_ann_0.wav 48 1_cut_0.wav
bad '1_cut_0.wav: byte 48: the file ends, where 52 bytes are expected' wav 1_cut_0.wav
cut_to 3_ann_0.wav 20 1_cut_0.wav; bad '1_cut_0.wav: byte 20: the file ends' wav 1_cut_0.wav
: >1_cut_0.wav; bad '1_cut_0.wav: byte 0: the file ends' wav 1_cut_0.wav
printf 'some text that is no sound at all, whatever its name may say\n' >1_text_0.wav
bad '1_text_0.wav: is no sound that can be read' wav 1_text_0.wav
printf 'RIFF\044\0\0\0WAVEfmt '"$fmt"'data\0\0\0\0' >1_none_0.wav
bad '1_none_0.wav: has 0 samples; expected 1 to' wav 1_none_0.wav
two='\020\0\0\0\1\0\2\0\100\037\0\0\0\175\0\0\4\0\020\0'
printf 'RIFF\054\0\0\0WAVEfmt '"$two"'data\010\0\0\0\0\0\1\0\2\0\3\0' >1_two_0.wav
bad '1_two_0.wav: has 2 channels; expected 1' wav 1_two_0.wav
fast='\020\0\0\0\1\0\1\0\200\076\0\0\0\175\0\0\2\0\020\0'
printf 'RIFF\054\0\0\0WAVEfmt '"$fast"'data\010\0\0\0\0\0\1\0\2\0\3\0' >1_fast_0.wav
bad '1_fast_0.wav: 16000 samples a second, where the files before have 8000' wav 3_ann_0.wav 1_fast_0.wav
real='\020\0\0\0\3\0\1\0\100\037\0\0\0\175\0\0\4\0\040\0'
printf 'RIFF\054\0\0\0WAVEfmt '"$real"'data\010\0\0\0\0\0\0\0\0\0\300\177' >1_nan_0.wav
bad '1_nan_0.wav: sample 1 is nan, where a finite number is expected' wav 1_nan_0.wav
bad '--hop is "0"; expected a number from 0.1' wav 3_ann_0.wav --hop 0
bad 'no more bands than the window has samples' wav 3_ann_0.wav --window 1 --bands 40

# ---- physionet
head=RecordID,SAPS-I,SOFA,Length_of_stay,Survival,In-hospital_death
printf '%s\n7,6,1,5,-1,0\n' "$head" >outcomes
mkdir set
record() { printf 'Time,Parameter,Value\n00:00,RecordID,7\n'"$1" >set/7.txt; }
record '00:07,HR,73\n'; good physionet set outcomes
good physionet train: set outcomes test: set outcomes
bad 'set: its outcomes are missing' physionet set
bad 'absent: No such file' physionet absent outcomes
bad 'set: is a folder, where a file is expected' physionet set set
record '00:07,HR,nan\n'; bad 'set/7.txt:3: "nan"; expected a number as the value' physionet set outcomes
record '00:07,HR,\n'; bad 'set/7.txt:3: ""; expected a number' physionet set outcomes
record '00:07,HR,73;5\n'; bad 'set/7.txt:3: "73;5"; expected a number' physionet set outcomes
record '00:07,,73\n'; bad "set/7.txt:3: \"00:07,\"; expected a parameter's name between" physionet set outcomes
record '00:07,Hr,73\n'; bad 'set/7.txt:3: no parameter is called "Hr"; did you mean HR?' physionet set outcomes
record '7:00,HR,73\n'; bad 'set/7.txt:3: "7:00,HR,73"; expected Time,Parameter,Value with a time' physionet set outcomes
record '99:00,HR,73\n'; bad 'with a time from 00:00 to 48:00' physionet set outcomes
record '00:07,HR\n'; bad 'set/7.txt:3: "00:07,HR"; expected Time,Parameter,Value' physionet set outcomes
record '01:00,HR,73\n00:59,HR,73\n'; bad 'set/7.txt:4: "00:59,HR"; expected a time not before' physionet set outcomes
record ''; bad 'set/7.txt: has no measurement' physionet set outcomes
: >set/7.txt; bad 'set/7.txt:1: ""; expected Time,Parameter,Value in the first line' physionet set outcomes
printf 'Time,Parameter,Value\n00:07,HR,73\n' >set/7.txt
bad 'set/7.txt: has no line with its RecordID' physionet set outcomes
record '00:07,HR,73\n'
printf '%s\n8,6,1,5,-1,0\n' "$head" >other; bad 'set/7.txt: there is no outcome of record 7' physionet set other
printf '%s\n7,6,1,5\n' "$head" >other; bad 'other:2: "7,6,1,5"; expected six numbers' physionet set other
printf '%s\n7,6,1,5,-1,2\n' "$head" >other; bad 'the last 0 or 1' physionet set other
printf 'id,death\n' >other; bad 'other:1: "id,death"; expected RecordID' physionet set other

# ---- nmnist
printf '\1\2\200\0\12\41\0\0\3\350' >5.bin
printf '#sample #class\n5 3\n' >list
good nmnist list
cut_to 5.bin 7 6.bin; printf '6 1\n' >list.6
bad './6.bin: byte 7: the file ends within an event; expected 5 bytes' nmnist list.6
: >6.bin; bad './6.bin: byte 0: the file ends before the first event' nmnist list.6
printf '\1\42\200\0\12' >6.bin; bad './6.bin: byte 0: an event at pixel 1, 34; expected one within 34 x 34' nmnist list.6
printf '\1\2\200\0\12\1\2\200\0\11' >6.bin
bad './6.bin: byte 5: an event at 9 us after one at 10 us; expected them in order' nmnist list.6
printf '7 1\n' >list.7; bad './7.bin: No such file' nmnist list.7
printf '5 x\n' >list.x; bad 'list.x:1: "5 x"; expected the number of a sample' nmnist list.x
printf '5 -1\n' >list.x; bad 'list.x:1: "5 -1"; expected the number' nmnist list.x
printf '#none\n' >list.x; bad 'there is not one sample for /' nmnist list.x
bad 'none: has no folder 0; expected one for each class' nmnist none
bad '--width is "999"; expected a whole number from 1 to 256' nmnist list --width 999

# ---- sonata: files that are none of that kind, and broken ones
"$mls" import idx i l -o data.h5 >/dev/null
bad 'data.h5: has no group /spikes, so it is no SONATA file' sonata data.h5
cut_to data.h5 3000 cut.h5; bad 'cut.h5: cannot be opened as HDF5' sonata cut.h5
bad 'i: cannot be opened as HDF5' sonata i
bad 'empty: cannot be opened as HDF5' sonata empty
bad 'absent.h5: cannot be opened as HDF5: No such file' sonata absent.h5
bad '--window is "-1"; expected a number from 0' sonata data.h5 --window -1

# ---- npy
head='\223NUMPY\1\0\100\0'
dict="{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }      "
printf "$head" >a.npy; printf '%-64.64s' "$dict" >>a.npy
cp a.npy nan.npy; printf '\0\0\200\77\0\0\0\100\0\0\100\100\0\0\200\100' >>a.npy
printf '\0\0\200\77\0\0\0\100\0\0\300\177\0\0\200\100' >>nan.npy
good npy a.npy
good npy train: a.npy a.npy validation: a.npy a.npy test: a.npy a.npy
good npy train: a.npy test: a.npy --window 1 --target 1
bad 'nan.npy: row 1, column 0 is nan; expected a finite number' npy nan.npy
bad 'a.npy: has 2 rows; expected at least 3' npy a.npy --window 3
bad '--target: a.npy has no column "7"' npy a.npy --target 7
bad '--target takes all 2 columns of a.npy' npy a.npy --target 0,1
cut_to a.npy 80 cut.npy; bad 'cut.npy: is cut off: its header promises 4 numbers' npy cut.npy
cut_to a.npy 30 cut.npy; bad 'cut.npy: is no .npy file of version 1 to 3, or its header is cut off' npy cut.npy
bad 'i: is no .npy file of version 1 to 3' npy i
printf "$head" >huge.npy
printf '%-64.64s' "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999,2)}" >>huge.npy
bad 'huge.npy: is cut off: its header promises 19999999998 numbers' npy huge.npy
bad 'absent.npy: No such file' npy absent.npy

# ---- csv
printf 'a,b,c\n1,2,3\n4,5,6\n' >t.csv
good csv t.csv
good csv t.csv --target c
good csv train: t.csv t.csv test: t.csv t.csv
good csv t.csv --window 1
printf 'a;b\n1;2\r\n' >s.csv; good csv s.csv
bad '--target: t.csv has no column "cc"; did you mean c?' csv t.csv --target cc
bad 's.csv: has 2 columns, where the files before have 3' csv t.csv s.csv
printf 'a,b\n1,x\n' >bad.csv; bad 'bad.csv:2: column 1 is "x"; expected a number' csv bad.csv
printf 'a,b\n1,nan\n' >bad.csv; bad 'bad.csv:2: column 1 is "nan"; expected a number' csv bad.csv
printf 'a,b\n1,\n' >bad.csv; bad 'bad.csv:2: column 1 is ""; expected a number' csv bad.csv
printf 'a,b\n1,2\n3\n' >bad.csv; bad 'bad.csv:3: fewer columns; expected 2' csv bad.csv
printf 'a,b\n1,2,3\n' >bad.csv; bad 'bad.csv:2: more columns; expected 2' csv bad.csv
printf 'a,,c\n1,2,3\n' >bad.csv; bad 'bad.csv:1: column 1 has an empty name' csv bad.csv
printf 'a,b\n' >bad.csv; bad 'bad.csv: has 0 rows; expected at least 1' csv bad.csv
bad 'empty:1: column 0 has an empty name' csv empty

# ---- pianoroll
printf '{"train": [[[60, 64], []]], "valid": [[[61]]]}' >m.json; good pianoroll m.json
printf '[[[60, -1], [61]]]' >m.json; good pianoroll train: m.json m.json test: m.json
roll() { printf '%s' "$1" >m.json; }
roll '{"train": [[[60]]]}'; bad 'm.json: names its parts itself; leave out train:' pianoroll train: m.json
roll '[[[60, 64.5]]]'; bad 'm.json: byte 7: "64.5]]]"; expected a note from 21 to 108, or -1' pianoroll m.json
roll '[[[20]]]'; bad 'm.json: byte 3: "20]]]"; expected a note from 21' pianoroll m.json
roll '[[[NaN]]]'; bad 'm.json: byte 3: "NaN]]]"; expected a note from 21' pianoroll m.json
roll '[[[60]], []]'; bad 'm.json: byte 9: "[]]"; expected a piece of at least one frame' pianoroll m.json
roll '[[60]]'; bad 'm.json: byte 2: "60]]"; expected [, a list of notes' pianoroll m.json
roll '[[[60]]'; bad 'm.json: byte 7: the file ends, where a comma or ] is expected' pianoroll m.json
roll '[[[60]]] x'; bad 'm.json: byte 9: "x"; expected the end of the file' pianoroll m.json
roll '{"tset": [[[60]]]}'; bad 'm.json: byte 1: ""tset": [[[60]]]}"; expected "train", "valid" or "test"' pianoroll m.json
roll '{"test" [[[60]]]}'; bad 'm.json: byte 8: "[[[60]]]}"; expected a colon' pianoroll m.json
roll '[]'; bad 'm.json: has no piece' pianoroll m.json
bad 'empty: byte 0: the file ends, where [, a list of pieces is expected' pianoroll empty
bad '--high is "20"; expected a whole number from 21' pianoroll m.json --high 20

# ---- ts
ts() { printf '@problemName x\n@timeStamps false\n@classLabel true up down\n@data\n'"$1" >t.ts; }
ts '1,2,3:4,?,6:up\n1,2:3,4:down\n'; good ts t.ts
good ts train: t.ts test: t.ts
ts '1,2:3,4:left\n'; bad 't.ts:5: "left"; expected a class that the head names' ts t.ts
ts '1,x:3,4:up\n'; bad 't.ts:5: channel 0, step 1 is "x"; expected a number or ?' ts t.ts
ts '1,nan:3,4:up\n'; bad 't.ts:5: channel 0, step 1 is "nan"; expected a number or ?' ts t.ts
ts '1,2:3:up\n'; bad 't.ts:5: channel 1 has fewer than 2 values' ts t.ts
ts '1,2:3,4,5:up\n'; bad 't.ts:5: channel 1 has more than 2 values' ts t.ts
ts '1,2:3,4:up\n1,2:up\n'; bad 't.ts:6: 1 channels; expected 2 as before' ts t.ts
ts '1 2 3\n'; bad 't.ts:5: "1 2 3"; expected channels and a class' ts t.ts
ts ''; bad 't.ts: has no sample after @data' ts t.ts
printf '@data\n1:up\n' >t.ts; bad 't.ts:1: "@data"; expected @classLabel before @data' ts t.ts
printf '@classLabel true a\n' >t.ts; bad 't.ts:1: the file ends, where @data is expected' ts t.ts
printf 'text\n' >t.ts; bad 't.ts:1: "text"; expected a line that begins with @' ts t.ts
printf '@timeStamps true\n' >t.ts; bad 't.ts:1: "@timeStamps true"; expected a file without time stamps' ts t.ts
echo "1..$n"
