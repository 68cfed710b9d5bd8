-- Which way of putting a liquid cell and Mamba together predicts the next byte best?
-- The three integration modes, and Mamba and attention alone, at equal size, on this
-- project's own sources and documents.  The losses are over the first 32 batches of the
-- validation text.
--
--   mls check experiments/integration_modes.lua
--   mls run   experiments/integration_modes.lua -j2       about 3 minutes on 2 cores
local mls = require "mls"

local PARAMETERS, STEPS, LENGTH, BATCH = 64000, 1600, 128, 8

-- `width` is a multiple of 8, so that heads divide it; `extra` closes what that leaves
-- open in the one place of each wiring that takes any size.
local function network (p)
  local extra = p.extra or 0
  return mls.modes[p.mode] {
    width = p.width or 48, layers = 2, chunk = 32,
    encoder   = mls.encoder.lif { beta = 0.95 },
    adapter   = mls.adapter.temporal { tau = 20 },
    liquid    = mls.liquid.cfc { backbone_units = 32 + extra },
    mixer     = mls.mixer.mamba { state = 16 + (p.mode == "mamba" and extra or 0) },
    fusion    = p.mode == "bidirectional"
                and mls.fusion.cross_attention { heads = 4, weight = "gate" }
                or mls.fusion.gate { heads = 4 },
    attention = mls.mixer.attention { heads = 4 },
    mlp       = mls.mixer.mlp { ratio = 3, more = extra },
  }
end

return mls.study {
  name    = "integration_modes",
  help    = "three integration modes against Mamba alone and attention alone",
  task    = mls.task.text { path = mls.here .. "/../framework:" .. mls.here .. "/../plugins:"
                            .. mls.here .. "/../docs", extensions = "c,h,lua,md",
                            length = LENGTH },
  network = network,
  vary    = { mode = { "sequential", "parallel", "bidirectional", "mamba", "attention" } },
  budget  = { parameters = PARAMETERS, width = "width", fine = "extra", step = 8 },
  seeds   = 3,
  train   = { optimiser = mls.optimiser.adamw { lr = 3e-3, clip = 1 }, steps = STEPS,
              batch = BATCH, evaluate_every = STEPS // 5, evaluate_batches = 32 },
  record  = { { "enc.spikes", every = STEPS // 5, samples = 1 },
              { "liq.out", every = STEPS // 5, samples = 1 } },
  measure = { "loss", "bits", "accuracy", "spike_rate" },
  compare = { by = "loss", against = { mode = "mamba" } },
  timeout = 600,
  smoke   = { train = { steps = 2, batch = 2, evaluate_every = 0, evaluate_batches = 1 },
              task = { length = 32 } },
}
