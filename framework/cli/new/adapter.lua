-- Does a trace that each channel learns say more of the spikes than a fixed one?
@START@

local function network (p)
  return mls.network {
    width = 32, layers = 1,
    enc = mls.encoder.lif { beta = 0.9 },
    ad  = p.ad == "@NAME@" and mls.adapter.@NAME@ { tau = 5 } or mls.adapter.temporal { tau = 5 },
    liq = mls.liquid.cfc { backbone_units = 32 },
  } : wire "input -> enc -> ad -> liq -> output"
end

return mls.study {
  name    = "@NAME@",
  help    = "adapter.@NAME@ against adapter.temporal",
  task    = mls.task.delayed_copy { length = 48, symbols = 4, delay = 4, validation = 128, test = 128 },
  network = network,
  vary    = { ad = { "@NAME@", "temporal" } },
  seeds   = 3,
  train   = { optimiser = mls.optimiser.adamw { lr = 1e-2, clip = 1 }, steps = 300, batch = 16 },
  record  = { { "ad.filtered", every = 100, samples = 1 } },
  measure = { "loss", "accuracy" },
  compare = { by = "accuracy", against = { ad = "temporal" } },
  smoke   = { seeds = 1, train = { steps = 2, batch = 2 } },
}
