-- Does a readout that gathers evidence help, or is every step best read by itself?
@START@

local function network (p)
  return mls.network {
    width = 32, layers = 1,
    liq  = mls.liquid.cfc { backbone_units = 32 },
    head = p.head == "@NAME@" and mls.head.@NAME@ {} or mls.head.linear {},
  } : wire "input -> liq -> output"
end

return mls.study {
  name    = "@NAME@",
  help    = "head.@NAME@ against head.linear",
  task    = mls.task.delayed_copy { length = 48, symbols = 4, delay = 4, validation = 128, test = 128 },
  network = network,
  vary    = { head = { "@NAME@", "linear" } },
  seeds   = 3,
  train   = { optimiser = mls.optimiser.adamw { lr = 1e-2, clip = 1 }, steps = 300, batch = 16 },
  record  = { { "head.out", every = 100, samples = 1 } },
  measure = { "loss", "accuracy" },
  compare = { by = "accuracy", against = { head = "linear" } },
  smoke   = { seeds = 1, train = { steps = 2, batch = 2 } },
}
