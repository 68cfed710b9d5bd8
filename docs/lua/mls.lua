---@meta mls
-- Made by `mls help --luacats` (make docs); changes are lost.

---@class mls
local mls = {}

--- What mls.study takes.
---@class mls.StudySettings
---@field name string letters, digits, _ and -; also the folder under results/
---@field network mls.Network|fun(p: table): mls.Network a network, or a function of the point that returns one
---@field task mls.Component|fun(p: table): mls.Component a task, or a function of the point
---@field train? mls.TrainSettings|fun(p: table): mls.TrainSettings training settings, or a function of the point
---@field vary? table a list of values for each name, every combination being a point; or a list of points. Values may be components; a name with a dot, as ["train.learning_rate"], is set in the configuration
---@field where? fun(p: table): boolean keeps a point or drops it
---@field seeds? integer|integer[] a count (1 to n) or a list
---@field record? (string|mls.RecordRequest)[] channels that record.h5 holds; a node that a variant does not have is left out for it
---@field measure? string[] further columns: a metric, or a path in result.yaml such as best.loss
---@field compare? { by: string, against?: table, over?: string } by: the metric; against: the values that make a variant the baseline of those that agree with it in all else; over: a name of `vary`, as the folds of a cross-validation, over whose values further rows give the mean
---@field budget? mls.Budget equal size for all variants
---@field timeout? number seconds that a trial may take
---@field floors? { name: string, value: number }[] rows of the table to beat
---@field smoke? table what --smoke changes: vary, seeds, train, task, network, record, budget, timeout; without it two steps of one seed
---@field help? string one line about the study
---@field step_ms? number length of a time step in the recordings, in ms
---@field locking? "on"|"off" file locks of HDF5
local StudySettings = {}

--- A channel to record: { "liq.out", every = 50 }.
---@class mls.RecordRequest
---@field [1] string selector of channels; may hold *, ? and [ab]
---@field every? integer training steps between records
---@field steps? integer time steps that are kept
---@field samples? integer samples of the batch that are kept
---@field units? integer units that are kept
---@field round_bits? integer bits of the mantissa that are rounded off
---@field report? boolean writes a SONATA report too
local RecordRequest = {}

--- The size that every variant is brought to.
---@class mls.Budget
---@field parameters integer weights that the network is to have
---@field width string|table<string, string> name in `vary` of the width that is looked for; or one for each value, and `default`
---@field fine? string|table<string, string> name of a count for what the width leaves
---@field step? integer the width is a multiple of it
---@field fine_step? integer the fine count is a multiple of it
---@field tolerance? number part of `parameters` by which a network may differ
local Budget = {}

--- What mls.study returns; a study file returns it.
---@class mls.Study
local Study = {}

--- What a constructor such as mls.liquid.cfc {...} returns.
---@class mls.Component
---@field component string "liquid.cfc"; the other fields are its options
local Component = {}

--- What mls.network takes; every other key is a node.
---@class mls.NetworkSettings
---@field width? integer width of the stream
---@field layers? integer how often the block is repeated
---@field norm? "rms"|"layer"|"none" normalisation before each branch and before the head
---@field residual? boolean false: a branch replaces the stream
---@field dropout? number on the output of each branch, while training
---@field chunk? integer steps between deliveries of late wires; 0: the sequence length
---@field head? mls.Component makes the output from the last layer
---@field remat? string[] nodes that are computed again in backward to save memory
---@field events? "auto"|"never"|"always" whether products with spikes visit events alone
---@field nodes? table<string, mls.Component> nodes whose names are settings
---@field wire? string|string[] wires; a list: one residual branch each
---@field [string] mls.Component a node
local NetworkSettings = {}

--- A network to be built; nodes may be added as fields.
---@class mls.Network
---@field width? integer width of the stream
---@field layers? integer how often the block is repeated
---@field norm? "rms"|"layer"|"none" normalisation before each branch and before the head
---@field residual? boolean false: a branch replaces the stream
---@field dropout? number on the output of each branch, while training
---@field chunk? integer steps between deliveries of late wires; 0: the sequence length
---@field head? mls.Component makes the output from the last layer
---@field remat? string[] nodes that are computed again in backward to save memory
---@field events? "auto"|"never"|"always" whether products with spikes visit events alone
---@field [string] mls.Component a node
local Network = {}

--- What a mode takes; a part that it has no place for is not used.
---@class mls.ModeSettings
---@field width? integer width of the stream
---@field layers? integer how often the block is repeated
---@field norm? "rms"|"layer"|"none" normalisation before each branch and before the head
---@field residual? boolean false: a branch replaces the stream
---@field dropout? number on the output of each branch, while training
---@field chunk? integer steps between deliveries of late wires; 0: the sequence length
---@field head? mls.Component makes the output from the last layer
---@field remat? string[] nodes that are computed again in backward to save memory
---@field events? "auto"|"never"|"always" whether products with spikes visit events alone
---@field encoder? mls.Component node enc
---@field adapter? mls.Component node ad
---@field liquid? mls.Component node liq
---@field mixer? mls.Component node mix
---@field fusion? mls.Component node fuse
---@field attention? mls.Component node att
---@field mlp? mls.Component node ffn
local ModeSettings = {}

--- What `train` holds; mls help train lists every setting.
---@class mls.TrainSettings
---@field optimiser? mls.Optimiser|string mls.optimiser.adamw {...}
---@field schedule? mls.Schedule|string mls.schedule.cosine {...}
---@field steps? integer optimiser steps
---@field epochs? integer passes over the training split
---@field batch? integer samples of a batch
---@field clip? number largest norm of the gradient
---@field [string] any any setting below train
local TrainSettings = {}

--- Settings of an optimiser.
---@class mls.Optimiser
local Optimiser = {}

--- Settings of a schedule.
---@class mls.Schedule
local Schedule = {}

--- What mls.optimiser.adamw takes.
---@class mls.AdamwSettings
---@field beta1? number decay of the mean
---@field beta2? number decay of the mean square
---@field eps? number added to the root; also epsilon
---@field lr? number peak learning rate; also learning_rate
---@field weight_decay? number decoupled
---@field clip? number largest norm of the gradient; 0: no clipping
local AdamwSettings = {}

--- What mls.optimiser.sgd takes.
---@class mls.SgdSettings
---@field momentum? number momentum
---@field lr? number peak learning rate; also learning_rate
---@field weight_decay? number decoupled
---@field clip? number largest norm of the gradient; 0: no clipping
local SgdSettings = {}

--- What a schedule takes.
---@class mls.ScheduleSettings
---@field final_rate? number the learning rate at the end, as a part of its peak
---@field warmup? integer steps of linear warm-up; also warmup_steps
---@field warmup_fraction? number warm-up as a part of all steps
local ScheduleSettings = {}

--- Numbers [steps][batch][features]; + - * / work with tensors and numbers, # gives the steps.
---@class mls.Tensor
---@field shape integer[] steps, batch, features
---@operator add(mls.Tensor|number): mls.Tensor
---@operator sub(mls.Tensor|number): mls.Tensor
---@operator mul(mls.Tensor|number): mls.Tensor
---@operator div(mls.Tensor|number): mls.Tensor
---@operator unm: mls.Tensor
local Tensor = {}

--- What setup and forward of a component in Lua get first: its options, what setup returned or set as c.name, and every operation of a tensor as c:name(x, ...).
---@class mls.Context
---@field options table the options' values; also c.NAME
---@field [string] any options, and what setup set
local Context = {}

--- A state of a component, as c:state(...) gives.
---@class mls.State
local State = {}

--- What x:attention takes.
---@class mls.AttentionSettings
---@field heads? integer heads (1)
---@field width? integer heads * size of a head (the width of q)
---@field window? integer steps that a query sees, itself included (64)
---@field rotary? boolean queries and keys are turned by position
---@field bidirectional? boolean every step sees every step
local AttentionSettings = {}

--- What mls.component takes.
---@class mls.ComponentSettings
---@field kind "encoder"|"adapter"|"liquid"|"mixer"|"fusion"|"head" its kind; for tasks see mls.TaskSettings
---@field name string letters, digits and _
---@field help? string what it is, in a line
---@field options? table<string, number|boolean|string|mls.OptionSettings> name = default, or a table that says more
---@field ports? mls.PortSettings[] inputs and outputs; absent: the usual ones of the kind, in the order of docs/authoring.md
---@field flags? ("causal"|"streams"|"random")[] what it promises; absent: causal and streams
---@field setup? fun(c: mls.Context): table? makes weights and states; the fields of the table that it returns become those of c
---@field forward fun(c: mls.Context, ...: mls.Tensor?): mls.Tensor, ... gets the inputs in the order of the ports and returns the outputs
local ComponentSettings = {}

--- What mls.component takes for a component of kind task.
---@class mls.TaskSettings
---@field kind "task" its kind
---@field name string letters, digits and _
---@field help? string what it is, in a line
---@field options? table<string, number|boolean|string|mls.OptionSettings> name = default, or a table that says more
---@field setup fun(c: mls.Context): mls.TaskShape returns the shape of its samples
---@field count fun(c: mls.Context, split: string): integer samples of "training", "validation" and "test"
---@field fill fun(c: mls.Context, split: string, index: integer, random: fun(m: any, n: any): number): mls.Sample a sample; nothing but its arguments decides about it. random() draws from [0, 1), random(n) from 1 to n, random(m, n) from m to n, random "normal" from N(0, 1)
local TaskSettings = {}

--- The shape of a task's samples.
---@class mls.TaskShape
---@field steps integer longest sample
---@field vocabulary? integer tokens are 0 to vocabulary - 1; absent: real-valued input
---@field input? integer features of a real-valued input
---@field output integer classes, or features of the target
---@field loss? "cross_entropy"|"mse"|"mae"|"binary" cross_entropy unless given
---@field per_step? boolean a target at every step, not one for the sequence
---@field has_mask? boolean samples may be shorter than steps
---@field has_dt? boolean steps have their own lengths
local TaskShape = {}

--- One sample; tables of numbers may be nested.
---@class mls.Sample
---@field token? integer[] with a vocabulary
---@field x? number[] steps * input numbers
---@field dt? number[] lengths of the steps
---@field label? integer|integer[] classes; below 0: not scored
---@field target? number|number[] values; NaN: not scored
local Sample = {}

--- An option: { 1.0, min = 0, max = 10, help = "..." }.
---@class mls.OptionSettings
---@field [1] number|boolean|string the default, which gives the type
---@field min? number least value
---@field max? number largest value
---@field choices? string[] the words that it may be
---@field unit? string unit
---@field help? string one sentence
local OptionSettings = {}

--- A port: { "in", "in", "T B n", help = "..." }.
---@class mls.PortSettings
---@field [1] string its name
---@field [2] "in"|"out" direction
---@field [3]? string its shape (T B n)
---@field maybe? boolean may be unconnected; then it is nil
---@field spikes? boolean its values are 0 or 1
---@field help? string what it is
local PortSettings = {}

--- How a weight begins: { "normal", 0.02, frozen = true }.
---@class mls.Init
---@field [1] "linear"|"zeros"|"ones"|"constant"|"uniform"|"normal"|"xavier"|"range" distribution
---@field [2]? number constant: the value; uniform: half the range; normal: standard deviation; range: its lower end
---@field [3]? number range: its upper end
---@field no_decay? boolean weight decay leaves it alone
---@field frozen? boolean it is not trained
local Init = {}

--- What c:state takes.
---@class mls.StateSettings
---@field reset? number value at the start of a sequence (0)
---@field unit? string unit
---@field help? string what it is
local StateSettings = {}

--- Samples of a task in batches.
---@class mls.Data
local Data = {}

