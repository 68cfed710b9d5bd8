-- The liquid literature's own case: the next observation of a running half-cheetah, 17
-- joint angles and speeds.  The floors are a ridge regression on two frames, and copying
-- the last frame, which the alternating gait punishes.
--
--   mls run experiments/cheetah.lua -j2
--
-- Data: $MLS_DATA/cheetah, or ../shared/data/cheetah beside the repository.
local mls = require "mls"

local WIDTH, EPOCHS = 32, 40

local function network (p)
  return mls.modes[p.mode] {
    width = WIDTH, layers = 1, chunk = 8,
    encoder   = mls.encoder.lif { beta = 0.9 },
    adapter   = mls.adapter.temporal { tau = 5 },
    liquid    = mls.liquid.cfc { backbone_units = 64 },
    mixer     = mls.mixer.mamba { state = 8 },
    fusion    = p.mode == "bidirectional" and mls.fusion.cross_attention { heads = 4 }
                or mls.fusion.gate { heads = 4 },
    attention = mls.mixer.attention { heads = 4 },
  }
end

return mls.study {
  name    = "cheetah",
  help    = "one-step prediction of half-cheetah kinematics",
  task    = mls.task.series { path = mls.data "cheetah" },
  network = network,
  vary    = { mode = { "sequential", "parallel", "bidirectional", "mamba", "liquid",
                       "attention" } },
  seeds   = 3,
  train   = { optimiser = mls.optimiser.adamw { lr = 5e-3, clip = 1 }, epochs = EPOCHS,
              batch = 16, evaluate_every = 100 },
  record  = { { "enc.spikes", every = 500, samples = 1 } },
  measure = { "test.loss", "validation.loss", "spike_rate" },
  compare = { by = "loss", against = { mode = "liquid" } },
  floors  = { { name = "ridge on two frames", value = 3.169 },
              { name = "copy the last frame", value = 62.87 } },
  smoke   = { train = { epochs = 0, steps = 2, evaluate_every = 0, evaluate_batches = 1 },
              record = { { "enc.spikes", samples = 1 } } },
}
