-- Small, but with all that a killed run must get right: three wirings, dropout, spikes and
-- states recorded between checkpoints, evaluations, a best checkpoint.
local mls = require "mls"

return mls.study {
  name    = "kill",
  task    = mls.task.delayed_copy { length = 32, delay = 4, training = 64,
                                    validation = 8, test = 8 },
  network = function (p)
    return mls.modes[p.mode] { width = 16, layers = 1, dropout = 0.1, chunk = 8 }
  end,
  vary    = { mode = { "sequential", "parallel", "bidirectional" } },
  seeds   = 2,
  train   = { steps = 60, batch = 4, checkpoint_every = 10, evaluate_every = 20 },
  record  = { { "enc.spikes", every = 3 }, { "liq.out", every = 7, samples = 1 } },
  measure = { "loss", "accuracy", "spike_rate" },
}