--- A batch; net:forward takes it whole.
---@class mls.Batch
---@field token? mls.Tensor [T][B]: tokens
---@field x? mls.Tensor [T][B][features]: real-valued input
---@field mask? mls.Tensor [T][B]: 1 for a real step
---@field dt? mls.Tensor [T][B]: lengths of the steps
---@field label? mls.Tensor [T][B] or [1][B]: classes, -1 not scored
---@field target? mls.Tensor [T][B][out] or [1][B][out]: values, NaN not scored
---@field key? integer[] of each sample's noise
local Batch = {}

--- Which batch.
---@class mls.BatchSettings
---@field index? integer from 0; past the end of an epoch the next one begins (0)
---@field batch? integer samples (8)
---@field split? "training"|"validation"|"test" training unless given
---@field epoch? integer fixes the epoch
---@field carry? boolean as train.carry: contiguous data
local BatchSettings = {}

--- A network that was built, with weights.
---@class mls.Net
local Net = {}

--- How to run.
---@class mls.ForwardSettings
---@field train? boolean false: no dropout, no backward (true)
---@field exact? boolean the same bits whatever the length of a chunk
---@field mask? mls.Tensor [T][B]: 1 for a real step
---@field dt? mls.Tensor [T][B]: lengths of the steps
---@field key? integer[] of each sample's noise; absent: by its place and, in training, step
---@field step? integer numbers the draws of dropout
local ForwardSettings = {}

--- What net:optimiser gives.
---@class mls.RunningOptimiser
local RunningOptimiser = {}

--- What mls.progress takes.
---@class mls.ProgressSettings
---@field every? integer steps between lines
---@field loss? fun(): number? what to show
---@field save? table { net, path, optimiser }: written when Ctrl-C ends the loop
local ProgressSettings = {}

mls.modes = {}

mls.optimiser = {}

mls.schedule = {}

mls.loss = {}

mls.tensor = {}

--- Declares the study; a study file ends with `return mls.study {...}`.
---@param t mls.StudySettings the study
---@return mls.Study # the same table
function mls.study(t) end

--- The folder of the study file.
---@type string
mls.here = nil

--- Version of this module.
---@type string
mls.version = nil

--- A file below $MLS_DATA, or below ../shared/data beside the repository; a study whose data are absent ends with status 77.
---@param path string "tinyshakespeare/input.txt"
---@return string # where it lies
function mls.data(path) end

--- A network from settings and nodes.
---@param t mls.NetworkSettings settings and nodes
---@return mls.Network # to which wires may be added
function mls.network(t) end

--- Adds wires to the current residual branch.
---@param text string "input -> enc -> liq -> output"; ~> is one chunk late
---@return mls.Network # the network
function Network:wire(text) end

--- Begins the next residual branch.
---@param text string its wires
---@return mls.Network # the network
function Network:branch(text) end

--- A network of the mode sequential: encoder, liquid cell, mixer: one after the other.
---@param t? mls.ModeSettings settings and parts
---@return mls.Network
function mls.modes.sequential(t) end

--- A network of the mode parallel: liquid cell and mixer side by side on the spikes, then fusion.
---@param t? mls.ModeSettings settings and parts
---@return mls.Network
function mls.modes.parallel(t) end

--- A network of the mode bidirectional: parallel, and each half steers the other: liquid -> B and C, mixer ~> time constant.
---@param t? mls.ModeSettings settings and parts
---@return mls.Network
function mls.modes.bidirectional(t) end

--- A network of the mode mamba: the mixer alone.
---@param t? mls.ModeSettings settings and parts
---@return mls.Network
function mls.modes.mamba(t) end

--- A network of the mode liquid: encoder and liquid cell, no mixer.
---@param t? mls.ModeSettings settings and parts
---@return mls.Network
function mls.modes.liquid(t) end

--- A network of the mode attention: a transformer block: attention and a feed-forward branch.
---@param t? mls.ModeSettings settings and parts
---@return mls.Network
function mls.modes.attention(t) end

--- Settings of adamw for `train`.
---@param t? mls.AdamwSettings settings
---@return mls.Optimiser
function mls.optimiser.adamw(t) end

--- Settings of sgd for `train`.
---@param t? mls.SgdSettings settings
---@return mls.Optimiser
function mls.optimiser.sgd(t) end

--- Another spelling of mls.optimiser.
---@type table
mls.optimizer = nil

--- A learning rate that stays after warm-up.
---@param t? mls.ScheduleSettings settings
---@return mls.Schedule
function mls.schedule.constant(t) end

--- A learning rate that falls as a cosine after warm-up.
---@param t? mls.ScheduleSettings settings
---@return mls.Schedule
function mls.schedule.cosine(t) end

--- A learning rate that falls in a straight line after warm-up.
---@param t? mls.ScheduleSettings settings
---@return mls.Schedule
function mls.schedule.linear(t) end

--- Element by element: 1 / (1 + exp(-x)).
---@return mls.Tensor
function Tensor:sigmoid() end

--- Element by element: 1 / (1 + exp(-x)).
---@param x mls.Tensor the tensor
---@return mls.Tensor
function Context:sigmoid(x) end

--- Element by element: tanh(x).
---@return mls.Tensor
function Tensor:tanh() end

--- Element by element: tanh(x).
---@param x mls.Tensor the tensor
---@return mls.Tensor
function Context:tanh(x) end

--- Element by element: x sigmoid(x).
---@return mls.Tensor
function Tensor:silu() end

--- Element by element: x sigmoid(x).
---@param x mls.Tensor the tensor
---@return mls.Tensor
function Context:silu(x) end

--- Element by element: x Phi(x), Phi of the normal distribution.
---@return mls.Tensor
function Tensor:gelu() end

--- Element by element: x Phi(x), Phi of the normal distribution.
---@param x mls.Tensor the tensor
---@return mls.Tensor
function Context:gelu(x) end

--- Element by element: max(x, 0).
---@return mls.Tensor
function Tensor:relu() end

--- Element by element: max(x, 0).
---@param x mls.Tensor the tensor
---@return mls.Tensor
function Context:relu(x) end

--- Element by element: log(1 + exp(x)).
---@return mls.Tensor
function Tensor:softplus() end

--- Element by element: log(1 + exp(x)).
---@param x mls.Tensor the tensor
---@return mls.Tensor
function Context:softplus(x) end

--- Element by element: exp(x).
---@return mls.Tensor
function Tensor:exp() end

--- Element by element: exp(x).
---@param x mls.Tensor the tensor
---@return mls.Tensor
function Context:exp(x) end

--- Element by element: 1.7159 tanh(2 x / 3).
---@return mls.Tensor
function Tensor:lecun_tanh() end

--- Element by element: 1.7159 tanh(2 x / 3).
---@param x mls.Tensor the tensor
---@return mls.Tensor
function Context:lecun_tanh(x) end

--- Element by element: -x.
---@return mls.Tensor
function Tensor:negate() end

--- Element by element: -x.
---@param x mls.Tensor the tensor
---@return mls.Tensor
function Context:negate(x) end

--- Element by element: x x.
---@return mls.Tensor
function Tensor:square() end

--- Element by element: x x.
---@param x mls.Tensor the tensor
---@return mls.Tensor
function Context:square(x) end

--- Element by element: log(x).
---@return mls.Tensor
function Tensor:log() end

--- Element by element: the square root of x.
---@return mls.Tensor
function Tensor:sqrt() end

--- Element by element: the square root of x.
---@param x mls.Tensor the tensor
---@return mls.Tensor
function Context:sqrt(x) end

--- Element by element: |x|.
---@return mls.Tensor
function Tensor:abs() end

--- Element by element: |x|.
---@param x mls.Tensor the tensor
---@return mls.Tensor
function Context:abs(x) end

--- Element by element: x + b; an axis of length 1 is spread.
---@param b mls.Tensor|number the other operand
---@return mls.Tensor
function Tensor:add(b) end

--- Element by element: x + b; an axis of length 1 is spread.
---@param x mls.Tensor the tensor
---@param b mls.Tensor|number the other operand
---@return mls.Tensor
function Context:add(x, b) end

--- Element by element: x - b; an axis of length 1 is spread.
---@param b mls.Tensor|number the other operand
---@return mls.Tensor
function Tensor:sub(b) end

--- Element by element: x - b; an axis of length 1 is spread.
---@param x mls.Tensor the tensor
---@param b mls.Tensor|number the other operand
---@return mls.Tensor
function Context:sub(x, b) end

--- Element by element: x b; an axis of length 1 is spread.
---@param b mls.Tensor|number the other operand
---@return mls.Tensor
function Tensor:mul(b) end

--- Element by element: x b; an axis of length 1 is spread.
---@param x mls.Tensor the tensor
---@param b mls.Tensor|number the other operand
---@return mls.Tensor
function Context:mul(x, b) end

--- Element by element: x / b; an axis of length 1 is spread.
---@param b mls.Tensor|number the other operand
---@return mls.Tensor
function Tensor:div(b) end

--- Element by element: x / b; an axis of length 1 is spread.
---@param x mls.Tensor the tensor
---@param b mls.Tensor|number the other operand
---@return mls.Tensor
function Context:div(x, b) end

--- Element by element: the larger of x and b; an axis of length 1 is spread.
---@param b mls.Tensor|number the other operand
---@return mls.Tensor
function Tensor:max(b) end

--- Element by element: the larger of x and b; an axis of length 1 is spread.
---@param x mls.Tensor the tensor
---@param b mls.Tensor|number the other operand
---@return mls.Tensor
function Context:max(x, b) end

--- W x + b at every step.
---@param w mls.Tensor [out][in]
---@param bias? mls.Tensor [1][N]
---@return mls.Tensor
function Tensor:linear(w, bias) end

--- W x + b at every step.
---@param x mls.Tensor the tensor
---@param w mls.Tensor [out][in]
---@param bias? mls.Tensor [1][N]
---@return mls.Tensor
function Context:linear(x, w, bias) end

--- a x + b.
---@param a number factor
---@param b? number added (0)
---@return mls.Tensor
function Tensor:scale(a, b) end

--- a x + b.
---@param x mls.Tensor the tensor
---@param a number factor
---@param b? number added (0)
---@return mls.Tensor
function Context:scale(x, a, b) end

--- Tensors one after the other along the features.
---@param ... mls.Tensor the others, up to 7
---@return mls.Tensor
function Tensor:concat(...) end

--- Tensors one after the other along the features.
---@param x mls.Tensor the tensor
---@param ... mls.Tensor the others, up to 7
---@return mls.Tensor
function Context:concat(x, ...) end

--- Tensors one after the other along time; c:join {a, b, ...} takes a list of up to 4096.
---@param ... mls.Tensor the others, up to 7
---@return mls.Tensor
function Tensor:join(...) end

--- Tensors one after the other along time; c:join {a, b, ...} takes a list of up to 4096.
---@param x mls.Tensor the tensor
---@param ... mls.Tensor the others, up to 7
---@return mls.Tensor
function Context:join(x, ...) end

--- Features from `from` on.
---@param from integer counted from 0
---@param n? integer how many; absent: to the end
---@return mls.Tensor
function Tensor:slice(from, n) end

--- Features from `from` on.
---@param x mls.Tensor the tensor
---@param from integer counted from 0
---@param n? integer how many; absent: to the end
---@return mls.Tensor
function Context:slice(x, from, n) end

--- Steps from `from` on.
---@param from integer counted from 0
---@param n? integer how many; absent: to the end
---@return mls.Tensor
function Tensor:steps(from, n) end

--- Steps from `from` on.
---@param x mls.Tensor the tensor
---@param from integer counted from 0
---@param n? integer how many; absent: to the end
---@return mls.Tensor
function Context:steps(x, from, n) end

--- x divided by its root mean square over the features.
---@param gain? mls.Tensor [1][N]
---@param eps? number added to the mean square (1e-5)
---@return mls.Tensor
function Tensor:rms_norm(gain, eps) end

--- x divided by its root mean square over the features.
---@param x mls.Tensor the tensor
---@param gain? mls.Tensor [1][N]
---@param eps? number added to the mean square (1e-5)
---@return mls.Tensor
function Context:rms_norm(x, gain, eps) end

