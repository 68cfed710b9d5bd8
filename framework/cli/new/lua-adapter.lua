-- @NAME@.lua - spikes to values: a fading trace that each channel learns, then a linear map.
--
--   a[t] = l a[t-1] + (1 - l) s[t],       l = sigmoid(decay), one per channel
--   out[t] = W a[t] + b
--
-- A masked step keeps a.
-- Reference: Gerstner, Kistler, Naud, Paninski 2014, "Neuronal Dynamics", chapter 3.
-- What to change first: a (a second, slower trace?).  mls validate @NAME@.lua says whether it
-- is still right.
local mls = require "mls"

return mls.component {
  kind = "adapter", name = "@NAME@",
  help = "Spikes to values by a fading trace that each channel learns.",
  options = {
    units = { 0, min = 0, max = 65536, help = "outputs; 0: the network's width" },
    tau = { 5.0, min = 0.5, max = 1e4, unit = "steps", help = "time constant at the start" },
  },
  ports = {                                          -- the arguments of forward, then results
    { "spikes", "in", "T B in", help = "spike trains" },
    { "mask", "in", "T B 1", maybe = true, help = "real steps" },
    { "out", "out", "T B units", help = "projected traces" },
  },
  setup = function (c)
    local n, m = c:width "units", c:width "spikes"
    local decay = -math.log(math.exp(1 / c.tau) - 1) -- sigmoid(decay) = exp(-1 / tau)
    return {
      w = c:weight("weight", n, m), b = c:weight("bias", 1, n, "zeros"),
      decay = c:weight("decay", 1, m, { "constant", decay, no_decay = true }),
      a = c:state("trace", m, { help = "fading mean of the spikes" }),
    }
  end,
  forward = function (c, s, mask)
    local l = s * 0 + c.decay:sigmoid()              -- one value a channel, at each step
    local a = l:scan((1 - l) * s, c.a, mask)
    c:tap("filtered", a, nil, "trace of the spikes before the linear map")
    return a:linear(c.w, c.b)
  end,
}
