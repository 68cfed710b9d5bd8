-- What of a mixer remembers data among noise?  Selective copying: 4 tokens at random
-- places in 256 steps, said again in their order.  Mamba with its other discretizations
-- and with its selectivity switched off, part by part, and the other mixers, at about
-- equal size.  `mamba_lti` selects nothing: it is an S4 with Mamba's gate and convolution.
--
--   mls check experiments/mixers.lua
--   mls run   experiments/mixers.lua -j1
local mls = require "mls"

-- Mamba of width 32; attention, which no small knob can tune, comes within 4 % of it.
local PARAMETERS, STEPS, BATCH = 20300, 1600, 32
local LENGTH, SYMBOLS, VOCABULARY = 256, 4, 6

local mamba = {
  mamba          = {},
  mamba_zoh      = { discretization = "zoh" },
  mamba_bilinear = { discretization = "bilinear" },
  mamba_no_delta = { selective_delta = false },
  mamba_no_bc    = { selective_b = false, selective_c = false },
  mamba_lti      = { selective_delta = false, selective_b = false, selective_c = false },
}

local other = {
  mamba2           = function (e) return mls.mixer.mamba2 { state = 32 + e, head = 16 } end,
  s4d              = function (e) return mls.mixer.s4d { state = 32 + 2 * e } end,
  linear_attention = function () return mls.mixer.linear_attention { heads = 4 } end,
  multiscale       = function (e) return mls.mixer.multiscale { channels = 48 + e } end,
  attention        = function () return mls.mixer.attention { heads = 4 } end,
}

local function mixer (p)
  local e = p.extra or 0
  if other[p.mixer] then return other[p.mixer](e) end
  local t = { state = 16 + e }
  for k, v in pairs(mamba[p.mixer]) do t[k] = v end
  return mls.mixer.mamba(t)
end

local function network (p)
  local net = mls.network { width = p.width or 32, layers = 2, mix = mixer(p) }
  return net:wire "input -> mix -> output"
end

return mls.study {
  name    = "mixers",
  help    = "mixers at equal size on selective copying, Mamba also without its parts",
  task    = mls.task.selective_copying { length = LENGTH, symbols = SYMBOLS,
                                         vocabulary = VOCABULARY },
  network = network,
  vary    = { mixer = { "mamba", "mamba_zoh", "mamba_bilinear", "mamba_no_delta",
                        "mamba_no_bc", "mamba_lti", "mamba2", "s4d", "linear_attention",
                        "multiscale", "attention" } },
  budget  = { parameters = PARAMETERS, width = "width", fine = "extra", step = 8,
              tolerance = 0.06 },
  seeds   = { 11, 12, 13 },
  train   = { optimiser = mls.optimiser.adamw { lr = 5e-3, clip = 1 }, steps = STEPS,
              batch = BATCH, evaluate_every = STEPS // 5 },
  record  = { { "mix.out", every = STEPS // 5, samples = 1 } },
  measure = { "loss", "accuracy" },
  compare = { by = "accuracy", against = { mixer = "mamba" } },
  floors  = { { name = "chance", value = 1 / (VOCABULARY - 2) } },
  timeout = 3600,
  smoke   = { train = { steps = 2, batch = 2, evaluate_every = 0, evaluate_batches = 1 },
              task = { length = 32, symbols = 4 } },
}