--- x with mean 0 and variance 1 over the features.
---@param gain? mls.Tensor [1][N]
---@param bias? mls.Tensor [1][N]
---@param eps? number added to the variance (1e-5)
---@return mls.Tensor
function Tensor:layer_norm(gain, bias, eps) end

--- x with mean 0 and variance 1 over the features.
---@param x mls.Tensor the tensor
---@param gain? mls.Tensor [1][N]
---@param bias? mls.Tensor [1][N]
---@param eps? number added to the variance (1e-5)
---@return mls.Tensor
function Context:layer_norm(x, gain, bias, eps) end

--- Softmax over the features.
---@return mls.Tensor
function Tensor:softmax() end

--- Softmax over the features.
---@param x mls.Tensor the tensor
---@return mls.Tensor
function Context:softmax(x) end

--- Zeroes a part of x, while training.
---@param p number the part
---@return mls.Tensor
function Tensor:dropout(p) end

--- Zeroes a part of x, while training.
---@param x mls.Tensor the tensor
---@param p number the part
---@return mls.Tensor
function Context:dropout(x, p) end

--- Sum over the features: [T][B][1].
---@return mls.Tensor
function Tensor:sum() end

--- Sum over the features: [T][B][1].
---@param x mls.Tensor the tensor
---@return mls.Tensor
function Context:sum(x) end

--- Mean over the features: [T][B][1].
---@return mls.Tensor
function Tensor:mean() end

--- Mean over the features: [T][B][1].
---@param x mls.Tensor the tensor
---@return mls.Tensor
function Context:mean(x) end

--- One value for the sequence, over its real steps: [1][B][N].
---@param how? "last"|"mean"|"sum" last unless given
---@param mask? mls.Tensor [T][B][1]: 1 for a real step, 0 for padding
---@return mls.Tensor
function Tensor:pool(how, mask) end

--- One value for the sequence, over its real steps: [1][B][N].
---@param x mls.Tensor the tensor
---@param how? "last"|"mean"|"sum" last unless given
---@param mask? mls.Tensor [T][B][1]: 1 for a real step, 0 for padding
---@return mls.Tensor
function Context:pool(x, how, mask) end

--- The last real step: [1][B][N].
---@param mask? mls.Tensor [T][B][1]: 1 for a real step, 0 for padding
---@return mls.Tensor
function Tensor:last(mask) end

--- The last real step: [1][B][N].
---@param x mls.Tensor the tensor
---@param mask? mls.Tensor [T][B][1]: 1 for a real step, 0 for padding
---@return mls.Tensor
function Context:last(x, mask) end

--- The real steps of each sample in the opposite order.
---@param mask? mls.Tensor [T][B][1]: 1 for a real step, 0 for padding
---@return mls.Tensor
function Tensor:reverse(mask) end

--- The real steps of each sample in the opposite order.
---@param x mls.Tensor the tensor
---@param mask? mls.Tensor [T][B][1]: 1 for a real step, 0 for padding
---@return mls.Tensor
function Context:reverse(x, mask) end

--- Causal depthwise convolution over time.
---@param w mls.Tensor [N][taps]
---@param bias? mls.Tensor [1][N]
---@param past? mls.State (taps - 1) N wide: the last inputs
---@param mask? mls.Tensor [T][B][1]: 1 for a real step, 0 for padding
---@return mls.Tensor
function Tensor:conv(w, bias, past, mask) end

--- Causal depthwise convolution over time.
---@param x mls.Tensor the tensor
---@param w mls.Tensor [N][taps]
---@param bias? mls.Tensor [1][N]
---@param past? mls.State (taps - 1) N wide: the last inputs
---@param mask? mls.Tensor [T][B][1]: 1 for a real step, 0 for padding
---@return mls.Tensor
function Context:conv(x, w, bias, past, mask) end

--- Multi-head attention over time of queries x.
---@param kv mls.Tensor keys of all heads, then values of all heads
---@param settings mls.AttentionSettings heads and window
---@param past? mls.State carries the window from chunk to chunk
---@param mask? mls.Tensor [T][B][1]: 1 for a real step, 0 for padding
---@return mls.Tensor
function Tensor:attention(kv, settings, past, mask) end

--- Multi-head attention over time of queries x.
---@param x mls.Tensor the tensor
---@param kv mls.Tensor keys of all heads, then values of all heads
---@param settings mls.AttentionSettings heads and window
---@param past? mls.State carries the window from chunk to chunk
---@param mask? mls.Tensor [T][B][1]: 1 for a real step, 0 for padding
---@return mls.Tensor
function Context:attention(x, kv, settings, past, mask) end

--- h[t] = x[t] h[t-1] + b[t], element by element.
---@param b mls.Tensor what is added
---@param h? mls.State carries the last value; absent: starts at 0
---@param mask? mls.Tensor [T][B][1]: 1 for a real step, 0 for padding
---@return mls.Tensor
function Tensor:scan(b, h, mask) end

--- h[t] = x[t] h[t-1] + b[t], element by element.
---@param x mls.Tensor the tensor
---@param b mls.Tensor what is added
---@param h? mls.State carries the last value; absent: starts at 0
---@param mask? mls.Tensor [T][B][1]: 1 for a real step, 0 for padding
---@return mls.Tensor
function Context:scan(x, b, h, mask) end

--- 1 where x > 0, else 0, with the gradient of a surrogate.
---@param surrogate? "fast_sigmoid"|"atan"|"logistic" fast_sigmoid unless given
---@param slope? number 0: the surrogate's usual one
---@return mls.Tensor
function Tensor:spike(surrogate, slope) end

--- 1 where x > 0, else 0, with the gradient of a surrogate.
---@param x mls.Tensor the tensor
---@param surrogate? "fast_sigmoid"|"atan"|"logistic" fast_sigmoid unless given
---@param slope? number 0: the surrogate's usual one
---@return mls.Tensor
function Context:spike(x, surrogate, slope) end

--- The numbers as nested tables, [step][sample][feature], from 1.
---@return number[][][]
function Tensor:totable() end

--- The number of a tensor of one.
---@return number
function Tensor:item() end

--- One number; indices count from 0.
---@param step integer from 0
---@param sample integer from 0
---@param feature integer from 0
---@return number
function Tensor:get(step, sample, feature) end

--- A tensor of its own with the same numbers.
---@return mls.Tensor
function Tensor:copy() end

--- Writes the numbers of a free tensor or a weight.
---@param values number|table|mls.Tensor one for all, as many as it holds, or the same shape
---@return mls.Tensor
function Tensor:set(values) end

--- Declares a component; from then on it is found as mls.KIND.NAME too.
---@param t mls.ComponentSettings|mls.TaskSettings the component
---@return fun(options: table?): mls.Component # its constructor
function mls.component(t) end

--- Setup: features of a port, or the size that a word of the shapes stands for; 0: not connected.
---@param name string of a port, or a word
---@return integer
function Context:width(name) end

--- Setup: is an input wired.
---@param name string of an input
---@return boolean
function Context:connected(name) end

--- Setup: the longest sequence that the network will see.
---@return integer
function Context:length() end

--- Setup: a weight.
---@param name string in checkpoints
---@param rows integer rows
---@param columns integer columns
---@param init? string|mls.Init how it begins (linear)
---@return mls.Tensor # for forward
function Context:weight(name, rows, columns, init) end

--- Setup: a value that is carried from step to step.
---@param name string in recordings
---@param width integer features
---@param settings? mls.StateSettings reset value, unit
---@return mls.State # for c:load, c:store, scan, conv and attention
function Context:state(name, width, settings) end

--- Forward: a state's value, [1][B][width].
---@param state mls.State of this component
---@return mls.Tensor
function Context:load(state) end

--- Forward: gives a state its new value.
---@param state mls.State of this component
---@param value mls.Tensor [1][B][width]
function Context:store(state, value) end

--- Forward: shows a value to the recorder.
---@param name string of the channel
---@param value mls.Tensor the value
---@param unit? string its unit
---@param help? string what it is
function Context:tap(name, value, unit, help) end

--- Forward: adds weight * mean of x over real steps to the training loss.
---@param name string of the penalty, and of its channel
---@param x mls.Tensor what is to be small
---@param weight number of the mean
function Context:penalty(name, x, weight) end

--- Forward: is anybody recording the tap.
---@param name string of the tap
---@return boolean
function Context:wanted(name) end

--- Ends with an error at the running line.
---@param text string what is wrong
function Context:fail(text) end

--- A line for the log.
---@param text string the line
function Context:log(text) end

--- A tensor of zeros.
---@param steps integer steps
---@param batch integer samples
---@param features integer features
---@return mls.Tensor
function Context:zeros(steps, batch, features) end

--- Opens a task.
---@param task mls.Component mls.task.text {...}
---@param options? { seed: integer? } seed of the order (1)
---@return mls.Data
function mls.open(task, options) end

--- A batch, in the order in which mls train sees them.
---@param which mls.BatchSettings which one
---@return mls.Batch
function Data:batch(which) end

--- Batches in an epoch of a split.
---@param split? string training unless given
---@param batch? integer samples (8)
---@return integer
function Data:batches(split, batch) end

--- Sizes of the task: steps, vocabulary, input, output, loss and so on.
---@return table
function Data:shape() end

--- Tokens of a text.
---@param text string the text
---@return integer[]
function Data:encode(text) end

--- Text of tokens.
---@param tokens integer[] the tokens
---@return string
function Data:decode(tokens) end

--- Builds a network.
---@param network mls.Network what mls.network or mls.modes make
---@param task mls.Component|mls.Data|table a task, its data, or a shape such as { input = 8, output = 2 }; keys as of mls.TaskShape
---@param options? { seed: integer? } seed of the weights (1)
---@return mls.Net
function mls.build(network, task, options) end

--- A network from a file of net:save, a checkpoint, or the folder of a trial.
---@param path string file or folder
---@return mls.Net
function mls.load(path) end

--- Runs the network; tensors of the run before are gone then.
---@param x mls.Batch|mls.Tensor|table a batch, or its input alone
---@param states? table<string, mls.Tensor> where it begins, as an earlier run gave them; absent: reset
---@param options? mls.ForwardSettings how to run
---@return mls.Tensor # the output
---@return table<string, mls.Tensor> # the states
---@return table<string, mls.Tensor>? # what net:record named
function Net:forward(x, states, options) end

--- What can be recorded.
---@return { name: string, width: integer, unit: string?, help: string?, spikes: boolean }[]
function Net:channels() end

--- What forward gives as its third value.
---@param names? string[] of channels; may hold *, ? and [ab]; absent: nothing
function Net:record(names) end

--- A weight, in place.
---@param name string layer0.enc.weight
---@return mls.Tensor
function Net:weight(name) end

--- The gradient of a weight, in place.
---@param name string layer0.enc.weight
---@return mls.Tensor
function Net:grad(name) end

--- All weights by name, in place.
---@return table<string, mls.Tensor>
function Net:parameters() end

--- How many parameters there are.
---@return integer
function Net:count() end

--- Makes all gradients zero.
function Net:zero_grad() end

--- The nodes with their sizes.
---@return string
function Net:summary() end

--- The data that it was built for.
---@return mls.Data
function Net:data() end

--- An optimiser for its weights; clip and schedule as in mls train.
---@param settings mls.Optimiser|mls.TrainSettings mls.optimiser.adamw {...}, or a table as `train`
---@return mls.RunningOptimiser
function Net:optimiser(settings) end

--- Writes weights and, if given, the optimiser.
---@param path string the file
---@param optimiser? mls.RunningOptimiser of this network
function Net:save(path, optimiser) end

--- Reads the weights of a file into this network.
---@param path string the file
---@param optimiser? mls.RunningOptimiser of this network
function Net:restore(path, optimiser) end

