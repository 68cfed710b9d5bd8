/* verbs.c - the verbs of mls, each with all that is said about it anywhere: mls help,
 * mls VERB --help and mls(1) read these rows.  A new verb is one row here.             */
#include "cli/cli.h"

const mls_verb mls_verbs[] = {
    { .name = "train", .run = mls_verb_train,
      .words = "[CONFIG.yaml] [--set path=value]... [--out DIR] [options]",
      .summary = "one experiment: train, evaluate, record",
      .help = "Trains the network that CONFIG.yaml describes, or the one that flags "
              "describe. Files go to results/NAME; the same command continues a run that "
              "was interrupted. Every setting below has a path for --set and the file, "
              "and most have a flag; the fields of the original overview (mls help "
              "overview) are flags too.\n"
              "\n"
              "  mls train config.yaml --set network.nodes.enc.beta=0.9 --steps 500\n"
              "  mls train --task text --data book.txt --mode sequential",
      .make_options = mls_cli_train_flags },
    { .name = "eval", .run = mls_verb_eval,
      .words = "DIR [--split training|validation|test]",
      .summary = "loss and metrics of a trained network",
      .help = "DIR is a folder that mls train made; its best or newest checkpoint is read.",
      .options = mls_cli_eval_flags },
    { .name = "generate", .run = mls_verb_generate,
      .words = "DIR [--prompt TEXT] [--length N] [--temperature X] [--top-k K] [--seed N]",
      .summary = "text from a network that learned a text, token by token",
      .options = mls_cli_generate_flags },
    { .name = "check", .run = mls_verb_study, .words = "STUDY.lua [options]",
      .summary = "what a study would do, without any maths",
      .help = "Lists the trials of a study with their sizes and costs. Every variant's "
              "network is built with shapes only, so wrong wires and options are found "
              "before the first trial. See mls-study(5).",
      .options = mls_cli_check_flags },
    { .name = "run", .run = mls_verb_study, .words = "STUDY.lua [-jN] [options]",
      .summary = "a study: every trial in a process of its own",
      .help = "Runs what is not done yet, resumes what was stopped, and prints the table. "
              "Ctrl-C lets the trials write a checkpoint and end; a second one kills "
              "them.",
      .options = mls_cli_run_flags },
    { .name = "new", .run = mls_verb_new, .words = "KIND NAME [DIR] [--lua]",
      .summary = "a project of its own for one component, in C or Lua, with a study",
      .help = "Writes into the new or empty folder DIR (default: NAME) a component of the "
              "kind (encoder, adapter, liquid, mixer, fusion, head or task) that works as "
              "it is, with its equations in the first comment; a Makefile, a study and a "
              "README. There make builds it, make check validates it, make try runs the "
              "study and make install puts it where mls finds it. Nothing is ever written "
              "over. With --lua the component is one file, which mls validate takes as it is.\n"
              "\n"
              "  mls new liquid leaky && cd leaky && make check\n"
              "  mls new liquid leaky --lua && mls validate leaky/leaky.lua",
      .options = mls_cli_new_flags },
    { .name = "validate", .run = mls_verb_validate,
      .words = "[PLUGIN.so | KIND.NAME | KIND | FILE.lua[:NAME]]... [options]",
      .summary = "is a component right? Named cases, each in its own process",
      .help = "Asks of each component what every component must hold: that it is causal, "
              "that pieces of a sequence give what the whole gives, that its gradients "
              "are the slopes, and so on; --list has all cases. Without a name it asks "
              "every component that was found. The results are TAP; a failure names the "
              "node, the place and both values, and the command that reproduces it. Exit "
              "status 1 when a case failed.\n"
              "\n"
              "  mls validate liquid.cfc\n"
              "  mls validate ./leaky.so --case causal --seed 17",
      .options = mls_cli_validate_flags },
    { .name = "bench", .run = mls_verb_bench, .words = "[ROW | GROUP]... [options]",
      .summary = "how fast mls is, and how far from what the machine could do",
      .help = "Measures kernels, components and whole training steps: rows take turns, and "
              "each tells the median and quartiles of its repeats, tokens, floating point "
              "operations, exponentials and bytes a second, the bytes that it keeps for "
              "backward and its peak of memory. The limit is the time that its products, "
              "exponentials, multiply-adds and bytes take at the rates that the same run "
              "measured. Without a name all rows are measured; --list has them. Times of one "
              "thread are of the processor: the wall's stand beside them where they differ. "
              "docs/performance.md says how the figures are made.\n"
              "\n"
              "  mls bench cfc mamba --steps 512 --ops\n"
              "  mls bench --json before.json; mls bench --compare before.json",
      .options = mls_cli_bench_flags },
    { .name = "import", .run = mls_verb_import, .flags = MLS_VERB_BARE,
      .words = "FORMAT [train:] INPUT... [test: INPUT...] -o FILE.h5 [options]",
      .summary = "data of other programs into a file for task.hdf5",
      .help = "Formats: idx and png (images), wav (sounds), npy, csv and ts (series), nmnist "
              "(event cameras), physionet (irregular records), sonata (spikes). The words "
              "train:, validation: and test: begin a part; without them everything goes into "
              "one, which task.hdf5 divides. A record that is malformed ends the import with "
              "its place, and then nothing is written. Each option below names the formats "
              "that have it; docs/data.md has examples and the layout.\n"
              "\n"
              "  mls import idx train: images.gz labels.gz test: t10k.gz t10k-labels.gz "
              "-o mnist.h5",
      .make_options = mls_cli_import_flags },
    { .name = "trace", .run = mls_verb_trace,
      .words = "SPEC --weights W.h5 --input X.h5 --output Y.h5 [--grad]",
      .summary = "a component or a network on given numbers, everything by name",
      .help = "SPEC is a component as a study would write it, a study with the values that "
              "single out one of its networks, or the folder of a trial. W.h5 has a data set "
              "for each weight, called as in a state dict; X.h5 has in/PORT [sample][time]"
              "[feature], and if wanted dt, mask, state/NAME, grad_out/PORT and "
              "grad_state/NAME; Y.h5 gets out/PORT, tap/NAME, state/NAME and, with --grad, "
              "grad/in/PORT, grad/state/NAME and grad/weight/NAME. Whatever is missing, "
              "unknown or misshapen is told at once. docs/parity.md shows how a component is "
              "compared with its PyTorch model.\n"
              "\n"
              "  mls trace 'liquid.cfc{units=4, mode=\"pure\"}' --list\n"
              "  mls trace study.lua:mode=parallel --init 1 --input X.h5 --output Y.h5",
      .options = mls_cli_trace_flags },
    { .name = "weights", .run = mls_verb_weights,
      .words = "export DIR|CHECKPOINT -o FILE | import FILE DIR -o CHECKPOINT | list DIR|FILE",
      .summary = "a network's weights to and from safetensors, HDF5 and NIR",
      .help = "export writes the best or newest checkpoint of a trial, or the one that is "
              "named, as a state dict: FILE.safetensors, else HDF5 with a data set for each "
              "weight. import reads such a file into the network of the trial in DIR and "
              "writes a checkpoint: as DIR/checkpoint-best.h5 it is what mls eval and mls "
              "generate use; as DIR/checkpoint-0.h5 of a folder without others it is where "
              "mls train begins. FILE.nir is a graph of the Neuromorphic Intermediate "
              "Representation of the spiking nodes, both ways; docs/parity.md says what it "
              "holds. A missing, extra or misshapen tensor is an error that lists "
              "them all.\n"
              "\n"
              "  mls weights export results/first -o first.safetensors\n"
              "  mls weights import torch.safetensors results/first -o "
              "results/first/checkpoint-best.h5",
      .options = mls_cli_weights_flags },
    { .name = "quantize", .run = mls_verb_quantize,
      .words = "DIR -o FILE.h5 [--keep PATTERN]... [--split NAME]",
      .summary = "a trained network's weights in 8 bits; size, speed and loss of both",
      .help = "Rounds the matrices of the best or newest checkpoint of DIR to 8 bits with one "
              "scale for each output row, writes them to FILE.h5 and tells what both take and "
              "give. Biases, time constants, A, convolutions and states stay floats of 32 "
              "bits, and so do all sums: only the weights are rounded. mls eval and mls "
              "generate take the file by --weights; the checkpoint need not be there then.\n"
              "\n"
              "  mls quantize results/first -o results/first/int8.h5\n"
              "  mls generate results/first --weights results/first/int8.h5",
      .options = mls_cli_quantize_flags },
    { .name = "lua", .run = mls_verb_lua, .words = "FILE.lua [ARGUMENTS]",
      .summary = "a Lua program with a model in its hand",
      .help = "Runs FILE with all of Lua's libraries and the module \"mls\", which besides "
              "what studies have can build a network, run it forward and backward, step an "
              "optimiser, save and load. ARGUMENTS are the script's own, in the table arg. "
              "Errors name the script's lines. Ctrl-C ends a loop over mls.progress "
              "cleanly, with a checkpoint if it was asked for one.\n"
              "\n"
              "  mls lua docs/example/by_hand.lua" },
    { .name = "repl", .run = mls_verb_repl, .words = "",
      .summary = "the same, line by line as you type",
      .help = "An expression is printed, what is not finished goes on in the next line, an "
              "error does not end it, Ctrl-D does." },
    { .name = "recover", .run = mls_verb_recover, .words = "FILE.part -o NEW.h5",
      .summary = "a new file from the recording of a trial that was killed",
      .options = mls_cli_recover_flags },
    { .name = "list", .run = mls_verb_list, .words = "[KIND]",
      .summary = "components that were found" },
    { .name = "help", .run = mls_verb_help,
      .words = "[VERB | modes | overview | lua | lua.NAME | KIND | KIND.NAME]",
      .summary = "verbs, components, settings, modes and the Lua API in detail",
      .help = "The options print the pages that are made of the same tables; `make docs` "
              "writes them all.",
      .options = mls_cli_help_flags },
    { .name = "version", .run = mls_verb_version, .flags = MLS_VERB_BARE, .words = "",
      .summary = "of mls and of the libraries that it runs with" },
    { .name = "trial", .run = mls_verb_trial, .flags = MLS_VERB_INNER, .words = "DIR",
      .summary = "one trial of a study, as mls run starts it",
      .help = "Reads DIR/config.yaml, trains, and tells its progress as lines of JSON." },
    { .name = NULL }
};

