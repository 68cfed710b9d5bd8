-- Standard attention against Mamba and the three modes at equal size on characters of
-- Shakespeare: what a step of training costs at T characters of context, and how well
-- each predicts after equally many characters and after equal time.
--
--   mls check experiments/claims.lua            MiB a step, before anything is run
--   mls run   experiments/claims.lua -j1        docs/claims.md
--   mls run   experiments/claims.lua -j1 --filter part=cost
--
-- The text is not part of the project: $MLS_DATA/tinyshakespeare/input.txt, or
-- ../shared/data beside the repository.
local mls = require "mls"

local PARAMETERS, LENGTH, BATCH, STEPS = 135000, 512, 4, 1000

-- Steps that take about as long as 1,200 steps of attention where docs/claims.md was made.
local equal_time = { attention = 1200, mamba = 1400, sequential = 1700, parallel = 1700,
                     bidirectional = 700 }

-- A window bounds what the bidirectional mode's halves see of one another; attention sees
-- all of its context.
local function network (p)
  local extra = p.extra or 0
  return mls.modes[p.model] {
    width = p.width or 64, layers = 2, dropout = p.part ~= "cost" and 0.1 or 0,
    encoder   = mls.encoder.lif { beta = 0.95 },
    adapter   = mls.adapter.temporal { tau = 20 },
    liquid    = mls.liquid.cfc { backbone_units = 48 + extra },
    mixer     = mls.mixer.mamba { state = 16 + (p.model == "mamba" and extra or 0) },
    fusion    = p.model == "bidirectional" and mls.fusion.cross_attention { window = 256 }
                or mls.fusion.gate { heads = 4 },
    attention = mls.mixer.attention { heads = 4 },
  }
end

return mls.study {
  name    = "claims",
  help    = "attention, Mamba and the three modes: cost at T, quality at equal size and time",
  task    = function (p)
    return mls.task.text { path = mls.data "tinyshakespeare/input.txt", length = p.length,
                           validation = 0.1 }
  end,
  network = network,
  vary    = { part = { "cost", "tokens", "time" },
              model = { "attention", "mamba", "sequential", "parallel", "bidirectional" },
              length = { 256, 512, 1024, 2048, 4096, 16384 } },
  where   = function (p) return p.part == "cost" or p.length == LENGTH end,
  budget  = { parameters = PARAMETERS, width = "width", fine = "extra", step = 8 },
  seeds   = 3,
  train   = function (p)
    local adamw = mls.optimiser.adamw { lr = 3e-3, weight_decay = 0.1, clip = 1 }
    if p.part == "cost" then
      return { optimiser = adamw, steps = 8, batch = 1, evaluate_every = 0,
               evaluate_batches = 1 }
    end
    local steps = p.part == "time" and equal_time[p.model] or STEPS
    return { optimiser = adamw, steps = steps, batch = BATCH, evaluate_every = steps }
  end,
  measure = { "nats", "bits", "accuracy" },
  compare = { by = "nats", against = { model = "attention" } },
  floors  = { { name = "4-gram Witten-Bell", value = 1.669 } },
  smoke   = { train = { steps = 2, batch = 2, evaluate_every = 0, evaluate_batches = 1 },
              vary = { part = { "cost", "tokens" }, length = { 512 } },
              task = { length = 32 }, budget = { parameters = 60000, tolerance = 0.2 } },
}