--- Clips, changes the weights, and makes the gradients zero.
---@return number # learning rate
---@return number # norm of the gradient before it was clipped
function RunningOptimiser:step() end

--- Steps taken so far.
---@return integer
function RunningOptimiser:steps() end

--- Mean over scored positions, in nats.
---@param y mls.Tensor output of a forward
---@param labels mls.Batch|mls.Tensor|table classes, -1 not scored
---@param mask? mls.Tensor 0: not scored
---@return mls.Tensor # one number
function mls.loss.cross_entropy(y, labels, mask) end

--- Mean squared error over scored values.
---@param y mls.Tensor output of a forward
---@param target mls.Batch|mls.Tensor|table values, NaN not scored
---@return mls.Tensor # one number
function mls.loss.mse(y, target) end

--- Mean absolute error over scored values.
---@param y mls.Tensor output of a forward
---@param target mls.Batch|mls.Tensor|table values, NaN not scored
---@return mls.Tensor # one number
function mls.loss.mae(y, target) end

--- Negative log-likelihood of binary channels, in nats per frame.
---@param y mls.Tensor output of a forward: logits
---@param target mls.Batch|mls.Tensor|table values in 0 to 1, NaN not scored
---@return mls.Tensor # one number
function mls.loss.binary(y, target) end

--- Mean of all values, as a loss of your own.
---@param x mls.Tensor made of a forward's output
---@return mls.Tensor # one number
function mls.loss.mean(x) end

--- Adds the gradient of this loss to the weights' gradients.
---@param scale? number factor (1)
---@return nil
function Tensor:backward(scale) end

--- Writes the numbers as a data set of an HDF5 file.
---@param path string the file, new or not
---@param name string of the data set
---@return nil
function Tensor:write(path, name) end

--- A free tensor from a table, or of zeros.
---@param values table|integer numbers nested up to three deep; or steps
---@param batch? integer with steps: samples (1)
---@param features? integer with steps: features (1)
---@return mls.Tensor
function mls.tensor(values, batch, features) end

--- A tensor from an HDF5 or .npy file.
---@param path string the file
---@param name? string of the data set
---@return mls.Tensor
function mls.tensor.read(path, name) end

--- for step in mls.progress(n) do: counts from 1 to n and shows how far it is; Ctrl-C ends it cleanly.
---@param n integer steps
---@param options? mls.ProgressSettings what to show and save
---@return fun(): integer?
function mls.progress(n, options) end

--- Turns the stream of real values into spikes (or, as a control, into values). It stands at the input of a branch; its membrane is there for adapters that read more than spikes.
mls.encoder = {}

---@class mls.encoder.alif.Options
---@field units? integer neurons; 0: the network's width (default 0; 0 to 65536)
---@field project? boolean feed W x + b; false: x is the current (default true)
---@field alpha? number membrane decay per step (default 0.9 1/step; 0 to 1)
---@field rho? number decay of the adaptation per step (default 0.99 1/step; 0 to 1)
---@field threshold? number threshold without adaptation (default 1; 0.001 to 1000)
---@field strength? number how far the threshold rises with the adaptation (default 1.8; 0 to 1000)
---@field normalize? boolean a spike adds 1 - rho to the adaptation; false: 1 (default true)
---@field learn_alpha? "none"|"scalar"|"unit" train alpha through a sigmoid (default none)
---@field learn_rho? "none"|"scalar"|"unit" train rho through a sigmoid (default none)
---@field learn_strength? "none"|"scalar"|"unit" train the strength (default none)
---@field recurrent? "none"|"one_to_one"|"all_to_all" what spikes of the step before add to the current: nothing, each to its own unit, or each to every unit (default none)
---@field feedback? number weight that one_to_one starts with (default 1; -100 to 100)
---@field fire_on_equal? boolean spike at u = threshold too (default false)
---@field detach_reset? boolean no gradient through the reset (default true)
---@field surrogate? "fast_sigmoid"|"atan"|"sigmoid"|"triangle"|"erf"|"rectangle"|"straight_through" derivative of the spike (default fast_sigmoid)
---@field slope? number steepness of the surrogate; 0: its own default, in the order of the choices 25, 2, 25, 1, 2, 1 and none (default 0; 0 to 1000)
---@field steps? integer inner steps per token, all with the token's current (default 1; 1 to 1024)
---@field readout? "mean"|"last"|"sum" output of a token over its inner steps (default mean)
---@field rate_low? number least rate of a unit, spikes per inner step, with rate_weight (default 0.02 1/step; 0 to 1)
---@field rate_high? number greatest rate of a unit, likewise (default 0.2 1/step; 0 to 1)
---@field rate_weight? number weight in the training loss of the squared distance of rates from that band (default 0; 0 to 1000000)
---@field l1_weight? number weight in the training loss of the mean spikes (default 0; 0 to 1000000)
---@field voltage_weight? number weight in the training loss of the squared excess of the membrane over threshold, up or down (default 0; 0 to 1000000)
---@field plasticity? "none"|"stdp"|"homeostatic" change after each training step: of the weight by pairs of spikes, or of each threshold towards target_rate (default none)
---@field plasticity_rate? number how much of the rule's sum is added, beside the optimiser (default 0.0001; 0 to 1000)
---@field plasticity_alone? boolean what the rule moves gets no gradient (default false)
---@field a_plus? number stdp: gain of a pair in which the input came first (default 1; 0 to 1000)
---@field a_minus? number stdp: loss of a pair in which the output came first (default 1.05; 0 to 1000)
---@field tau_pre? number stdp: memory of the input's spikes (default 20 steps; 0.1 to 1000000)
---@field tau_post? number stdp: memory of the output's spikes (default 20 steps; 0.1 to 1000000)
---@field bounds? "hard"|"soft" stdp: a weight is cut at w_min and w_max, or slows down towards them, too (default hard)
---@field w_min? number stdp: least weight (default -1; -1000 to 1000)
---@field w_max? number stdp: greatest weight (default 1; -1000 to 1000)
---@field target_rate? number homeostatic: rate of each unit, spikes per inner step (default 0.1 1/step; 0 to 1)

--- Leaky integrate-and-fire neurons whose threshold rises with their spikes.
---@param options? mls.encoder.alif.Options
---@return mls.Component
function mls.encoder.alif(options) end

---@class mls.encoder.delta.Options
---@field units? integer outputs, two for each channel with polarity both; 0: the network's width (default 0; 0 to 65536)
---@field project? boolean channels are W x + b; false: each input is a channel (default true)
---@field threshold? number change from one step to the next that is an event (default 0.1; 1e-06 to 1000)
---@field polarity? "both"|"on" events of rises and falls, or of rises (default both)
---@field first? "zero"|"itself" what the first step is compared with (default zero)
---@field surrogate? "fast_sigmoid"|"atan"|"sigmoid"|"triangle"|"erf"|"rectangle"|"straight_through" derivative of the spike (default fast_sigmoid)
---@field slope? number steepness of the surrogate; 0: its own default, in the order of the choices 25, 2, 25, 1, 2, 1 and none (default 0; 0 to 1000)

--- Delta code: spikes where a channel rises or falls, as an event camera's.
---@param options? mls.encoder.delta.Options
---@return mls.Component
function mls.encoder.delta(options) end

---@class mls.encoder.identity.Options

--- No encoding: values pass through unchanged.
---@param options? mls.encoder.identity.Options
---@return mls.Component
function mls.encoder.identity(options) end

---@class mls.encoder.izhikevich.Options
---@field units? integer neurons; 0: the network's width (default 0; 0 to 65536)
---@field project? boolean feed W x + b; false: x is the current (default true)
---@field preset? "tonic_spiking"|"phasic_spiking"|"tonic_bursting"|"phasic_bursting"|"mixed_mode"|"frequency_adaptation"|"class_1"|"class_2"|"regular_spiking"|"intrinsically_bursting"|"chattering"|"fast_spiking"|"low_threshold"|"thalamo_cortical"|"resonator"|"custom" firing pattern: names of the papers of 2004, then of 2003; custom: as a, b, c and d say (default tonic_spiking)
---@field a? number rate of the recovery, with preset custom (default 0.02 1/ms; 0 to 1)
---@field b? number what v does to the recovery, with preset custom (default 0.2; -1 to 1)
---@field c? number v after a spike, with preset custom (default -65 mV; -100 to 0)
---@field d? number what a spike adds to the recovery, with preset custom (default 6 mV; -100 to 100)
---@field gain? number current of an input of 1; steady firing begins at 4 to 10 (default 20; 0 to 10000)
---@field dt? number length of an inner step (default 0.5 ms; 0.001 to 1)
---@field detach_reset? boolean no gradient through the reset (default true)
---@field surrogate? "fast_sigmoid"|"atan"|"sigmoid"|"triangle"|"erf"|"rectangle" derivative of the spike (default fast_sigmoid)
---@field slope? number steepness of the surrogate; 0: its own default, in the order of the choices 25, 2, 25, 1, 2, 1 and none (default 0; 0 to 1000)
---@field steps? integer inner steps per token, all with the token's current (default 1; 1 to 1024)
---@field readout? "mean"|"last"|"sum" output of a token over its inner steps (default mean)
---@field rate_low? number least rate of a unit, spikes per inner step, with rate_weight (default 0.02 1/step; 0 to 1)
---@field rate_high? number greatest rate of a unit, likewise (default 0.2 1/step; 0 to 1)
---@field rate_weight? number weight in the training loss of the squared distance of rates from that band (default 0; 0 to 1000000)
---@field l1_weight? number weight in the training loss of the mean spikes (default 0; 0 to 1000000)

--- Izhikevich's neurons: spiking, bursting and adapting patterns by name.
---@param options? mls.encoder.izhikevich.Options
---@return mls.Component
function mls.encoder.izhikevich(options) end

---@class mls.encoder.latency.Options
---@field units? integer outputs, a multiple of those of a channel; 0: the network's width (default 0; 0 to 65536)
---@field project? boolean channels are W x + b; false: each input is a channel (default true)
---@field squash? "sigmoid"|"clip" how a channel's value gets into 0 to 1 (default sigmoid)
---@field steps? integer inner steps per token, the outputs of a channel (default 4; 1 to 1024)
---@field law? "linear"|"logarithmic" how the time of the spike falls with the value (default linear)
---@field normalize? boolean spread the times over all steps; false: by tau (default true)
---@field tau? number time constant when normalize is off (default 1 steps; 0.001 to 1000)
---@field threshold? number value that fires last, or with clip the least that fires (default 0.01; 0.0001 to 0.9)
---@field clip? boolean no spike below the threshold (default false)

--- Latency code: one spike for each value, the sooner the larger it is.
---@param options? mls.encoder.latency.Options
---@return mls.Component
function mls.encoder.latency(options) end

