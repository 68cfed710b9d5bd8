-- Which way of putting a liquid cell and Mamba together predicts the next byte best?
-- The three wirings, and each half's rival alone, on this project's own sources.
--
--   mls check experiments/integration_modes.lua
--   mls run   experiments/integration_modes.lua -j2       about 3 minutes on 2 cores
local mls = require "mls"

local STEPS, WIDTH, LAYERS, LENGTH, BATCH = 600, 48, 2, 96, 8

local function network (p)
  return mls.modes[p.mode] {
    width = WIDTH, layers = LAYERS, chunk = 32,
    encoder   = mls.encoder.lif { beta = 0.95 },
    adapter   = mls.adapter.temporal { tau = 20 },
    liquid    = mls.liquid.cfc { backbone_units = WIDTH },
    mixer     = mls.mixer.mamba { state = 16 },
    fusion    = p.mode == "bidirectional" and mls.fusion.cross_attention { heads = 4 }
                or mls.fusion.gate { heads = 4 },
    attention = mls.mixer.attention { heads = 4 },
  }
end

return mls.study {
  name    = "integration_modes",
  help    = "three integration modes against Mamba alone and attention alone",
  task    = mls.task.text { path = mls.here .. "/../framework", extensions = "c,h,lua",
                            length = LENGTH },
  network = network,
  vary    = { mode = { "sequential", "parallel", "bidirectional", "mamba", "attention" } },
  seeds   = 3,
  train   = { optimiser = mls.optimiser.adamw { lr = 3e-3, clip = 1 }, steps = STEPS,
              batch = BATCH, evaluate_every = STEPS // 5, evaluate_batches = 16 },
  record  = { { "enc.spikes", every = STEPS // 5, samples = 1 } },
  measure = { "loss", "bits", "accuracy", "spike_rate" },
  compare = { by = "loss", against = { mode = "mamba" } },
  timeout = 600,
  smoke   = { train = { steps = 2, batch = 2, evaluate_every = 0, evaluate_batches = 1 },
              task = { length = 32 }, network = { width = 16, layers = 1 },
              record = { { "enc.spikes", samples = 1 } } },
}
