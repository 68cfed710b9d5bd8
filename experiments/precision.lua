-- Does it matter to a text model that what waits for backward is kept in 16 bits?
--
--   mls run experiments/precision.lua          some 10 minutes of one core
--
-- The text: $MLS_DATA/tinyshakespeare/input.txt, or ../shared/data beside the repository.
local mls = require "mls"

return mls.study {
  name    = "precision",
  help    = "float32 and mixed precision on tinyshakespeare, three seeds each",
  task    = mls.task.text { path = mls.data "tinyshakespeare/input.txt", length = 256,
                            validation = 0.1 },
  network = function (p) return mls.modes[p.mode] { width = 96, layers = 2 } end,
  vary    = { mode = { "sequential" }, ["train.precision"] = { "float32", "mixed" } },
  seeds   = 3,
  train   = { optimiser = mls.optimiser.adamw { lr = 3e-3, weight_decay = 0.1, clip = 1 },
              steps = 600, batch = 8, evaluate_every = 100 },
  measure = { "nats", "bits", "accuracy", "spike_rate" },
  compare = { by = "nats", against = { ["train.precision"] = "float32" } },
  smoke   = { train = { steps = 2, batch = 2, evaluate_every = 0, evaluate_batches = 1 },
              task = { length = 32 } },
}
