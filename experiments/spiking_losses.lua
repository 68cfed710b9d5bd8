-- Five losses of a spiking classifier (snnTorch's, docs/studies.md): which of four channels
-- fired first, and which one later?
--   mls run experiments/spiking_losses.lua -j2          some minutes
local mls = require "mls"

-- Of the two halves of a sample each has a channel of its own that fires more often than the
-- others do: 16 classes.
mls.component {
  kind = "task", name = "two_bursts", help = "Which channel is busy in the first half, which later",
  options = { length = { 30, min = 2, max = 1000, unit = "steps", help = "steps of a sample" } },
  setup = function (c) return { steps = c.length, input = 4, output = 16, per_step = false } end,
  count = function (_, split) return split == "training" and 2000 or 400 end,
  fill = function (c, _, _, random)
    local busy, x = { random(4), random(4) }, {}
    for t = 1, c.length do
      for k = 1, 4 do
        local rate = k == busy[2 * t > c.length and 2 or 1] and 0.5 or 0.1
        x[#x + 1] = random() < rate and 1 or 0
      end
    end
    return { x = x, label = { 4 * busy[1] + busy[2] - 5 } }
  end,
}

-- what each loss reads: spikes or membranes, of every step or of the sequence
local heads = {
  ce_rate         = mls.head.spikes { readout = "spikes" },
  ce_count        = mls.head.spike_count { readout = "count", population = 4 },
  ce_max_membrane = mls.head.spike_count { readout = "max_membrane" },
  mse_count       = mls.head.spike_count { readout = "count", population = 4 },
  mse_membrane    = mls.head.spikes { readout = "membrane" },
}

local function network (p)
  return mls.network {
    width = 32, layers = 1, norm = "none", residual = false, head = heads[p.loss],
    enc = mls.encoder.lif { beta = 0.9, units = 32 },
    rec = mls.encoder.rlif { beta = 0.9, recurrent = "all_to_all" },
  } :wire "input -> enc -> rec -> output"
end

return mls.study {
  name    = "spiking_losses",
  help    = "counts, rates and membranes of a spiking head as losses",
  task    = mls.task.two_bursts {},
  network = network,
  vary    = { loss = { "ce_rate", "ce_count", "ce_max_membrane", "mse_count", "mse_membrane" } },
  seeds   = 3,
  train   = function (p)
    return { optimiser = mls.optimiser.adamw { lr = 5e-3 }, steps = 600, batch = 32,
             loss = p.loss, loss_on = p.loss == "mse_count" and 0.3 or 1.0,
             loss_off = p.loss == "mse_count" and 0.03 or 0.0 }
  end,
  measure = { "loss", "accuracy", "spike_rate", "synops", "dense_macs", "macs" },
  compare = { by = "accuracy", against = { loss = "ce_count" } },
}
