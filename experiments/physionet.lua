-- Who dies in hospital?  The PhysioNet challenge of 2012: 48 hours of an intensive care
-- unit, 41 parameters measured now and then.  Training on set a, test on set b, area under
-- the ROC curve.  Every cell reads the values (the last known where one is missing), which
-- of them were measured, and the hours since the step before; liquid cells have these hours
-- as the length of their step too.
--
--   mls import physionet train: set-a Outcomes-a.txt test: set-b Outcomes-b.txt -o stays.h5
--   mls check experiments/physionet.lua
--   mls run   experiments/physionet.lua -j1
--
-- Data: $MLS_DATA/physionet2012/stays.h5, or ../shared/data beside the repository.
local mls = require "mls"

-- Between two and three passes over set a.  They, the dropout and the mean over time were
-- chosen by hand on a fifth of set a, which was held out then.
local PARAMETERS, STEPS, BATCH = 24000, 300, 32

local cell = {
  cfc         = function (e) return mls.liquid.cfc { backbone_units = 48 + e } end,
  cfc_pure    = function (e) return mls.liquid.cfc { backbone_units = 48 + e, mode = "pure" } end,
  cfc_no_gate = function (e) return mls.liquid.cfc { backbone_units = 48 + e, mode = "no_gate" } end,
  wired_cfc   = function () return mls.liquid.wired_cfc {} end,
  ltc         = function () return mls.liquid.ltc { ode_unfolds = 3 } end,
  gru         = function () return mls.liquid.gru {} end,
  lstm        = function () return mls.liquid.lstm {} end,
}

local function network (p)
  local net = mls.network {
    width = p.width or 48, layers = 1, dropout = 0.3, head = mls.head.mean {},
    liq = cell[p.cell](p.extra or 0),
  }
  return net:wire "input -> liq -> output"
end

return mls.study {
  name    = "physionet",
  help    = "liquid cells and gated ones at equal size on irregular records",
  task    = mls.task.hdf5 { path = mls.data "physionet2012/stays.h5", normalise = "standard",
                            missing = "last", elapsed_input = true },
  network = network,
  vary    = { cell = { "cfc", "cfc_pure", "cfc_no_gate", "wired_cfc", "gru", "lstm",
                       "ltc" } },
  budget  = { parameters = PARAMETERS, width = "width", fine = "extra", step = 1,
              tolerance = 0.06 },
  seeds   = 3,
  train   = { optimiser = mls.optimiser.adamw { lr = 3e-3, weight_decay = 0.1, clip = 1 },
              steps = STEPS, batch = BATCH },
  record  = { { "liq.out", every = STEPS // 2, samples = 1 } },
  measure = { "test.auc", "test.loss", "test.accuracy" },
  compare = { by = "test.auc", against = { cell = "gru" } },
  floors  = { { name = "logistic regression on statistics", value = 0.868 } },
  timeout = 3600,
  smoke   = { task = { longest = 20 },
              train = { steps = 2, batch = 2, evaluate_batches = 1 },
              record = { { "liq.out", samples = 1 } } },
}