---@class mls.encoder.lif.Options
---@field units? integer neurons; 0: the network's width (default 0; 0 to 65536)
---@field project? boolean feed W x + b; false: x is the current (default true)
---@field beta? number membrane decay per step (default 0.9 1/step; 0 to 1)
---@field threshold? number firing threshold (default 1; 0.001 to 1000)
---@field reset? "subtract"|"subtract_beta"|"zero"|"zero_full"|"none" what a spike does to the membrane (default subtract)
---@field reset_delay? boolean reset one step after the spike, as snnTorch; false: in the same step (default true)
---@field detach_reset? boolean no gradient through the reset (default true)
---@field fire_on_equal? boolean spike at u = threshold too (default false)
---@field surrogate? "fast_sigmoid"|"atan"|"sigmoid"|"triangle"|"erf"|"rectangle"|"straight_through" derivative of the spike (default fast_sigmoid)
---@field slope? number steepness of the surrogate; 0: its own default, in the order of the choices 25, 2, 25, 1, 2, 1 and none (default 0; 0 to 1000)
---@field steps? integer inner steps per token, all with the token's current (default 1; 1 to 1024)
---@field readout? "mean"|"last"|"sum" output of a token over its inner steps (default mean)
---@field learn_beta? "none"|"scalar"|"unit" train the decay, kept in [0, 1] (default none)
---@field learn_threshold? "none"|"scalar"|"unit" train the threshold (default none)
---@field rate_low? number least rate of a unit, spikes per inner step, with rate_weight (default 0.02 1/step; 0 to 1)
---@field rate_high? number greatest rate of a unit, likewise (default 0.2 1/step; 0 to 1)
---@field rate_weight? number weight in the training loss of the squared distance of rates from that band (default 0; 0 to 1000000)
---@field l1_weight? number weight in the training loss of the mean spikes (default 0; 0 to 1000000)
---@field voltage_weight? number weight in the training loss of the squared excess of the membrane over threshold, up or down (default 0; 0 to 1000000)
---@field plasticity? "none"|"stdp"|"homeostatic" change after each training step: of the weight by pairs of spikes, or of each threshold towards target_rate (default none)
---@field plasticity_rate? number how much of the rule's sum is added, beside the optimiser (default 0.0001; 0 to 1000)
---@field plasticity_alone? boolean what the rule moves gets no gradient (default false)
---@field a_plus? number stdp: gain of a pair in which the input came first (default 1; 0 to 1000)
---@field a_minus? number stdp: loss of a pair in which the output came first (default 1.05; 0 to 1000)
---@field tau_pre? number stdp: memory of the input's spikes (default 20 steps; 0.1 to 1000000)
---@field tau_post? number stdp: memory of the output's spikes (default 20 steps; 0.1 to 1000000)
---@field bounds? "hard"|"soft" stdp: a weight is cut at w_min and w_max, or slows down towards them, too (default hard)
---@field w_min? number stdp: least weight (default -1; -1000 to 1000)
---@field w_max? number stdp: greatest weight (default 1; -1000 to 1000)
---@field target_rate? number homeostatic: rate of each unit, spikes per inner step (default 0.1 1/step; 0 to 1)

--- Leaky integrate-and-fire neurons, exactly as snnTorch's Leaky.
---@param options? mls.encoder.lif.Options
---@return mls.Component
function mls.encoder.lif(options) end

---@class mls.encoder.phase.Options
---@field units? integer outputs, a multiple of those of a channel; 0: the network's width (default 0; 0 to 65536)
---@field project? boolean channels are W x + b; false: each input is a channel (default true)
---@field squash? "sigmoid"|"clip" how a channel's value gets into 0 to 1 (default sigmoid)
---@field bits? integer phases of a cycle (default 4; 1 to 24)
---@field detach_residue? boolean no gradient through what a bit leaves to the next (default true)
---@field surrogate? "fast_sigmoid"|"atan"|"sigmoid"|"triangle"|"erf"|"rectangle"|"straight_through" derivative of the spike (default fast_sigmoid)
---@field slope? number steepness of the surrogate; 0: its own default, in the order of the choices 25, 2, 25, 1, 2, 1 and none (default 0; 0 to 1000)

--- Phase code: the bits of a channel's value as weighted spikes.
---@param options? mls.encoder.phase.Options
---@return mls.Component
function mls.encoder.phase(options) end

---@class mls.encoder.plif.Options
---@field units? integer neurons; 0: the network's width (default 0; 0 to 65536)
---@field project? boolean feed W x + b; false: x is the current (default true)
---@field tau? number membrane time constant, or where it starts when it learns (default 2 steps; 1.01 to 10000)
---@field learn_tau? "scalar"|"unit"|"none" train 1/tau through a sigmoid: one for all units, one each, or not (default scalar)
---@field decay_input? boolean divide the current by tau, as the leak (default true)
---@field threshold? number firing threshold (default 1; 0.001 to 1000)
---@field reset? "subtract"|"zero" what a spike does to the membrane (default subtract)
---@field detach_reset? boolean no gradient through the reset (default true)
---@field surrogate? "fast_sigmoid"|"atan"|"sigmoid"|"triangle"|"erf"|"rectangle"|"straight_through" derivative of the spike (default fast_sigmoid)
---@field slope? number steepness of the surrogate; 0: its own default, in the order of the choices 25, 2, 25, 1, 2, 1 and none (default 0; 0 to 1000)
---@field steps? integer inner steps per token, all with the token's current (default 1; 1 to 1024)
---@field readout? "mean"|"last"|"sum" output of a token over its inner steps (default mean)
---@field rate_low? number least rate of a unit, spikes per inner step, with rate_weight (default 0.02 1/step; 0 to 1)
---@field rate_high? number greatest rate of a unit, likewise (default 0.2 1/step; 0 to 1)
---@field rate_weight? number weight in the training loss of the squared distance of rates from that band (default 0; 0 to 1000000)
---@field l1_weight? number weight in the training loss of the mean spikes (default 0; 0 to 1000000)
---@field voltage_weight? number weight in the training loss of the squared excess of the membrane over threshold, up or down (default 0; 0 to 1000000)
---@field plasticity? "none"|"stdp"|"homeostatic" change after each training step: of the weight by pairs of spikes, or of each threshold towards target_rate (default none)
---@field plasticity_rate? number how much of the rule's sum is added, beside the optimiser (default 0.0001; 0 to 1000)
---@field plasticity_alone? boolean what the rule moves gets no gradient (default false)
---@field a_plus? number stdp: gain of a pair in which the input came first (default 1; 0 to 1000)
---@field a_minus? number stdp: loss of a pair in which the output came first (default 1.05; 0 to 1000)
---@field tau_pre? number stdp: memory of the input's spikes (default 20 steps; 0.1 to 1000000)
---@field tau_post? number stdp: memory of the output's spikes (default 20 steps; 0.1 to 1000000)
---@field bounds? "hard"|"soft" stdp: a weight is cut at w_min and w_max, or slows down towards them, too (default hard)
---@field w_min? number stdp: least weight (default -1; -1000 to 1000)
---@field w_max? number stdp: greatest weight (default 1; -1000 to 1000)
---@field target_rate? number homeostatic: rate of each unit, spikes per inner step (default 0.1 1/step; 0 to 1)

--- Parametric leaky integrate-and-fire: the membrane's time constant learns.
---@param options? mls.encoder.plif.Options
---@return mls.Component
function mls.encoder.plif(options) end

---@class mls.encoder.population.Options
---@field units? integer outputs, a multiple of those of a channel; 0: the network's width (default 0; 0 to 65536)
---@field project? boolean channels are W x + b; false: each input is a channel (default true)
---@field squash? "sigmoid"|"clip" how a channel's value gets into 0 to 1 (default sigmoid)
---@field fields? integer receptive fields of a channel (default 4; 1 to 1024)
---@field sigma? number width of a field, in distances between centres (default 1; 0.01 to 1000)
---@field threshold? number activation above which a unit spikes (default 0.5; 0.001 to 1)
---@field surrogate? "fast_sigmoid"|"atan"|"sigmoid"|"triangle"|"erf"|"rectangle"|"straight_through" derivative of the spike (default fast_sigmoid)
---@field slope? number steepness of the surrogate; 0: its own default, in the order of the choices 25, 2, 25, 1, 2, 1 and none (default 0; 0 to 1000)

--- Population code: units with Gaussian receptive fields over a channel's range.
---@param options? mls.encoder.population.Options
---@return mls.Component
function mls.encoder.population(options) end

---@class mls.encoder.rate.Options
---@field gain? number rate of a value of 1 (default 1; -1000 to 1000)
---@field offset? number rate of a value of 0 (default 0 1/step; -1000 to 1000)
---@field law? "bernoulli"|"poisson" probability of a spike: the rate, or that of any event at that rate (default bernoulli)
---@field steps? integer inner steps per token, each with a draw of its own (default 1; 1 to 1024)
---@field readout? "mean"|"last"|"sum" output of a token over its inner steps (default mean)

--- Random spikes whose rate follows the value (Bernoulli or Poisson).
---@param options? mls.encoder.rate.Options
---@return mls.Component
function mls.encoder.rate(options) end

---@class mls.encoder.rlif.Options
---@field units? integer neurons; 0: the network's width (default 0; 0 to 65536)
---@field project? boolean feed W x + b; false: x is the current (default true)
---@field beta? number membrane decay per step (default 0.9 1/step; 0 to 1)
---@field threshold? number firing threshold (default 1; 0.001 to 1000)
---@field learn_beta? "none"|"scalar"|"unit" train beta through a sigmoid (default none)
---@field learn_threshold? "none"|"scalar"|"unit" train the threshold (default none)
---@field reset? "subtract"|"subtract_beta"|"zero"|"zero_full"|"none" what a spike does to the membrane (default subtract)
---@field recurrent? "all_to_all"|"one_to_one" spikes of the step before reach every unit, or their own alone (default all_to_all)
---@field feedback? number weight that one_to_one starts with (default 1; -100 to 100)
---@field detach_reset? boolean no gradient through the reset (default true)
---@field surrogate? "fast_sigmoid"|"atan"|"sigmoid"|"triangle"|"erf"|"rectangle"|"straight_through" derivative of the spike (default fast_sigmoid)
---@field slope? number steepness of the surrogate; 0: its own default, in the order of the choices 25, 2, 25, 1, 2, 1 and none (default 0; 0 to 1000)
---@field steps? integer inner steps per token, all with the token's current (default 1; 1 to 1024)
---@field readout? "mean"|"last"|"sum" output of a token over its inner steps (default mean)
---@field rate_low? number least rate of a unit, spikes per inner step, with rate_weight (default 0.02 1/step; 0 to 1)
---@field rate_high? number greatest rate of a unit, likewise (default 0.2 1/step; 0 to 1)
---@field rate_weight? number weight in the training loss of the squared distance of rates from that band (default 0; 0 to 1000000)
---@field l1_weight? number weight in the training loss of the mean spikes (default 0; 0 to 1000000)
---@field voltage_weight? number weight in the training loss of the squared excess of the membrane over threshold, up or down (default 0; 0 to 1000000)
---@field plasticity? "none"|"stdp"|"homeostatic" change after each training step: of the weight by pairs of spikes, or of each threshold towards target_rate (default none)
---@field plasticity_rate? number how much of the rule's sum is added, beside the optimiser (default 0.0001; 0 to 1000)
---@field plasticity_alone? boolean what the rule moves gets no gradient (default false)
---@field a_plus? number stdp: gain of a pair in which the input came first (default 1; 0 to 1000)
---@field a_minus? number stdp: loss of a pair in which the output came first (default 1.05; 0 to 1000)
---@field tau_pre? number stdp: memory of the input's spikes (default 20 steps; 0.1 to 1000000)
---@field tau_post? number stdp: memory of the output's spikes (default 20 steps; 0.1 to 1000000)
---@field bounds? "hard"|"soft" stdp: a weight is cut at w_min and w_max, or slows down towards them, too (default hard)
---@field w_min? number stdp: least weight (default -1; -1000 to 1000)
---@field w_max? number stdp: greatest weight (default 1; -1000 to 1000)
---@field target_rate? number homeostatic: rate of each unit, spikes per inner step (default 0.1 1/step; 0 to 1)

--- Recurrent leaky integrate-and-fire neurons, as snnTorch's RLeaky.
---@param options? mls.encoder.rlif.Options
---@return mls.Component
function mls.encoder.rlif(options) end

