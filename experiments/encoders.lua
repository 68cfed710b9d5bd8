-- Which encoder turns sound into spikes best?  Spoken digits, of a speaker who was not
-- heard in training: six tests, each leaving one speaker out, so that the figure to set
-- beside the floor is the mean over `speaker`.  The encoders' spikes go to a liquid cell;
-- all networks are of about equal size.  `identity` is the control without spikes.
--
-- Each recording is normalised by itself, over its whole length: the speakers' microphones
-- differ more than their voices.
--
--   mls import wav recordings -o digits.h5 --hop 20 --window 32 --bands 30
--   mls check experiments/encoders.lua
--   mls run   experiments/encoders.lua -j1        198 trials
--
-- Data: $MLS_DATA/fsdd/digits.h5, or ../shared/data beside the repository.
local mls = require "mls"

local WIDTH, STEPS, BATCH = 64, 400, 32

local encoder = {
  identity   = mls.encoder.identity {},
  lif        = mls.encoder.lif { beta = 0.9 },
  plif       = mls.encoder.plif {},
  alif       = mls.encoder.alif {},
  rlif       = mls.encoder.rlif {},
  synaptic   = mls.encoder.synaptic {},
  izhikevich = mls.encoder.izhikevich { preset = "fast_spiking", steps = 20, gain = 60,
                                       slope = 5 },
  delta      = mls.encoder.delta {},
  population = mls.encoder.population {},
  rate       = mls.encoder.rate { gain = 0.25, offset = 0.5 },
  phase      = mls.encoder.phase {},
}

-- By hand, not by `budget`: that would open the data for every width that it tries.
local units = { identity = 11, rate = 11, rlif = -11, delta = 5, population = 8, phase = 8 }

local function network (p)
  local net = mls.network {
    width = WIDTH, layers = 1, dropout = 0.3, head = mls.head.mean {},
    enc = encoder[p.encoder],
    ad  = mls.adapter.temporal { tau = 5 },
    liq = mls.liquid.cfc { backbone_units = 48 + (units[p.encoder] or 0) },
  }
  return net:wire "input -> enc -> ad -> liq -> output"
end

return mls.study {
  name    = "encoders",
  help    = "encoders at equal size on spoken digits, leaving a speaker out",
  task    = function (p)
    return mls.task.hdf5 { path = mls.data "fsdd/digits.h5", normalise = "sample",
                           longest = 50, test_by = "speaker", test_from = p.speaker,
                           test_to = p.speaker }
  end,
  network = network,
  vary    = { encoder = { "identity", "lif", "plif", "alif", "rlif", "synaptic",
                          "izhikevich", "delta", "population", "rate", "phase" },
              speaker = { 0, 1, 2, 3, 4, 5 } },
  seeds   = { 11, 12, 13 },
  train   = { optimiser = mls.optimiser.adamw { lr = 3e-3, weight_decay = 0.3, clip = 1 },
              steps = STEPS, batch = BATCH, evaluate_every = STEPS // 2 },
  record  = { { "enc.spikes", every = STEPS // 2, samples = 1 } },
  measure = { "test.loss", "test.accuracy", "spike_rate" },
  compare = { by = "test.accuracy", against = { encoder = "lif" }, over = "speaker" },
  floors  = { { name = "floor without one speaker", value = 0.69 } },
  smoke   = { vary = { speaker = { 2 } }, task = { longest = 20 },
              train = { steps = 2, batch = 2, evaluate_every = 0, evaluate_batches = 1 },
              record = { { "enc.spikes", samples = 1 } } },
}
