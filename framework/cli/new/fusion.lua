-- A liquid cell and Mamba side by side: is a gate of each feature better than a sum?
@START@

local function network (p)
  return mls.network {
    width = 32, layers = 1,
    liq  = mls.liquid.cfc { backbone_units = 32 },
    mix  = mls.mixer.mamba { state = 8 },
    fuse = p.fuse == "@NAME@" and mls.fusion.@NAME@ {} or mls.fusion.sum {},
  } : wire "input -> liq -> fuse.a; input -> mix -> fuse.b; fuse -> output"
end

return mls.study {
  name    = "@NAME@",
  help    = "fusion.@NAME@ against fusion.sum",
  task    = mls.task.delayed_copy { length = 48, symbols = 4, delay = 4, validation = 128, test = 128 },
  network = network,
  vary    = { fuse = { "@NAME@", "sum" } },
  seeds   = 3,
  train   = { optimiser = mls.optimiser.adamw { lr = 1e-2, clip = 1 }, steps = 300, batch = 16 },
  record  = { { "fuse.out", every = 100, samples = 1 } },
  measure = { "loss", "accuracy" },
  compare = { by = "accuracy", against = { fuse = "sum" } },
  smoke   = { seeds = 1, train = { steps = 2, batch = 2 } },
}
