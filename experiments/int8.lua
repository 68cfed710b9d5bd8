-- Language models large enough that their weights matter, for mls quantize: what do weights
-- of 8 bits take and give?
--
--   mls run experiments/int8.lua -j1
--   for d in results/int8/*/; do mls quantize $d -o $d/int8.h5; done
--
-- The text is not part of the project: $MLS_DATA/tinyshakespeare/input.txt, or
-- ../shared/data beside the repository.
local mls = require "mls"

local STEPS, LENGTH, BATCH = 1500, 256, 8

local function network (p)
  return mls.modes[p.model] {
    width = 256, layers = p.model == "mamba" and 4 or 2, dropout = 0.1,
  }
end

return mls.study {
  name    = "int8",
  help    = "language models of 1.4 to 1.8 million weights, to be rounded to 8 bits",
  task    = mls.task.text { path = mls.data "tinyshakespeare/input.txt", length = LENGTH,
                            validation = 0.1 },
  network = network,
  vary    = { model = { "mamba", "sequential", "attention" } },
  seeds   = 1,
  train   = { optimiser = mls.optimiser.adamw { lr = 2e-3, clip = 1 }, steps = STEPS,
              batch = BATCH, evaluate_every = 500, evaluate_batches = 8 },
  measure = { "nats" },
  smoke   = { train = { steps = 2, batch = 2, evaluate_every = 0, evaluate_batches = 1 },
              task = { length = 32 } },
}
