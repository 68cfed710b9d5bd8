-- What do uncoupled liquid units remember, beside the closed-form cell?
@START@

local function network (p)
  return mls.network {
    width = 32, layers = 1,
    liq = p.liq == "@NAME@" and mls.liquid.@NAME@ { tau = 2 }
          or mls.liquid.cfc { backbone_units = 32 },
  } : wire "input -> liq -> output"
end

return mls.study {
  name    = "@NAME@",
  help    = "liquid.@NAME@ against liquid.cfc",
  task    = mls.task.delayed_copy { length = 48, symbols = 4, delay = 4, validation = 128, test = 128 },
  network = network,
  vary    = { liq = { "@NAME@", "cfc" } },
  seeds   = 3,
  train   = { optimiser = mls.optimiser.adamw { lr = 1e-2, clip = 1 }, steps = 300, batch = 16 },
  record  = { { "liq.out", every = 100, samples = 1 } },
  measure = { "loss", "accuracy" },
  compare = { by = "accuracy", against = { liq = "cfc" } },
  smoke   = { seeds = 1, train = { steps = 2, batch = 2 } },
}
