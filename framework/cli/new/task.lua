-- Who can keep count: a liquid cell, whose step is not linear in its state, or Mamba?
@START@

local function network (p)
  local net = mls.network { width = 32, layers = 1 }
  net.mid = p.mid == "cfc" and mls.liquid.cfc { backbone_units = 32 }
            or mls.mixer.mamba { state = 8 }
  return net:wire "input -> mid -> output"
end

return mls.study {
  name    = "@NAME@",
  help    = "task.@NAME@: a liquid cell against Mamba",
  task    = mls.task.@NAME@ { length = 16, validation = 128, test = 128 },
  network = network,
  vary    = { mid = { "cfc", "mamba" } },
  seeds   = 3,
  train   = { optimiser = mls.optimiser.adamw { lr = 1e-2, clip = 1 }, steps = 300, batch = 16 },
  record  = { { "mid.out", every = 100, samples = 1 } },
  measure = { "loss", "accuracy" },
  compare = { by = "accuracy", against = { mid = "mamba" } },
  smoke   = { seeds = 1, train = { steps = 2, batch = 2 } },
}
