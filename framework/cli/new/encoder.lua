-- Does an encoder that learns its decay remember better than one whose decay is fixed?
@START@

local function network (p)
  return mls.network {
    width = 32, layers = 1,
    enc = p.enc == "@NAME@" and mls.encoder.@NAME@ { tau = 5 } or mls.encoder.lif { beta = 0.82 },
    ad  = mls.adapter.temporal { tau = 5 },
    liq = mls.liquid.cfc { backbone_units = 32 },
  } : wire "input -> enc -> ad -> liq -> output"
end

return mls.study {
  name    = "@NAME@",
  help    = "encoder.@NAME@ against encoder.lif",
  task    = mls.task.delayed_copy { length = 48, symbols = 4, delay = 4, validation = 128, test = 128 },
  network = network,
  vary    = { enc = { "@NAME@", "lif" } },
  seeds   = 3,
  train   = { optimiser = mls.optimiser.adamw { lr = 1e-2, clip = 1 }, steps = 300, batch = 16 },
  record  = { { "enc.spikes", every = 100, samples = 1 }, { "enc.membrane", every = 100, samples = 1 } },
  measure = { "loss", "accuracy" },
  compare = { by = "accuracy", against = { enc = "lif" } },
  smoke   = { seeds = 1, train = { steps = 2, batch = 2 } },
}
