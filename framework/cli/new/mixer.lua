-- How far does a diagonal recurrence get, beside Mamba?
@START@

local function network (p)
  return mls.network {
    width = 32, layers = 1,
    mix = p.mix == "@NAME@" and mls.mixer.@NAME@ {} or mls.mixer.mamba { state = 8 },
  } : wire "input -> mix -> output"
end

return mls.study {
  name    = "@NAME@",
  help    = "mixer.@NAME@ against mixer.mamba",
  task    = mls.task.delayed_copy { length = 48, symbols = 4, delay = 4, validation = 128, test = 128 },
  network = network,
  vary    = { mix = { "@NAME@", "mamba" } },
  seeds   = 3,
  train   = { optimiser = mls.optimiser.adamw { lr = 1e-2, clip = 1 }, steps = 300, batch = 16 },
  record  = { { "mix.out", every = 100, samples = 1 } },
  measure = { "loss", "accuracy" },
  compare = { by = "accuracy", against = { mix = "mamba" } },
  smoke   = { seeds = 1, train = { steps = 2, batch = 2 } },
}
