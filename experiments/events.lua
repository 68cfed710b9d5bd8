-- What do products made of events alone save in a whole step of training, at the spike
-- rates that training comes to, and with a regulariser that holds the rate low?
--
--   mls run experiments/events.lua -j1          alone on the machine: its figure is tokens/s
--
-- The text is not part of the project: $MLS_DATA/tinyshakespeare/input.txt, or
-- ../shared/data beside the repository.
local mls = require "mls"

local STEPS, LENGTH, BATCH = 300, 256, 8

local function network (p)
  local encoder = { beta = 0.9, threshold = 1 }
  if p.rate == "regularised" then
    encoder.rate_low, encoder.rate_high, encoder.rate_weight = 0, 0.02, 20
  end
  return mls.network {
    width = 128, layers = 2, events = p.events,
    enc = mls.encoder.lif (encoder),
    liq = mls.liquid.cfc { backbone_units = 128 },
  }:wire "input -> enc -> liq -> output"
end

return mls.study {
  name    = "events",
  help    = "products of events alone in whole training steps, with and without a low rate",
  task    = mls.task.text { path = mls.data "tinyshakespeare/input.txt", length = LENGTH,
                            validation = 0.1 },
  network = network,
  vary    = { events = { "never", "auto" }, rate = { "free", "regularised" } },
  seeds   = 3,
  train   = { optimiser = mls.optimiser.adamw { lr = 3e-3, clip = 1 }, steps = STEPS,
              batch = BATCH, evaluate_every = STEPS, evaluate_batches = 4 },
  measure = { "nats", "spike_rate" },
  compare = { by = "nats", against = { events = "never" } },
  smoke   = { train = { steps = 2, batch = 2, evaluate_every = 0, evaluate_batches = 1 },
              task = { length = 32 } },
}
