-- @NAME@.lua - leaky readout: evidence for each output is gathered and fades.
--
--   e[t] = W x[t] + b
--   U[t] = l U[t-1] + (1 - l) e[t],       l = sigmoid(decay), one per output
--   out[t] = U[t] / temperature
--
-- One output a step; a task with one target a sequence wants the port's shape
-- "1 B output", and u:last(mask).  A masked step keeps U.
-- Reference: Neftci, Mostafa, Zenke 2019, "Surrogate Gradient Learning in Spiking Neural
-- Networks" (IEEE Signal Processing Magazine), with a decay that is learned here.
-- What to change first: u.  mls validate @NAME@.lua says whether it is still right.
local mls = require "mls"

return mls.component {
  kind = "head", name = "@NAME@",
  help = "Leaky readout: evidence for each output is gathered and fades.",
  options = {
    tau = { 0.5, min = 0.1, max = 1e4, unit = "steps", help = "time constant at the start" },
    temperature = { 1.0, min = 0.01, max = 100, help = "the outputs are divided by it" },
  },
  ports = {                                          -- the arguments of forward, then results
    { "in", "in", "T B n", help = "features" },
    { "mask", "in", "T B 1", maybe = true, help = "real steps" },
    { "out", "out", "T B output", help = "logits or predictions, one a step" },
  },
  setup = function (c)
    local n, m = c:width "out", c:width "in"
    local decay = -math.log(math.exp(1 / c.tau) - 1) -- sigmoid(decay) = exp(-1 / tau)
    return {
      w = c:weight("weight", n, m), b = c:weight("bias", 1, n, "zeros"),
      decay = c:weight("decay", 1, n, { "constant", decay, no_decay = true }),
      u = c:state("u", n, { help = "evidence gathered so far" }),
    }
  end,
  forward = function (c, x, mask)
    local e = x:linear(c.w, c.b)
    local l = e * 0 + c.decay:sigmoid()              -- one value an output, at each step
    return l:scan((1 - l) * e, c.u, mask):scale(1 / c.temperature)
  end,
}
