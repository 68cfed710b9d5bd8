-- The Lua API in one table: mls help lua, mls-study(5) and docs/lua/mls.lua (completion in
-- editors) are made of it, and a test compares it with what the module really holds, in both
-- directions.  `make docs` after a change.
--
-- A row is one of
--   { section = "Networks", script = true }   a heading; script: what follows is there in
--                                             mls lua and mls repl only, not in studies
--   { class = "mls.Network", var = "net", help =, fields = { { "width?", "integer", help } } }
--   { name = "mls.network", help =, params = { { "t", "mls.NetworkSettings", help } },
--     returns = { { "mls.Network", help } } }          a function; "mls.Network:wire": a method
--   { name = "mls.here", type = "string", help = }      a value
-- A name that ends in ? is optional; "..." takes any number.  Help is sentences without a
-- full stop at the end.  quiet = true: left out of lists.  Constructors of components are not listed: they come from the
-- option tables of the plugins.

local api = {}
local function row (t) api[#api + 1] = t end

-- ---- studies --------------------------------------------------------------------------------
row { section = "Studies" }

row { class = "mls.StudySettings", help = "What mls.study takes", fields = {
  { "name", "string", "letters, digits, _ and -; also the folder under results/" },
  { "network", "mls.Network|fun(p: table): mls.Network", "a network, or a function of the point that returns one" },
  { "task", "mls.Component|fun(p: table): mls.Component", "a task, or a function of the point" },
  { "train?", "mls.TrainSettings|fun(p: table): mls.TrainSettings", "training settings, or a function of the point" },
  { "vary?", "table", "a list of values for each name, every combination being a point; or a list of points. Values may be components; a name with a dot, as [\"train.learning_rate\"], is set in the configuration" },
  { "where?", "fun(p: table): boolean", "keeps a point or drops it" },
  { "seeds?", "integer|integer[]", "a count (1 to n) or a list" },
  { "record?", "(string|mls.RecordRequest)[]", "channels that record.h5 holds; a node that a variant does not have is left out for it" },
  { "measure?", "string[]", "further columns: a metric, or a path in result.yaml such as best.loss" },
  { "compare?", "{ by: string, against?: table, over?: string }", "by: the metric; against: the values that make a variant the baseline of those that agree with it in all else; over: a name of `vary`, as the folds of a cross-validation, over whose values further rows give the mean" },
  { "budget?", "mls.Budget", "equal size for all variants" },
  { "timeout?", "number", "seconds that a trial may take" },
  { "floors?", "{ name: string, value: number }[]", "rows of the table to beat" },
  { "smoke?", "table", "what --smoke changes: vary, seeds, train, task, network, record, budget, timeout; without it two steps of one seed" },
  { "help?", "string", "one line about the study" },
  { "step_ms?", "number", "length of a time step in the recordings, in ms" },
  { "locking?", "\"on\"|\"off\"", "file locks of HDF5" },
} }
row { class = "mls.RecordRequest", help = "A channel to record: { \"liq.out\", every = 50 }", fields = {
  { "[1]", "string", "selector of channels; may hold *, ? and [ab]" },
  { "every?", "integer", "training steps between records" },
  { "steps?", "integer", "time steps that are kept" },
  { "samples?", "integer", "samples of the batch that are kept" },
  { "units?", "integer", "units that are kept" },
  { "round_bits?", "integer", "bits of the mantissa that are rounded off" },
  { "report?", "boolean", "writes a SONATA report too" },
} }
row { class = "mls.Budget", help = "The size that every variant is brought to", fields = {
  { "parameters", "integer", "weights that the network is to have" },
  { "width", "string|table<string, string>", "name in `vary` of the width that is looked for; or one for each value, and `default`" },
  { "fine?", "string|table<string, string>", "name of a count for what the width leaves" },
  { "step?", "integer", "the width is a multiple of it" },
  { "fine_step?", "integer", "the fine count is a multiple of it" },
  { "tolerance?", "number", "part of `parameters` by which a network may differ" },
} }
row { class = "mls.Study", help = "What mls.study returns; a study file returns it" }
row { name = "mls.study", help = "Declares the study; a study file ends with `return mls.study {...}`",
  params = { { "t", "mls.StudySettings", "the study" } },
  returns = { { "mls.Study", "the same table" } } }
row { name = "mls.here", type = "string", help = "The folder of the study file" }
row { name = "mls.version", type = "string", help = "Version of this module" }
row { name = "mls.data", help = "A file below $MLS_DATA, or below ../shared/data beside the repository; a study whose data are absent ends with status 77",
  params = { { "path", "string", "\"tinyshakespeare/input.txt\"" } },
  returns = { { "string", "where it lies" } } }

-- ---- networks -------------------------------------------------------------------------------
row { section = "Networks" }

local network = {
  { "width?", "integer", "width of the stream" },
  { "layers?", "integer", "how often the block is repeated" },
  { "norm?", "\"rms\"|\"layer\"|\"none\"", "normalisation before each branch and before the head" },
  { "residual?", "boolean", "false: a branch replaces the stream" },
  { "dropout?", "number", "on the output of each branch, while training" },
  { "chunk?", "integer", "steps between deliveries of late wires; 0: the sequence length" },
  { "head?", "mls.Component", "makes the output from the last layer" },
  { "remat?", "string[]", "nodes that are computed again in backward to save memory" },
  { "events?", "\"auto\"|\"never\"|\"always\"", "whether products with spikes visit events alone" },
}
local function with (...)
  local list = table.move(network, 1, #network, 1, {})
  for _, f in ipairs { ... } do list[#list + 1] = f end
  return list
end

row { class = "mls.Component", help = "What a constructor such as mls.liquid.cfc {...} returns", fields = {
  { "component", "string", "\"liquid.cfc\"; the other fields are its options" } } }
row { class = "mls.NetworkSettings", help = "What mls.network takes; every other key is a node",
  fields = with(
    { "nodes?", "table<string, mls.Component>", "nodes whose names are settings" },
    { "wire?", "string|string[]", "wires; a list: one residual branch each" },
    { "[string]", "mls.Component", "a node" }) }
row { class = "mls.Network", var = "net", help = "A network to be built; nodes may be added as fields", fields = with(
    { "[string]", "mls.Component", "a node" }) }
row { name = "mls.network", help = "A network from settings and nodes",
  params = { { "t", "mls.NetworkSettings", "settings and nodes" } },
  returns = { { "mls.Network", "to which wires may be added" } } }
row { name = "mls.Network:wire", help = "Adds wires to the current residual branch",
  params = { { "text", "string", "\"input -> enc -> liq -> output\"; ~> is one chunk late" } },
  returns = { { "mls.Network", "the network" } } }
row { name = "mls.Network:branch", help = "Begins the next residual branch",
  params = { { "text", "string", "its wires" } },
  returns = { { "mls.Network", "the network" } } }
row { class = "mls.ModeSettings", help = "What a mode takes; a part that it has no place for is not used",
  fields = with(
    { "encoder?", "mls.Component", "node enc" }, { "adapter?", "mls.Component", "node ad" },
    { "liquid?", "mls.Component", "node liq" }, { "mixer?", "mls.Component", "node mix" },
    { "fusion?", "mls.Component", "node fuse" }, { "attention?", "mls.Component", "node att" },
    { "mlp?", "mls.Component", "node ffn" }) }
for _, m in ipairs {
  { "sequential", "encoder, liquid cell, mixer: one after the other" },
  { "parallel", "liquid cell and mixer side by side on the spikes, then fusion" },
  { "bidirectional", "parallel, and each half steers the other: liquid -> B and C, mixer ~> time constant" },
  { "mamba", "the mixer alone" },
  { "liquid", "encoder and liquid cell, no mixer" },
  { "attention", "a transformer block: attention and a feed-forward branch" } } do
  row { name = "mls.modes." .. m[1], help = "A network of the mode " .. m[1] .. ": " .. m[2],
    params = { { "t?", "mls.ModeSettings", "settings and parts" } },
    returns = { { "mls.Network" } } }
end

-- ---- training -------------------------------------------------------------------------------
row { section = "Training" }

row { class = "mls.TrainSettings", help = "What `train` holds; mls help train lists every setting", fields = {
  { "optimiser?", "mls.Optimiser|string", "mls.optimiser.adamw {...}" },
  { "schedule?", "mls.Schedule|string", "mls.schedule.cosine {...}" },
  { "steps?", "integer", "optimiser steps" }, { "epochs?", "integer", "passes over the training split" },
  { "batch?", "integer", "samples of a batch" }, { "clip?", "number", "largest norm of the gradient" },
  { "[string]", "any", "any setting below train" },
} }
row { class = "mls.Optimiser", help = "Settings of an optimiser" }
row { class = "mls.Schedule", help = "Settings of a schedule" }
local common = { { "lr?", "number", "peak learning rate; also learning_rate" },
                 { "weight_decay?", "number", "decoupled" },
                 { "clip?", "number", "largest norm of the gradient; 0: no clipping" } }
local function and_common (...)
  local list = { ... }
  return table.move(common, 1, #common, #list + 1, list)
end
row { class = "mls.AdamwSettings", help = "What mls.optimiser.adamw takes", fields = and_common(
  { "beta1?", "number", "decay of the mean" }, { "beta2?", "number", "decay of the mean square" },
  { "eps?", "number", "added to the root; also epsilon" }) }
row { class = "mls.SgdSettings", help = "What mls.optimiser.sgd takes", fields = and_common(
  { "momentum?", "number", "momentum" }) }
row { class = "mls.ScheduleSettings", help = "What a schedule takes", fields = {
  { "final_rate?", "number", "the learning rate at the end, as a part of its peak" },
  { "warmup?", "integer", "steps of linear warm-up; also warmup_steps" },
  { "warmup_fraction?", "number", "warm-up as a part of all steps" } } }
for _, o in ipairs { { "adamw", "Adamw" }, { "sgd", "Sgd" } } do
  row { name = "mls.optimiser." .. o[1], help = "Settings of " .. o[1] .. " for `train`",
    params = { { "t?", "mls." .. o[2] .. "Settings", "settings" } },
    returns = { { "mls.Optimiser" } } }
end
row { name = "mls.optimizer", type = "table", help = "Another spelling of mls.optimiser" }
for _, s in ipairs { { "constant", "stays" }, { "cosine", "falls as a cosine" },
                     { "linear", "falls in a straight line" } } do
  row { name = "mls.schedule." .. s[1],
    help = "A learning rate that " .. s[2] .. " after warm-up",
    params = { { "t?", "mls.ScheduleSettings", "settings" } },
    returns = { { "mls.Schedule" } } }
end

-- ---- tensors --------------------------------------------------------------------------------
row { section = "Tensors" }

local T = "mls.Tensor"
row { class = T, var = "x", help = "Numbers [steps][batch][features]; + - * / work with tensors and numbers, # gives the steps", fields = {
  { "shape", "integer[]", "steps, batch, features" } }, operators = {
  { "add", "mls.Tensor|number" }, { "sub", "mls.Tensor|number" },
  { "mul", "mls.Tensor|number" }, { "div", "mls.Tensor|number" }, { "unm" } } }
row { class = "mls.Context", var = "c", help = "What setup and forward of a component in Lua get first: its options, what setup returned or set as c.name, and every operation of a tensor as c:name(x, ...)", fields = {
  { "options", "table", "the options' values; also c.NAME" }, { "[string]", "any", "options, and what setup set" } } }
row { class = "mls.State", help = "A state of a component, as c:state(...) gives" }
local function method (name, help, params, result)
  row { name = T .. ":" .. name, help = help, params = params or {},
        returns = { result or { T } } }
end
-- An operation is a method of a tensor and of the `c` of a component.
local function op (name, help, params)
  method(name, help, params)
  if name == "log" then return end                      -- c:log is the one of messages
  local all = { { "x", T, "the tensor" } }
  for _, p in ipairs(params or {}) do all[#all + 1] = p end
  row { name = "mls.Context:" .. name, help = help, params = all, returns = { { T } },
        quiet = true }
end
for _, f in ipairs { { "sigmoid", "1 / (1 + exp(-x))" }, { "tanh", "tanh(x)" },
    { "silu", "x sigmoid(x)" }, { "gelu", "x Phi(x), Phi of the normal distribution" },
    { "relu", "max(x, 0)" }, { "softplus", "log(1 + exp(x))" }, { "exp", "exp(x)" },
    { "lecun_tanh", "1.7159 tanh(2 x / 3)" }, { "negate", "-x" }, { "square", "x x" },
    { "log", "log(x)" }, { "sqrt", "the square root of x" }, { "abs", "|x|" } } do
  op(f[1], "Element by element: " .. f[2])
end
for _, f in ipairs { { "add", "x + b" }, { "sub", "x - b" }, { "mul", "x b" },
    { "div", "x / b" }, { "max", "the larger of x and b" } } do
  op(f[1], "Element by element: " .. f[2] .. "; an axis of length 1 is spread",
    { { "b", T .. "|number", "the other operand" } })
end
local mask = { "mask?", T, "[T][B][1]: 1 for a real step, 0 for padding" }
local bias = { "bias?", T, "[1][N]" }
op("linear", "W x + b at every step", { { "w", T, "[out][in]" }, bias })
op("scale", "a x + b", { { "a", "number", "factor" }, { "b?", "number", "added (0)" } })
op("concat", "Tensors one after the other along the features",
  { { "...", T, "the others, up to 7" } })
op("join", "Tensors one after the other along time; c:join {a, b, ...} takes a list of up to 4096",
  { { "...", T, "the others, up to 7" } })
op("slice", "Features from `from` on", { { "from", "integer", "counted from 0" },
  { "n?", "integer", "how many; absent: to the end" } })
op("steps", "Steps from `from` on", { { "from", "integer", "counted from 0" },
  { "n?", "integer", "how many; absent: to the end" } })
op("rms_norm", "x divided by its root mean square over the features",
  { { "gain?", T, "[1][N]" }, { "eps?", "number", "added to the mean square (1e-5)" } })
op("layer_norm", "x with mean 0 and variance 1 over the features", { { "gain?", T, "[1][N]" },
  bias, { "eps?", "number", "added to the variance (1e-5)" } })
op("softmax", "Softmax over the features")
op("dropout", "Zeroes a part of x, while training", { { "p", "number", "the part" } })
op("sum", "Sum over the features: [T][B][1]")
op("mean", "Mean over the features: [T][B][1]")
op("pool", "One value for the sequence, over its real steps: [1][B][N]",
  { { "how?", "\"last\"|\"mean\"|\"sum\"", "last unless given" }, mask })
op("last", "The last real step: [1][B][N]", { mask })
op("reverse", "The real steps of each sample in the opposite order", { mask })
op("conv", "Causal depthwise convolution over time", { { "w", T, "[N][taps]" }, bias,
  { "past?", "mls.State", "(taps - 1) N wide: the last inputs" }, mask })
row { class = "mls.AttentionSettings", help = "What x:attention takes", fields = {
  { "heads?", "integer", "heads (1)" }, { "width?", "integer", "heads * size of a head (the width of q)" },
  { "window?", "integer", "steps that a query sees, itself included (64)" },
  { "rotary?", "boolean", "queries and keys are turned by position" },
  { "bidirectional?", "boolean", "every step sees every step" } } }
op("attention", "Multi-head attention over time of queries x", {
  { "kv", T, "keys of all heads, then values of all heads" },
  { "settings", "mls.AttentionSettings", "heads and window" },
  { "past?", "mls.State", "carries the window from chunk to chunk" }, mask })
op("scan", "h[t] = x[t] h[t-1] + b[t], element by element", { { "b", T, "what is added" },
  { "h?", "mls.State", "carries the last value; absent: starts at 0" }, mask })
op("spike", "1 where x > 0, else 0, with the gradient of a surrogate", {
  { "surrogate?", "\"fast_sigmoid\"|\"atan\"|\"logistic\"", "fast_sigmoid unless given" },
  { "slope?", "number", "0: the surrogate's usual one" } })
method("totable", "The numbers as nested tables, [step][sample][feature], from 1", nil, { "number[][][]" })
method("item", "The number of a tensor of one", nil, { "number" })
method("get", "One number; indices count from 0", { { "step", "integer", "from 0" },
  { "sample", "integer", "from 0" }, { "feature", "integer", "from 0" } }, { "number" })
method("copy", "A tensor of its own with the same numbers")
method("set", "Writes the numbers of a free tensor or a weight",
  { { "values", "number|table|" .. T, "one for all, as many as it holds, or the same shape" } })

-- ---- components in Lua ----------------------------------------------------------------------
row { section = "Components in Lua" }

row { class = "mls.ComponentSettings", help = "What mls.component takes", fields = {
  { "kind", "\"encoder\"|\"adapter\"|\"liquid\"|\"mixer\"|\"fusion\"|\"head\"", "its kind; for tasks see mls.TaskSettings" },
  { "name", "string", "letters, digits and _" },
  { "help?", "string", "what it is, in a line" },
  { "options?", "table<string, number|boolean|string|mls.OptionSettings>", "name = default, or a table that says more" },
  { "ports?", "mls.PortSettings[]", "inputs and outputs; absent: the usual ones of the kind, in the order of docs/authoring.md" },
  { "flags?", "(\"causal\"|\"streams\"|\"random\")[]", "what it promises; absent: causal and streams" },
  { "setup?", "fun(c: mls.Context): table?", "makes weights and states; the fields of the table that it returns become those of c" },
  { "forward", "fun(c: mls.Context, ...: mls.Tensor?): mls.Tensor, ...", "gets the inputs in the order of the ports and returns the outputs" },
} }
row { class = "mls.TaskSettings", help = "What mls.component takes for a component of kind task", fields = {
  { "kind", "\"task\"", "its kind" }, { "name", "string", "letters, digits and _" },
  { "help?", "string", "what it is, in a line" },
  { "options?", "table<string, number|boolean|string|mls.OptionSettings>", "name = default, or a table that says more" },
  { "setup", "fun(c: mls.Context): mls.TaskShape", "returns the shape of its samples" },
  { "count", "fun(c: mls.Context, split: string): integer", "samples of \"training\", \"validation\" and \"test\"" },
  { "fill", "fun(c: mls.Context, split: string, index: integer, random: fun(m: any, n: any): number): mls.Sample", "a sample; nothing but its arguments decides about it. random() draws from [0, 1), random(n) from 1 to n, random(m, n) from m to n, random \"normal\" from N(0, 1)" },
} }
row { class = "mls.TaskShape", help = "The shape of a task's samples", fields = {
  { "steps", "integer", "longest sample" },
  { "vocabulary?", "integer", "tokens are 0 to vocabulary - 1; absent: real-valued input" },
  { "input?", "integer", "features of a real-valued input" },
  { "output", "integer", "classes, or features of the target" },
  { "loss?", "\"cross_entropy\"|\"mse\"|\"mae\"|\"binary\"", "cross_entropy unless given" },
  { "per_step?", "boolean", "a target at every step, not one for the sequence" },
  { "has_mask?", "boolean", "samples may be shorter than steps" },
  { "has_dt?", "boolean", "steps have their own lengths" },
} }
row { class = "mls.Sample", help = "One sample; tables of numbers may be nested", fields = {
  { "token?", "integer[]", "with a vocabulary" }, { "x?", "number[]", "steps * input numbers" },
  { "dt?", "number[]", "lengths of the steps" },
  { "label?", "integer|integer[]", "classes; below 0: not scored" },
  { "target?", "number|number[]", "values; NaN: not scored" },
} }
row { class = "mls.OptionSettings", help = "An option: { 1.0, min = 0, max = 10, help = \"...\" }", fields = {
  { "[1]", "number|boolean|string", "the default, which gives the type" },
  { "min?", "number", "least value" }, { "max?", "number", "largest value" },
  { "choices?", "string[]", "the words that it may be" },
  { "unit?", "string", "unit" }, { "help?", "string", "one sentence" },
} }
row { class = "mls.PortSettings", help = "A port: { \"in\", \"in\", \"T B n\", help = \"...\" }", fields = {
  { "[1]", "string", "its name" }, { "[2]", "\"in\"|\"out\"", "direction" },
  { "[3]?", "string", "its shape (T B n)" },
  { "maybe?", "boolean", "may be unconnected; then it is nil" },
  { "spikes?", "boolean", "its values are 0 or 1" }, { "help?", "string", "what it is" },
} }
row { name = "mls.component", help = "Declares a component; from then on it is found as mls.KIND.NAME too",
  params = { { "t", "mls.ComponentSettings|mls.TaskSettings", "the component" } },
  returns = { { "fun(options: table?): mls.Component", "its constructor" } } }

local function context (name, help, params, result)
  row { name = "mls.Context:" .. name, help = help, params = params or {},
        returns = result and { result } or {} }
end
context("width", "Setup: features of a port, or the size that a word of the shapes stands for; 0: not connected",
  { { "name", "string", "of a port, or a word" } }, { "integer" })
context("connected", "Setup: is an input wired", { { "name", "string", "of an input" } }, { "boolean" })
context("length", "Setup: the longest sequence that the network will see", nil, { "integer" })
row { class = "mls.Init", help = "How a weight begins: { \"normal\", 0.02, frozen = true }", fields = {
  { "[1]", "\"linear\"|\"zeros\"|\"ones\"|\"constant\"|\"uniform\"|\"normal\"|\"xavier\"|\"range\"", "distribution" },
  { "[2]?", "number", "constant: the value; uniform: half the range; normal: standard deviation; range: its lower end" },
  { "[3]?", "number", "range: its upper end" },
  { "no_decay?", "boolean", "weight decay leaves it alone" },
  { "frozen?", "boolean", "it is not trained" },
} }
context("weight", "Setup: a weight", { { "name", "string", "in checkpoints" },
  { "rows", "integer", "rows" }, { "columns", "integer", "columns" },
  { "init?", "string|mls.Init", "how it begins (linear)" } }, { T, "for forward" })
row { class = "mls.StateSettings", help = "What c:state takes", fields = {
  { "reset?", "number", "value at the start of a sequence (0)" },
  { "unit?", "string", "unit" }, { "help?", "string", "what it is" } } }
context("state", "Setup: a value that is carried from step to step", { { "name", "string", "in recordings" },
  { "width", "integer", "features" }, { "settings?", "mls.StateSettings", "reset value, unit" } },
  { "mls.State", "for c:load, c:store, scan, conv and attention" })
context("load", "Forward: a state's value, [1][B][width]", { { "state", "mls.State", "of this component" } }, { T })
context("store", "Forward: gives a state its new value", { { "state", "mls.State", "of this component" },
  { "value", T, "[1][B][width]" } })
context("tap", "Forward: shows a value to the recorder", { { "name", "string", "of the channel" },
  { "value", T, "the value" }, { "unit?", "string", "its unit" }, { "help?", "string", "what it is" } })
context("penalty", "Forward: adds weight * mean of x over real steps to the training loss",
  { { "name", "string", "of the penalty, and of its channel" }, { "x", T, "what is to be small" },
    { "weight", "number", "of the mean" } })
context("wanted", "Forward: is anybody recording the tap", { { "name", "string", "of the tap" } }, { "boolean" })
context("fail", "Ends with an error at the running line", { { "text", "string", "what is wrong" } })
context("log", "A line for the log", { { "text", "string", "the line" } })
context("zeros", "A tensor of zeros", { { "steps", "integer", "steps" }, { "batch", "integer", "samples" },
  { "features", "integer", "features" } }, { T })

-- ---- networks in the hand of a script ---------------------------------------------------------
row { section = "Scripts (mls lua, mls repl) only", script = true }

row { class = "mls.Data", var = "data", help = "Samples of a task in batches" }
row { name = "mls.open", help = "Opens a task", params = { { "task", "mls.Component", "mls.task.text {...}" },
  { "options?", "{ seed: integer? }", "seed of the order (1)" } }, returns = { { "mls.Data" } } }
row { class = "mls.Batch", help = "A batch; net:forward takes it whole", fields = {
  { "token?", T, "[T][B]: tokens" }, { "x?", T, "[T][B][features]: real-valued input" },
  { "mask?", T, "[T][B]: 1 for a real step" }, { "dt?", T, "[T][B]: lengths of the steps" },
  { "label?", T, "[T][B] or [1][B]: classes, -1 not scored" },
  { "target?", T, "[T][B][out] or [1][B][out]: values, NaN not scored" },
  { "key?", "integer[]", "of each sample's noise" } } }
row { class = "mls.BatchSettings", help = "Which batch", fields = {
  { "index?", "integer", "from 0; past the end of an epoch the next one begins (0)" },
  { "batch?", "integer", "samples (8)" },
  { "split?", "\"training\"|\"validation\"|\"test\"", "training unless given" },
  { "epoch?", "integer", "fixes the epoch" },
  { "carry?", "boolean", "as train.carry: contiguous data" } } }
row { name = "mls.Data:batch", help = "A batch, in the order in which mls train sees them",
  params = { { "which", "mls.BatchSettings", "which one" } }, returns = { { "mls.Batch" } } }
row { name = "mls.Data:batches", help = "Batches in an epoch of a split",
  params = { { "split?", "string", "training unless given" }, { "batch?", "integer", "samples (8)" } },
  returns = { { "integer" } } }
row { name = "mls.Data:shape", help = "Sizes of the task: steps, vocabulary, input, output, loss and so on",
  params = {}, returns = { { "table" } } }
row { name = "mls.Data:encode", help = "Tokens of a text", params = { { "text", "string", "the text" } },
  returns = { { "integer[]" } } }
row { name = "mls.Data:decode", help = "Text of tokens", params = { { "tokens", "integer[]", "the tokens" } },
  returns = { { "string" } } }

row { class = "mls.Net", var = "net", help = "A network that was built, with weights" }
row { name = "mls.build", help = "Builds a network", params = {
  { "network", "mls.Network", "what mls.network or mls.modes make" },
  { "task", "mls.Component|mls.Data|table", "a task, its data, or a shape such as { input = 8, output = 2 }; keys as of mls.TaskShape" },
  { "options?", "{ seed: integer? }", "seed of the weights (1)" } }, returns = { { "mls.Net" } } }
row { name = "mls.load", help = "A network from a file of net:save, a checkpoint, or the folder of a trial",
  params = { { "path", "string", "file or folder" } }, returns = { { "mls.Net" } } }
local function net (name, help, params, ...)
  row { name = "mls.Net:" .. name, help = help, params = params or {}, returns = { ... } }
end
row { class = "mls.ForwardSettings", help = "How to run", fields = {
  { "train?", "boolean", "false: no dropout, no backward (true)" },
  { "exact?", "boolean", "the same bits whatever the length of a chunk" },
  { "mask?", T, "[T][B]: 1 for a real step" }, { "dt?", T, "[T][B]: lengths of the steps" },
  { "key?", "integer[]", "of each sample's noise; absent: by its place and, in training, step" },
  { "step?", "integer", "numbers the draws of dropout" } } }
net("forward", "Runs the network; tensors of the run before are gone then", {
  { "x", "mls.Batch|mls.Tensor|table", "a batch, or its input alone" },
  { "states?", "table<string, mls.Tensor>", "where it begins, as an earlier run gave them; absent: reset" },
  { "options?", "mls.ForwardSettings", "how to run" } },
  { T, "the output" }, { "table<string, mls.Tensor>", "the states" },
  { "table<string, mls.Tensor>?", "what net:record named" })
net("channels", "What can be recorded", nil, { "{ name: string, width: integer, unit: string?, help: string?, spikes: boolean }[]" })
net("record", "What forward gives as its third value", { { "names?", "string[]", "of channels; may hold *, ? and [ab]; absent: nothing" } })
net("weight", "A weight, in place", { { "name", "string", "layer0.enc.weight" } }, { T })
net("grad", "The gradient of a weight, in place", { { "name", "string", "layer0.enc.weight" } }, { T })
net("parameters", "All weights by name, in place", nil, { "table<string, mls.Tensor>" })
net("count", "How many parameters there are", nil, { "integer" })
net("zero_grad", "Makes all gradients zero")
net("summary", "The nodes with their sizes", nil, { "string" })
net("data", "The data that it was built for", nil, { "mls.Data" })
net("optimiser", "An optimiser for its weights; clip and schedule as in mls train",
  { { "settings", "mls.Optimiser|mls.TrainSettings", "mls.optimiser.adamw {...}, or a table as `train`" } },
  { "mls.RunningOptimiser" })
net("save", "Writes weights and, if given, the optimiser", { { "path", "string", "the file" },
  { "optimiser?", "mls.RunningOptimiser", "of this network" } })
net("restore", "Reads the weights of a file into this network", { { "path", "string", "the file" },
  { "optimiser?", "mls.RunningOptimiser", "of this network" } })

row { class = "mls.RunningOptimiser", var = "opt", help = "What net:optimiser gives" }
row { name = "mls.RunningOptimiser:step", help = "Clips, changes the weights, and makes the gradients zero",
  params = {}, returns = { { "number", "learning rate" }, { "number", "norm of the gradient before it was clipped" } } }
row { name = "mls.RunningOptimiser:steps", help = "Steps taken so far", params = {}, returns = { { "integer" } } }

row { name = "mls.loss.cross_entropy", help = "Mean over scored positions, in nats", params = { { "y", T, "output of a forward" },
  { "labels", "mls.Batch|mls.Tensor|table", "classes, -1 not scored" }, { "mask?", T, "0: not scored" } }, returns = { { T, "one number" } } }
row { name = "mls.loss.mse", help = "Mean squared error over scored values", params = { { "y", T, "output of a forward" },
  { "target", "mls.Batch|mls.Tensor|table", "values, NaN not scored" } }, returns = { { T, "one number" } } }
row { name = "mls.loss.mae", help = "Mean absolute error over scored values", params = { { "y", T, "output of a forward" },
  { "target", "mls.Batch|mls.Tensor|table", "values, NaN not scored" } }, returns = { { T, "one number" } } }
row { name = "mls.loss.binary", help = "Negative log-likelihood of binary channels, in nats per frame", params = { { "y", T, "output of a forward: logits" },
  { "target", "mls.Batch|mls.Tensor|table", "values in 0 to 1, NaN not scored" } }, returns = { { T, "one number" } } }
row { name = "mls.loss.mean", help = "Mean of all values, as a loss of your own", params = { { "x", T, "made of a forward's output" } },
  returns = { { T, "one number" } } }
method("backward", "Adds the gradient of this loss to the weights' gradients",
  { { "scale?", "number", "factor (1)" } }, { "nil" })
method("write", "Writes the numbers as a data set of an HDF5 file", { { "path", "string", "the file, new or not" },
  { "name", "string", "of the data set" } }, { "nil" })
row { name = "mls.tensor", help = "A free tensor from a table, or of zeros", params = {
  { "values", "table|integer", "numbers nested up to three deep; or steps" },
  { "batch?", "integer", "with steps: samples (1)" }, { "features?", "integer", "with steps: features (1)" } },
  returns = { { T } } }
row { name = "mls.tensor.read", help = "A tensor from an HDF5 or .npy file", params = { { "path", "string", "the file" },
  { "name?", "string", "of the data set" } }, returns = { { T } } }
row { class = "mls.ProgressSettings", help = "What mls.progress takes", fields = {
  { "every?", "integer", "steps between lines" }, { "loss?", "fun(): number?", "what to show" },
  { "save?", "table", "{ net, path, optimiser }: written when Ctrl-C ends the loop" } } }
row { name = "mls.progress", help = "for step in mls.progress(n) do: counts from 1 to n and shows how far it is; Ctrl-C ends it cleanly",
  params = { { "n", "integer", "steps" }, { "options?", "mls.ProgressSettings", "what to show and save" } },
  returns = { { "fun(): integer?" } } }

return api