---@class mls.encoder.spike_mlp.Options
---@field units? integer neurons of the second layer; 0: the network's width (default 0; 0 to 65536)
---@field hidden? integer neurons of the first layer; 0: twice units (default 0; 0 to 65536)
---@field beta? number membrane decay per step (default 0.9 1/step; 0 to 1)
---@field threshold? number firing threshold (default 1; 0.001 to 1000)
---@field dropout? number probability that a spike of the first layer is lost while training (default 0.2; 0 to 0.99)
---@field reset? "subtract"|"subtract_beta"|"zero"|"zero_full"|"none" what a spike does to the membrane (default subtract)
---@field detach_reset? boolean no gradient through the reset (default true)
---@field surrogate? "fast_sigmoid"|"atan"|"sigmoid"|"triangle"|"erf"|"rectangle"|"straight_through" derivative of the spike (default fast_sigmoid)
---@field slope? number steepness of the surrogate; 0: its own default, in the order of the choices 25, 2, 25, 1, 2, 1 and none (default 0; 0 to 1000)
---@field steps? integer inner steps per token, all with the token's input (default 1; 1 to 1024)
---@field readout? "mean"|"last"|"sum" output of a token over its inner steps (default mean)

--- Two layers of leaky integrate-and-fire neurons with dropout between them.
---@param options? mls.encoder.spike_mlp.Options
---@return mls.Component
function mls.encoder.spike_mlp(options) end

---@class mls.encoder.synaptic.Options
---@field units? integer neurons; 0: the network's width (default 0; 0 to 65536)
---@field project? boolean feed W x + b; false: x is the current (default true)
---@field alpha? number decay of the current per step (default 0.9 1/step; 0 to 1)
---@field beta? number membrane decay per step (default 0.9 1/step; 0 to 1)
---@field threshold? number firing threshold (default 1; 0.001 to 1000)
---@field learn_alpha? "none"|"scalar"|"unit" train alpha through a sigmoid (default none)
---@field learn_beta? "none"|"scalar"|"unit" train beta through a sigmoid (default none)
---@field learn_threshold? "none"|"scalar"|"unit" train the threshold (default none)
---@field reset? "subtract"|"subtract_beta"|"zero"|"zero_full"|"none" what a spike does to the membrane (default subtract)
---@field recurrent? "none"|"one_to_one"|"all_to_all" what spikes of the step before add to the current: nothing, each to its own unit, or each to every unit (default none)
---@field feedback? number weight that one_to_one starts with (default 1; -100 to 100)
---@field fire_on_equal? boolean spike at u = threshold too (default false)
---@field detach_reset? boolean no gradient through the reset (default true)
---@field surrogate? "fast_sigmoid"|"atan"|"sigmoid"|"triangle"|"erf"|"rectangle"|"straight_through" derivative of the spike (default fast_sigmoid)
---@field slope? number steepness of the surrogate; 0: its own default, in the order of the choices 25, 2, 25, 1, 2, 1 and none (default 0; 0 to 1000)
---@field steps? integer inner steps per token, all with the token's current (default 1; 1 to 1024)
---@field readout? "mean"|"last"|"sum" output of a token over its inner steps (default mean)
---@field rate_low? number least rate of a unit, spikes per inner step, with rate_weight (default 0.02 1/step; 0 to 1)
---@field rate_high? number greatest rate of a unit, likewise (default 0.2 1/step; 0 to 1)
---@field rate_weight? number weight in the training loss of the squared distance of rates from that band (default 0; 0 to 1000000)
---@field l1_weight? number weight in the training loss of the mean spikes (default 0; 0 to 1000000)
---@field voltage_weight? number weight in the training loss of the squared excess of the membrane over threshold, up or down (default 0; 0 to 1000000)
---@field plasticity? "none"|"stdp"|"homeostatic" change after each training step: of the weight by pairs of spikes, or of each threshold towards target_rate (default none)
---@field plasticity_rate? number how much of the rule's sum is added, beside the optimiser (default 0.0001; 0 to 1000)
---@field plasticity_alone? boolean what the rule moves gets no gradient (default false)
---@field a_plus? number stdp: gain of a pair in which the input came first (default 1; 0 to 1000)
---@field a_minus? number stdp: loss of a pair in which the output came first (default 1.05; 0 to 1000)
---@field tau_pre? number stdp: memory of the input's spikes (default 20 steps; 0.1 to 1000000)
---@field tau_post? number stdp: memory of the output's spikes (default 20 steps; 0.1 to 1000000)
---@field bounds? "hard"|"soft" stdp: a weight is cut at w_min and w_max, or slows down towards them, too (default hard)
---@field w_min? number stdp: least weight (default -1; -1000 to 1000)
---@field w_max? number stdp: greatest weight (default 1; -1000 to 1000)
---@field target_rate? number homeostatic: rate of each unit, spikes per inner step (default 0.1 1/step; 0 to 1)

--- Current-based leaky integrate-and-fire neurons, as snnTorch's Synaptic.
---@param options? mls.encoder.synaptic.Options
---@return mls.Component
function mls.encoder.synaptic(options) end

--- Turns spikes back into values for what follows: a rate, a trace, the membrane, or the spikes as they are.
mls.adapter = {}

---@class mls.adapter.identity.Options

--- Spikes as values, unchanged.
---@param options? mls.adapter.identity.Options
---@return mls.Component
function mls.adapter.identity(options) end

---@class mls.adapter.potential.Options
---@field units? integer outputs; 0: the network's width (default 0; 0 to 65536)

--- Membrane potentials to values: a linear map.
---@param options? mls.adapter.potential.Options
---@return mls.Component
function mls.adapter.potential(options) end

---@class mls.adapter.rate.Options
---@field units? integer outputs; 0: the network's width (default 0; 0 to 65536)
---@field window? integer length of the window (default 10 steps; 1 to 4096)
---@field count_padding? boolean divide by the window even before it is full (default true)

--- Spikes to values: mean over the last steps, then a linear map.
---@param options? mls.adapter.rate.Options
---@return mls.Component
function mls.adapter.rate(options) end

---@class mls.adapter.spike_feedback.Options
---@field units? integer spike trains; 0: the network's width (default 0; 0 to 65536)
---@field spike? "bernoulli"|"threshold" spikes by chance, or where p is above a threshold (default bernoulli)
---@field threshold? number threshold of p, or where it starts when it learns (default 0.5; 0.001 to 0.999)
---@field learn_threshold? "scalar"|"unit"|"none" train the threshold: one for all units, one each, or not (default scalar)
---@field surrogate? "fast_sigmoid"|"atan"|"sigmoid"|"triangle"|"erf"|"rectangle"|"straight_through" derivative of the spike at a threshold (default fast_sigmoid)
---@field slope? number steepness of the surrogate; 0: its own default, in the order of the choices 25, 2, 25, 1, 2, 1 and none (default 0; 0 to 1000)

--- Values to spikes: what a mixer sends back to an encoder.
---@param options? mls.adapter.spike_feedback.Options
---@return mls.Component
function mls.adapter.spike_feedback(options) end

---@class mls.adapter.temporal.Options
---@field units? integer outputs; 0: the network's width (default 0; 0 to 65536)
---@field tau? number time constant of the trace (default 20 steps; 0.01 to 1000000)
---@field normalize? boolean scale by 1 - lambda, so that a constant 1 tends to 1 (default true)
---@field max_taps? integer cut the kernel off after so many steps; 0: infinite, recursive (default 0 steps; 0 to 4096)

--- Spikes to values: exponential trace, then a linear map.
---@param options? mls.adapter.temporal.Options
---@return mls.Component
function mls.adapter.temporal(options) end

--- A recurrent cell in continuous time whose state is carried from step to step. It takes the length of each step, and another branch may steer its time constant.
mls.liquid = {}

---@class mls.liquid.cfc.Options
---@field units? integer hidden units, 0 for the width of the network (default 0; 0 to 65536)
---@field mode? "default"|"pure"|"no_gate" how the heads make the new state: gated mean, closed-form solution, or sum (default default)
---@field backbone_units? integer units of each backbone layer (default 128; 1 to 65536)
---@field backbone_layers? integer backbone layers before the heads (default 1; 0 to 8)
---@field activation? "lecun_tanh"|"silu"|"relu"|"tanh"|"gelu" activation of the backbone (default lecun_tanh)
---@field head_activation? "tanh"|"lecun_tanh" activation of the two value heads; none in mode pure (default tanh)
---@field mixed_memory? boolean put an LSTM before the cell, which carries memory past its time constants (default false)

--- Closed-form continuous-time cell.
---@param options? mls.liquid.cfc.Options
---@return mls.Component
function mls.liquid.cfc(options) end

---@class mls.liquid.gru.Options
---@field units? integer hidden units, 0 for the width of the network (default 0; 0 to 65536)

--- Gated recurrent unit, a control without continuous time.
---@param options? mls.liquid.gru.Options
---@return mls.Component
function mls.liquid.gru(options) end

---@class mls.liquid.identity.Options

--- No liquid cell: values pass through unchanged.
---@param options? mls.liquid.identity.Options
---@return mls.Component
function mls.liquid.identity(options) end

---@class mls.liquid.lstm.Options
---@field units? integer hidden units, 0 for the width of the network (default 0; 0 to 65536)

--- Long short-term memory, a control without continuous time.
---@param options? mls.liquid.lstm.Options
---@return mls.Component
function mls.liquid.lstm(options) end

---@class mls.liquid.ltc.Options
---@field units? integer neurons in all, 0 for as few as the wiring needs (default 0; 0 to 65536)
---@field outputs? integer motor neurons, whose values are given; 0 for the width of the network (default 0; 0 to 65536)
---@field wiring? "full"|"random"|"ncp"|"auto_ncp" who is connected to whom (default full)
---@field sparsity? number wiring random: share of pairs left out, below 1; auto_ncp: from 0.1 (default 0.5; 0 to 1)
---@field wiring_seed? integer seed of the wiring alone; -1 for that of ncps, 1111 or 22222 (default -1; -1 to 4294967295)
---@field inter? integer wiring ncp: inter neurons (default 12; 1 to 65536)
---@field command? integer wiring ncp: command neurons (default 8; 1 to 65536)
---@field sensory_fanout? integer wiring ncp: inter neurons that an input reaches (default 4; 1 to 65536)
---@field inter_fanout? integer wiring ncp: command neurons that an inter neuron reaches (default 4; 1 to 65536)
---@field recurrent_command? integer wiring ncp: synapses drawn among command neurons (default 4; 0 to 65536)
---@field motor_fanin? integer wiring ncp: command neurons that reach a motor neuron (default 4; 1 to 65536)
---@field wiring_file? string HDF5 file with the wiring, in place of a drawn one (default none)
---@field self_connections? boolean wiring full: neurons are connected to themselves too (default true)
---@field solver? "semi_implicit"|"euler"|"rk4" how a step is integrated (default semi_implicit)
---@field ode_unfolds? integer substeps of a step (default 6; 1 to 64)
---@field positivity? "softplus"|"clip" what keeps w, gleak and cm positive (default softplus)
---@field epsilon? number added to the conductance that the semi-implicit solver divides by (default 1e-08; 0 to 1)
---@field input_mapping? "affine"|"linear"|"none" gain and offset of every input (default affine)
---@field output_mapping? "affine"|"linear"|"none" gain and offset of every motor neuron (default affine)

--- Liquid time-constant cell: neurons whose conductances set their own time constants.
---@param options? mls.liquid.ltc.Options
---@return mls.Component
function mls.liquid.ltc(options) end

---@class mls.liquid.wired_cfc.Options
---@field units? integer neurons in all, 0 for as few as the wiring needs (default 0; 0 to 65536)
---@field outputs? integer motor neurons, whose values are given; 0 for the width of the network (default 0; 0 to 65536)
---@field wiring? "auto_ncp"|"full"|"random"|"ncp" who is connected to whom (default auto_ncp)
---@field sparsity? number wiring random: share of pairs left out, below 1; auto_ncp: from 0.1 (default 0.5; 0 to 1)
---@field wiring_seed? integer seed of the wiring alone; -1 for that of ncps, 1111 or 22222 (default -1; -1 to 4294967295)
---@field inter? integer wiring ncp: inter neurons (default 12; 1 to 65536)
---@field command? integer wiring ncp: command neurons (default 8; 1 to 65536)
---@field sensory_fanout? integer wiring ncp: inter neurons that an input reaches (default 4; 1 to 65536)
---@field inter_fanout? integer wiring ncp: command neurons that an inter neuron reaches (default 4; 1 to 65536)
---@field recurrent_command? integer wiring ncp: synapses drawn among command neurons (default 4; 0 to 65536)
---@field motor_fanin? integer wiring ncp: command neurons that reach a motor neuron (default 4; 1 to 65536)
---@field wiring_file? string HDF5 file with the wiring, in place of a drawn one (default none)
---@field mode? "default"|"pure"|"no_gate" how the heads make the new state, as in cfc (default default)
---@field head_activation? "tanh"|"lecun_tanh" activation of the two value heads; none in mode pure (default tanh)

