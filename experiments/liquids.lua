-- Which cell counts time best?  Parity of a stream of bits of which only the changes are
-- seen (event XOR): how many ones there were lies in the times alone.  Every cell has
-- about as many weights and reads the elapsed time as a second input; liquid cells have it
-- as the length of their step too.
--
--   mls check experiments/liquids.lua
--   mls run   experiments/liquids.lua -j1       about 4 minutes on one busy core
--
-- Few steps: the published runs train for hundreds of epochs.  Who is still at chance
-- here has not been shown to stay there.
local mls = require "mls"

local PARAMETERS, STEPS, BATCH = 6000, 3000, 64

local cell = {
  cfc         = function (e) return mls.liquid.cfc { backbone_units = 16 + e } end,
  cfc_pure    = function (e) return mls.liquid.cfc { backbone_units = 16 + e, mode = "pure" } end,
  cfc_no_gate = function (e) return mls.liquid.cfc { backbone_units = 16 + e, mode = "no_gate" } end,
  ltc         = function () return mls.liquid.ltc { ode_unfolds = 3 } end,
  wired_cfc   = function () return mls.liquid.wired_cfc {} end,
  gru         = function () return mls.liquid.gru {} end,
  lstm        = function () return mls.liquid.lstm {} end,
}

local function network (p)
  local net = mls.network {
    width = p.width or 16, layers = 1, norm = "none", residual = false,
    liq = cell[p.cell](p.extra or 0),
  }
  return net:wire "input -> liq -> output"
end

return mls.study {
  name    = "liquids",
  help    = "liquid cells and gated ones at equal size on event XOR",
  task    = mls.task.xor_events { length = 16, elapsed_input = true, test = 4096 },
  network = network,
  vary    = { cell = { "cfc", "cfc_pure", "cfc_no_gate", "ltc", "wired_cfc", "gru", "lstm" } },
  budget  = { parameters = PARAMETERS, width = "width", fine = "extra", step = 1,
              tolerance = 0.06 },
  seeds   = 3,
  train   = { optimiser = mls.optimiser.adamw { lr = 5e-3, clip = 1 }, steps = STEPS,
              batch = BATCH, evaluate_every = STEPS // 5 },
  record  = { { "liq.out", every = STEPS // 5, samples = 1 } },
  measure = { "loss", "accuracy" },
  compare = { by = "accuracy", against = { cell = "gru" } },
  floors  = { { name = "chance", value = 0.5 } },
  smoke   = { train = { steps = 2, batch = 2, evaluate_every = 0, evaluate_batches = 1 },
              task = { length = 8 }, record = { { "liq.out", samples = 1 } } },
}
