-- How should two halves of a network meet?  A liquid cell and Mamba, side by side on the
-- spikes, joined by each fusion, at equal size on characters of Shakespeare.
--
--   mls check experiments/fusions.lua        widths found by the budget
--   mls run   experiments/fusions.lua -j1
--
-- 2,500 steps are 2.6 passes over the text: not enough to come to the floor.
--
-- The text is not part of the project: $MLS_DATA/tinyshakespeare/input.txt, or
-- ../shared/data beside the repository.
local mls = require "mls"

local PARAMETERS, STEPS, LENGTH, BATCH = 135000, 2500, 128, 8

local fusion = {
  sum             = mls.fusion.sum { weight = "vector" },
  gate            = mls.fusion.gate { heads = 4 },
  film            = mls.fusion.film { bound = "tanh" },
  concat          = mls.fusion.concat {},
  switch          = mls.fusion.switch {},
  cross_attention = mls.fusion.cross_attention { heads = 4, weight = "gate" },
}

-- `extra` closes in the liquid cell what widths that are multiples of 8 leave open.
local function network (p)
  return mls.modes.parallel {
    width = p.width or 64, layers = 2, dropout = 0.1,
    encoder = mls.encoder.lif { beta = 0.95 },
    adapter = mls.adapter.temporal { tau = 20 },
    liquid  = mls.liquid.cfc { backbone_units = 48 + (p.extra or 0) },
    mixer   = mls.mixer.mamba { state = 16 },
    fusion  = fusion[p.fusion],
  }
end

return mls.study {
  name    = "fusions",
  help    = "six fusions of a liquid cell and Mamba at equal size on tinyshakespeare",
  task    = mls.task.text { path = mls.data "tinyshakespeare/input.txt", length = LENGTH,
                            validation = 0.1 },
  network = network,
  vary    = { fusion = { "sum", "gate", "film", "concat", "switch", "cross_attention" } },
  budget  = { parameters = PARAMETERS, width = "width", fine = "extra", step = 8 },
  seeds   = 3,
  train   = { optimiser = mls.optimiser.adamw { lr = 3e-3, weight_decay = 0.1, clip = 1 },
              steps = STEPS, batch = BATCH, evaluate_every = STEPS },
  record  = { { "enc.spikes", every = STEPS // 2, samples = 1 },
              { "fuse.out", every = STEPS // 2, samples = 1 } },
  measure = { "nats", "bits", "accuracy", "spike_rate" },
  compare = { by = "nats", against = { fusion = "sum" } },
  floors  = { { name = "4-gram Witten-Bell", value = 1.669 } },
  timeout = 3600,
  smoke   = { train = { steps = 2, batch = 2, evaluate_every = 0, evaluate_batches = 1 },
              task = { length = 32 }, budget = { parameters = 60000, tolerance = 0.2 } },
}