--- Closed-form cells in layers joined by a wiring: sensory, inter, command, motor.
---@param options? mls.liquid.wired_cfc.Options
---@return mls.Component
function mls.liquid.wired_cfc(options) end

--- Mixes over time: a state space model, attention or, as a control, nothing. Another branch may steer what its state takes in and gives out.
mls.mixer = {}

---@class mls.mixer.attention.Options
---@field heads? integer heads; must divide the width (default 4; 1 to 4096)
---@field window? integer how many steps a step sees, itself included; 0 is the sequence length (default 0 steps; 0 to 16777216)
---@field positions? "rotary"|"none" rotate queries and keys by their positions, or not (default rotary)
---@field bidirectional? boolean every step sees the whole sequence; for classification, keeps no state (default false)

--- Causal multi-head self-attention with rotary positions.
---@param options? mls.mixer.attention.Options
---@return mls.Component
function mls.mixer.attention(options) end

---@class mls.mixer.bidirectional.Options
---@field part? mls.Component what runs in each direction, with weights of its own (default mixer.mamba)
---@field join? "concat"|"sum" a linear layer over both side by side, or their sum (default concat)

--- A mixer or liquid cell run forward and backward in time.
---@param options? mls.mixer.bidirectional.Options
---@return mls.Component
function mls.mixer.bidirectional(options) end

---@class mls.mixer.identity.Options

--- No mixing over time: values pass through unchanged.
---@param options? mls.mixer.identity.Options
---@return mls.Component
function mls.mixer.identity(options) end

---@class mls.mixer.linear_attention.Options
---@field heads? integer heads; must divide the width (default 4; 1 to 4096)
---@field decay? "none"|"fixed"|"learned" whether old steps fade, at rates of each head, and if those are trained (default none)
---@field normalise? "keys"|"rms"|"none" divide a head by the sum of its weights, or by its root mean square (default keys)
---@field gate? boolean multiply the heads by silu of a projection of the input (default false)

--- Causal linear attention: a sum of keys times values in place of a window.
---@param options? mls.mixer.linear_attention.Options
---@return mls.Component
function mls.mixer.linear_attention(options) end

---@class mls.mixer.mamba.Options
---@field state? integer states N of each channel (default 16; 1 to 256)
---@field conv? integer length of the convolution (default 4 steps; 2 to 64)
---@field expand? integer inner channels for each input channel (default 2; 1 to 16)
---@field dt_rank? integer rank of the step size's projection; 0 means a sixteenth of the width (default 0; 0 to 4096)
---@field discretization? "zoh_a_euler_b"|"zoh"|"bilinear" of A and B: held and Euler as in every public Mamba, both exactly held, or both by the trapezoidal rule (Tustin) (default zoh_a_euler_b)
---@field selective_delta? boolean the step size depends on the input; off: one learned step size per channel (default true)
---@field selective_b? boolean B depends on the input; off: a learned vector (default true)
---@field selective_c? boolean C depends on the input; off: a learned vector (default true)
---@field dt_min? number least step size at the start (default 0.001; 1e-06 to 10)
---@field dt_max? number largest step size at the start (default 0.1; 1e-06 to 10)
---@field dt_floor? number step sizes start no lower (default 0.0001; 0 to 10)

--- Mamba-1 block: a selective state space model.
---@param options? mls.mixer.mamba.Options
---@return mls.Component
function mls.mixer.mamba(options) end

---@class mls.mixer.mamba2.Options
---@field state? integer states N of each channel (default 128; 1 to 1024)
---@field head? integer channels P of a head; 0 means the largest divisor of the inner width up to 64 (default 0; 0 to 65536)
---@field groups? integer groups of heads with B, C and norm of their own; must divide the heads (default 1; 1 to 1024)
---@field conv? integer length of the convolution (default 4 steps; 2 to 64)
---@field expand? integer inner channels for each input channel (default 2; 1 to 16)
---@field dt_min? number least step size at the start (default 0.001; 1e-06 to 10)
---@field dt_max? number largest step size at the start (default 0.1; 1e-06 to 10)
---@field dt_floor? number step sizes start no lower (default 0.0001; 0 to 10)
---@field a_min? number -A starts uniform from here (default 1; 1e-06 to 1000)
---@field a_max? number -A starts uniform up to here (default 16; 1e-06 to 1000)

--- Mamba-2 block (SSD): a selective state space model with one decay per head.
---@param options? mls.mixer.mamba2.Options
---@return mls.Component
function mls.mixer.mamba2(options) end

---@class mls.mixer.mlp.Options
---@field ratio? integer hidden width over the width of the input (default 4; 1 to 64)
---@field more? integer hidden units on top of that (default 0; 0 to 65536)

--- Two linear layers with a GELU between them, applied to each step.
---@param options? mls.mixer.mlp.Options
---@return mls.Component
function mls.mixer.mlp(options) end

---@class mls.mixer.moe.Options
---@field experts? mls.Component[] what to choose from, of any kind, as wide as the input (default { mixer.mlp, mixer.mlp, mixer.mlp, mixer.mlp })
---@field k? integer experts that a step goes to (default 2; 1 to 64)
---@field normalise? boolean the weights of the chosen experts sum to 1; false: they are probabilities among all experts (default true)
---@field balance? number weight of the loss that evens the load, 1 when it is even; 0.01 is usual (default 0; 0 to 100)

--- Mixture of experts: a router sends each step to k of several components.
---@param options? mls.mixer.moe.Options
---@return mls.Component
function mls.mixer.moe(options) end

---@class mls.mixer.multiscale.Options
---@field scales? integer how many recurrences; their strides are 1, base, base squared and so on (default 3; 1 to 6)
---@field base? integer each stride over the one before it (default 2; 2 to 8)
---@field channels? integer channels of each scale; 0 means the width of in (default 0; 0 to 65536)
---@field memory_min? number least time constant at the start, in ticks of a scale (default 2 steps; 1.001 to 1000000)
---@field memory_max? number largest time constant at the start, in ticks of a scale (default 32 steps; 1.001 to 1000000)

--- Gated recurrences on strides 1, 2, 4 and so on, each held between its ticks.
---@param options? mls.mixer.multiscale.Options
---@return mls.Component
function mls.mixer.multiscale(options) end

---@class mls.mixer.s4d.Options
---@field state? integer states N of each channel, even: N / 2 complex modes (default 64; 2 to 1024)
---@field dt_min? number least step size at the start (default 0.001; 1e-06 to 10)
---@field dt_max? number largest step size at the start (default 0.1; 1e-06 to 10)
---@field dropout? number share of activations left out in training, before the output projection (default 0; 0 to 0.9)

--- S4D: a diagonal state space model with fixed dynamics.
---@param options? mls.mixer.s4d.Options
---@return mls.Component
function mls.mixer.s4d(options) end

--- Makes one stream of two.
mls.fusion = {}

---@class mls.fusion.concat.Options
---@field bias? boolean add a bias (default true)

--- Puts two streams side by side and maps them linearly to the width of the first.
---@param options? mls.fusion.concat.Options
---@return mls.Component
function mls.fusion.concat(options) end

---@class mls.fusion.cross_attention.Options
---@field heads? integer heads; must divide the width (default 8; 1 to 4096)
---@field mode? "causal"|"full"|"heads" what a step sees: steps up to itself, every step (for classification), or the other stream's heads at the same step (default causal)
---@field window? integer how many steps mode = causal sees, itself included; 0 is the sequence length (default 0 steps; 0 to 16777216)
---@field positions? "none"|"rotary" rotate queries and keys by their positions, or not (default none)
---@field bidirectional? boolean the same as mode = full (default false)
---@field weight? "fixed"|"learned"|"gate" how the two enhanced streams are weighted (default fixed)
---@field alpha? number share of a: of weight = fixed, and the start of weight = learned (default 0.5; 0 to 1)
---@field gate_heads? integer heads of weight = gate; must divide the width (default 4; 1 to 4096)

--- Cross-attention over time in both directions, then a weighted sum.
---@param options? mls.fusion.cross_attention.Options
---@return mls.Component
function mls.fusion.cross_attention(options) end

---@class mls.fusion.film.Options
---@field bound? "none"|"tanh" what gamma goes through; tanh keeps the scale between 0 and 2 (default none)

--- Feature-wise affine: one stream scales and shifts the other.
---@param options? mls.fusion.film.Options
---@return mls.Component
function mls.fusion.film(options) end

---@class mls.fusion.gate.Options
---@field heads? integer gates; must divide the width (default 4; 1 to 1024)

--- Mixes two streams by a learned gate per head, with a learned temperature.
---@param options? mls.fusion.gate.Options
---@return mls.Component
function mls.fusion.gate(options) end

---@class mls.fusion.sum.Options
---@field weight? "none"|"fixed"|"scalar"|"vector" add as they are, or a share alpha of a and 1 - alpha of b: fixed, one learned, or one learned for each feature (default none)
---@field alpha? number share of a: of weight = fixed, and the start of the learned ones (default 0.5; 0 to 1)

--- Adds two streams, as they are or with a fixed or learned weight.
---@param options? mls.fusion.sum.Options
---@return mls.Component
function mls.fusion.sum(options) end

---@class mls.fusion.switch.Options
---@field temperature? number width of the slope that learning sees; the choice itself does not depend on it (default 1; 0.01 to 100)

--- Hard routing: at each step one of two streams goes on, chosen by a learned test.
---@param options? mls.fusion.switch.Options
---@return mls.Component
function mls.fusion.switch(options) end

--- Makes the output of the network from the last layer: one at every step, or one for the sequence.
mls.head = {}

---@class mls.head.last.Options

--- A linear map of the last real step.
---@param options? mls.head.last.Options
---@return mls.Component
function mls.head.last(options) end

---@class mls.head.linear.Options

--- A linear map at every step.
---@param options? mls.head.linear.Options
---@return mls.Component
function mls.head.linear(options) end

---@class mls.head.mean.Options

--- A linear map of the mean over real steps.
---@param options? mls.head.mean.Options
---@return mls.Component
function mls.head.mean(options) end

---@class mls.head.spike_count.Options
---@field population? integer neurons for each of the task's outputs (default 1; 1 to 4096)
---@field beta? number part of the membrane that is left after a step (default 0.9; 0 to 1)
---@field threshold? number firing threshold (default 1; 0.001 to 1000)
---@field reset? "subtract"|"subtract_beta"|"zero"|"zero_full"|"none" what a spike does to the membrane (default subtract)
---@field detach_reset? boolean no gradient through the reset (default true)
---@field surrogate? "fast_sigmoid"|"atan"|"sigmoid"|"triangle"|"erf"|"rectangle"|"straight_through" derivative of the spike (default fast_sigmoid)
---@field slope? number steepness of the surrogate; 0: its own default, in the order of the choices 25, 2, 25, 1, 2, 1 and none (default 0; 0 to 1000)
---@field readout? "count"|"max_membrane"|"mean_membrane" spikes of an output over the steps; or the largest membrane of its neurons, or the mean one (default count)
---@field scale? number factor on the output (default 1; 1e-06 to 1000000)

--- Spikes or membranes of leaky neurons for each output, over the sequence.
---@param options? mls.head.spike_count.Options
---@return mls.Component
function mls.head.spike_count(options) end

