-- Six wirings at equal size on characters of Shakespeare: what does each half buy?
--
--   mls check experiments/text_modes.lua        widths found by the budget
--   mls run   experiments/text_modes.lua -j2    resumes where it stopped
--
-- The text is not part of the project: $MLS_DATA/tinyshakespeare/input.txt, or
-- ../shared/data beside the repository.
local mls = require "mls"

-- 235,000 is what a transformer of width 96 has, the one that no small knob can tune.
-- Each trial sees 5.1 million characters, five times the training text.
local PARAMETERS, STEPS, LENGTH, BATCH, RECORD = 235000, 2500, 256, 8, 500

-- `width` is a multiple of 8, so that heads divide it; `extra` closes what that leaves
-- open in the one place of each wiring that takes any size.
local function network (p)
  local extra = p.extra or 0
  return mls.modes[p.mode] {
    width = p.width or 64, layers = 2, dropout = 0.1, chunk = 32,
    encoder   = mls.encoder.lif { beta = 0.95 },
    adapter   = mls.adapter.temporal { tau = 20 },
    liquid    = mls.liquid.cfc { backbone_units = 64 + extra },
    mixer     = mls.mixer.mamba { state = 16 + (p.mode == "mamba" and extra or 0) },
    fusion    = p.mode == "bidirectional" and mls.fusion.cross_attention { heads = 4, weight = "gate" }
                or mls.fusion.gate { heads = 4 },
    attention = mls.mixer.attention { heads = 4 },
  }
end

return mls.study {
  name    = "text_modes",
  help    = "six wirings at equal size on tinyshakespeare",
  task    = mls.task.text { path = mls.data "tinyshakespeare/input.txt", length = LENGTH,
                            validation = 0.1 },
  network = network,
  vary    = { mode = { "sequential", "parallel", "bidirectional", "mamba", "liquid",
                       "attention" } },
  budget  = { parameters = PARAMETERS, width = "width", fine = "extra", step = 8 },
  seeds   = 3,
  train   = { optimiser = mls.optimiser.adamw { lr = 3e-3, weight_decay = 0.1, clip = 1 },
              steps = STEPS, batch = BATCH, evaluate_every = STEPS // 10,
              checkpoint_every = STEPS // 10 },
  record  = { { "enc.spikes", every = RECORD, samples = 1 },
              { "liq.out", every = RECORD, samples = 1 },
              { "liq.tau", every = RECORD, samples = 1 },
              { "fuse.[ag]*", every = RECORD, samples = 1 } },
  measure = { "nats", "bits", "accuracy", "spike_rate" },
  compare = { by = "nats", against = { mode = "mamba" } },
  floors  = { { name = "4-gram Witten-Bell", value = 1.669 } },
  smoke   = { train = { steps = 2, batch = 2, evaluate_every = 0, evaluate_batches = 1 },
              task = { length = 32 }, budget = { parameters = 60000, tolerance = 0.2 } },
}