const mls_fact mls_environment[] = {
    { "MLS_PLUGIN_PATH", "folders with plugins, or plugin files, joined by colons" },
    { "XDG_DATA_HOME", "its folder mls/plugins is searched too; unset: ~/.local/share" },
    { "MLS_ISA", "kernels to use: plain, avx2 or avx512; unset: the best there is" },
    { "OPENBLAS_CORETYPE",
      "OpenBLAS's kernels; unset: its choice, or newer ones where it takes the CPU for an old one" },
    { "MLS_DATA", "the folder that mls.data in a study looks in" },
    { "HDF5_USE_FILE_LOCKING", "FALSE: no locks, for file systems without them" },
    { NULL, NULL }
};

const mls_fact mls_exit_statuses[] = {
    { "0", "done" },
    { "1", "failed" },
    { "2", "wrong usage" },
    { "3", "stopped cleanly (mls trial)" },
    { "77", "the data of a study are absent" },
    { "130", "interrupted; a checkpoint was written" },
    { NULL, NULL }
};

const mls_fact mls_files[] = {
    { "results/NAME/", "of mls train: config.yaml, result.yaml, metrics.jsonl, record.h5, "
                       "log.txt, checkpoints" },
    { "results/STUDY/", "of mls run: table.csv, study.h5, pictures, journal.jsonl, and a "
                        "folder for each trial" },
    { NULL, NULL }
};