---@class mls.head.spikes.Options
---@field population? integer neurons for each of the task's outputs (default 1; 1 to 4096)
---@field beta? number part of the membrane that is left after a step (default 0.9; 0 to 1)
---@field threshold? number firing threshold (default 1; 0.001 to 1000)
---@field reset? "subtract"|"subtract_beta"|"zero"|"zero_full"|"none" what a spike does to the membrane (default subtract)
---@field detach_reset? boolean no gradient through the reset (default true)
---@field surrogate? "fast_sigmoid"|"atan"|"sigmoid"|"triangle"|"erf"|"rectangle"|"straight_through" derivative of the spike (default fast_sigmoid)
---@field slope? number steepness of the surrogate; 0: its own default, in the order of the choices 25, 2, 25, 1, 2, 1 and none (default 0; 0 to 1000)
---@field readout? "spikes"|"membrane" spikes: summed over the neurons of an output; membrane: their mean (default spikes)
---@field scale? number factor on the output (default 1; 1e-06 to 1000000)

--- Leaky neurons for each output, read at every step.
---@param options? mls.head.spikes.Options
---@return mls.Component
function mls.head.spikes(options) end

--- Where samples come from: their shape, their splits, and how they are scored. A task has no ports.
mls.task = {}

---@class mls.task.adding.Options
---@field length? integer length of a sample (default 100 steps; 2 to 16777216)
---@field training? integer training samples an epoch (default 10000; 1 to 1000000000)
---@field validation? integer validation samples (default 512; 1 to 1000000000)
---@field test? integer test samples (default 512; 0 to 1000000000)

--- Add the two numbers that were marked in a long sequence of numbers.
---@param options? mls.task.adding.Options
---@return mls.Component
function mls.task.adding(options) end

---@class mls.task.associative_recall.Options
---@field pairs? integer pairs of a key and a value (default 8; 1 to 65536)
---@field keys? integer different keys, at least pairs (default 26; 1 to 65536)
---@field values? integer different values (default 10; 2 to 65536)
---@field queries? integer keys that are asked for (default 1; 1 to 65536)
---@field training? integer training samples an epoch (default 10000; 1 to 1000000000)
---@field validation? integer validation samples (default 512; 1 to 1000000000)
---@field test? integer test samples (default 512; 0 to 1000000000)

--- Say which value stood after a key in a list of pairs.
---@param options? mls.task.associative_recall.Options
---@return mls.Component
function mls.task.associative_recall(options) end

---@class mls.task.copying.Options
---@field symbols? integer data tokens to remember (default 10; 1 to 65536)
---@field delay? integer from the last data token to the delimiter (default 100 steps; 1 to 16777216)
---@field vocabulary? integer tokens in all: blank, delimiter and vocabulary - 2 data tokens (default 10; 3 to 65536)
---@field score? "all"|"answers" every step, of which most have to say blank, or the answers alone (default all)
---@field training? integer training samples an epoch (default 10000; 1 to 1000000000)
---@field validation? integer validation samples (default 512; 1 to 1000000000)
---@field test? integer test samples (default 512; 0 to 1000000000)

--- Repeat a few tokens after a long stretch of blanks: the copying memory problem.
---@param options? mls.task.copying.Options
---@return mls.Component
function mls.task.copying(options) end

---@class mls.task.delayed_copy.Options
---@field length? integer length of a sample (default 256 steps; 2 to 16777216)
---@field symbols? integer different tokens (default 8; 2 to 65536)
---@field delay? integer how far back the answer lies (default 16 steps; 0 to 16777215)
---@field training? integer training samples an epoch (default 10000; 1 to 1000000000)
---@field validation? integer validation samples (default 512; 1 to 1000000000)
---@field test? integer test samples (default 512; 0 to 1000000000)

--- Repeat the token of some steps ago.
---@param options? mls.task.delayed_copy.Options
---@return mls.Component
function mls.task.delayed_copy(options) end

---@class mls.task.dynamics.Options
---@field system? "lorenz"|"oscillators" chaotic and seen whole, or a ring of oscillators whose speeds are hidden (default lorenz)
---@field length? integer length of a sample (default 128 steps; 1 to 1048576)
---@field channels? integer oscillators in the ring (default 4; 1 to 256)
---@field step? number mean time from one observation to the next, in the units of the equations (default 0.05; 0.0001 to 10)
---@field jitter? number how much that time varies, as a share of it; 0 is regular sampling (default 0; 0 to 1)
---@field noise? number standard deviation of the noise on the inputs, where the signal has about 1 (default 0; 0 to 10)
---@field loss? "mse"|"mae" mean squared or mean absolute error (default mse)
---@field training? integer training samples an epoch (default 10000; 1 to 1000000000)
---@field validation? integer validation samples (default 512; 1 to 1000000000)
---@field test? integer test samples (default 512; 0 to 1000000000)

--- The next observation of the Lorenz system or of a ring of oscillators.
---@param options? mls.task.dynamics.Options
---@return mls.Component
function mls.task.dynamics(options) end

---@class mls.task.hdf5.Options
---@field path? string the HDF5 file (default "")
---@field x? string data set of the input, [sample][step][feature] (default "x")
---@field dt? string data set of the step lengths, [sample][step]; may be absent (default "dt")
---@field mask? string data set of 1 for real steps and 0 for padding after them; may be absent (default "mask")
---@field label? string data set of classes, [sample] or [sample][step] (default "label")
---@field target? string data set of values, [sample][value] or [sample][step][value], used where there are no labels (default "target")
---@field length? string data set of the steps (or events) of each sample; where it is there, those of all samples lie one after the other in the other data sets (default "length")
---@field observed? string data set of the shape of x, 1 where a value was observed and 0 where it is missing; it becomes as many further features, "" to leave it out (default "observed")
---@field time? string data set of the times of events, in place of x (default "time")
---@field channel? string data set of the channels of events, from 0 (default "channel")
---@field channels? string data set of one number, of the channels (default "channels")
---@field bin? number events: length of a step, in the unit of time; a step is the number of events of each channel (default 10; 1e-09 to 1e+12)
---@field normalise? "none"|"standard"|"sample" standard: each feature of x less its mean and divided by its deviation, over what was observed for training; sample: each feature of a sample less its mean there, and all divided by their one deviation there, which takes loudness and microphone from a recording (default none)
---@field missing? "zero"|"last" what stands for a missing value: 0, which is the mean where normalised, or what was observed last (default zero)
---@field elapsed_input? boolean the length of the step as the last feature, for components that take no dt (default false)
---@field permutation? integer not 0: the steps of every sample change places in the same random way, which belongs to this number (default 0; 0 to 9.007199255e+15)
---@field longest? integer not 0: steps after this many are left out (default 0; 0 to 16777216)
---@field predict? boolean each step's target is the next step of x; labels and targets are not read (default false)
---@field loss? "mse"|"mae"|"binary" of targets and of the next step: squared or absolute error, or binary channels by their negative log-likelihood in nats a step; classes have cross-entropy (default mse)
---@field validation? number fraction for validation when the file has no group /train (default 0.1; 0 to 1)
---@field test? number fraction for the test, at the end, when the file has no group /train (default 0; 0 to 1)
---@field test_by? string data set of one number for each sample, as speaker, that says which samples are for the test, in place of `test` (default "")
---@field test_from? integer test_by: samples with this number and more (default 0; -2147483648 to 2147483647)
---@field test_to? integer test_by: and up to this number (default 0; -2147483648 to 2147483647)

--- classification or regression from an HDF5 file.
---@param options? mls.task.hdf5.Options
---@return mls.Component
function mls.task.hdf5(options) end

---@class mls.task.induction_heads.Options
---@field length? integer length of a sample (default 256 steps; 3 to 16777216)
---@field vocabulary? integer tokens in all, with the mark (default 16; 3 to 65536)
---@field training? integer training samples an epoch (default 10000; 1 to 1000000000)
---@field validation? integer validation samples (default 512; 1 to 1000000000)
---@field test? integer test samples (default 512; 0 to 1000000000)

--- Say what followed a mark that stood once among random tokens.
---@param options? mls.task.induction_heads.Options
---@return mls.Component
function mls.task.induction_heads(options) end

---@class mls.task.listops.Options
---@field min_length? integer fewest tokens (default 501 steps; 1 to 1048576)
---@field max_length? integer most tokens (default 1999 steps; 1 to 1048576)
---@field max_depth? integer deepest nesting, a digit alone being 1 (default 10; 1 to 64)
---@field max_args? integer most arguments of an operator (default 10; 2 to 1000)
---@field answer? "last"|"pooled" asked at the last step, or of the whole, for a head that pools (default last)
---@field path? string file of labels and expressions, by tabs, to test on in place of drawn ones (default none)
---@field training? integer training samples an epoch (default 10000; 1 to 1000000000)
---@field validation? integer validation samples (default 512; 1 to 1000000000)
---@field test? integer test samples (default 512; 0 to 1000000000)

--- The value of a long nested expression of minima, maxima, medians and sums.
---@param options? mls.task.listops.Options
---@return mls.Component
function mls.task.listops(options) end

---@class mls.task.selective_copying.Options
---@field length? integer steps before the answer (default 256 steps; 1 to 16777216)
---@field symbols? integer data tokens to remember (default 16; 1 to 65536)
---@field vocabulary? integer tokens in all: noise, answer mark and vocabulary - 2 data tokens (default 16; 3 to 65536)
---@field training? integer training samples an epoch (default 10000; 1 to 1000000000)
---@field validation? integer validation samples (default 512; 1 to 1000000000)
---@field test? integer test samples (default 512; 0 to 1000000000)

--- Repeat the data tokens that stood at random places among noise.
---@param options? mls.task.selective_copying.Options
---@return mls.Component
function mls.task.selective_copying(options) end

---@class mls.task.series.Options
---@field path? string folder of .npy files [time][channel], taken in the order of their names (default "")
---@field train? string numbers of the training files, from 0 (default "15-24")
---@field validation? string numbers of the validation files (default "0-4")
---@field test? string numbers of the test files (default "5-14")
---@field window? integer length of a sample (default 32 steps; 1 to 1000000)
---@field stride? integer from one sample to the next (default 10 steps; 1 to 1000000)

--- the next observation of multichannel series, by mean squared error.
---@param options? mls.task.series.Options
---@return mls.Component
function mls.task.series(options) end

---@class mls.task.text.Options
---@field path? string text files or folders of text files, with : between them (default none)
---@field extensions? string of the files to read in a folder, by commas; * for all (default "c,h,md,lua,txt,sh,am,ac")
---@field length? integer length of a sample (default 256 bytes; 1 to 16777216)
---@field validation? number share kept for validation, after the training part (default 0.1; 0 to 0.9)
---@field test? number share kept for the test, at the end (default 0; 0 to 0.9)
---@field order? "random"|"contiguous" training samples: drawn anywhere, or side by side (default random)

--- Next byte of a text file or a folder of text files.
---@param options? mls.task.text.Options
---@return mls.Component
function mls.task.text(options) end

---@class mls.task.xor_events.Options
---@field length? integer steps that a sample has room for; it has up to one bit less (default 24 steps; 3 to 16777216)
---@field step? number length of a bit in dt; 0 is 1 / length (default 0; 0 to 1000000)
---@field events? boolean a step for each change of the bit; else a step for each bit (default true)
---@field elapsed_input? boolean dt is a second channel of the input, for networks that do not use dt (default false)
---@field training? integer training samples an epoch (default 10000; 1 to 1000000000)
---@field validation? integer validation samples (default 512; 1 to 1000000000)
---@field test? integer test samples (default 512; 0 to 1000000000)

--- Parity of a stream of bits of which only the changes and their times are seen.
---@param options? mls.task.xor_events.Options
---@return mls.Component
function mls.task.xor_events(options) end

return mls
