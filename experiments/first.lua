-- Who can repeat a token of eight steps ago: a liquid cell, Mamba, or one after the other?
--   mls run experiments/first.lua -j2          about a minute
local mls = require "mls"

local function network (p)
  local net = mls.network {
    width = 32, layers = 1,
    enc = mls.encoder.lif { beta = 0.9 },
  }
  if p.half ~= "mamba" then net.liq = mls.liquid.cfc { backbone_units = 32 } end
  if p.half ~= "liquid" then net.mix = mls.mixer.mamba { state = p.state } end
  net:wire (p.half == "liquid" and "input -> enc -> liq -> output"
         or p.half == "mamba"  and "input -> enc -> mix -> output"
         or                        "input -> enc -> liq -> mix -> output")
  return net
end

return mls.study {
  name    = "first",
  task    = mls.task.delayed_copy { length = 64, symbols = 8, delay = 8 },
  network = network,
  vary    = { half = { "liquid", "mamba", "both" }, state = { 4, 16 } },
  where   = function (p) return p.half ~= "liquid" or p.state == 4 end,
  seeds   = 3,
  train   = { optimiser = mls.optimiser.adamw { lr = 5e-3 }, steps = 400, batch = 16 },
  record  = { { "enc.spikes", every = 100, samples = 1 } },
  measure = { "loss", "accuracy", "spike_rate" },
  compare = { by = "accuracy", against = { half = "both" } },
}
