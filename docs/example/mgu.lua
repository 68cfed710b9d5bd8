-- mgu.lua - a minimal gated unit whose gate acts over a step of length dt.
--
--   z[t] = sigmoid(Wz x[t] + Uz h[t-1] + bz)
--   g[t] = tanh(Wg x[t] + Ug (z[t] h[t-1]) + bg)
--   h[t] = h[t-1] + k[t] (g[t] - h[t-1]),   k[t] = 1 - (1 - z[t])^dt[t]
--
-- With dt = 1 k is z, and this is the minimal gated unit of Zhou, Wu, Zhang, Zhou 2016,
-- "Minimal Gated Unit for Recurrent Neural Networks" (arXiv:1603.09420); z is their f.
-- The exponent dt is an addition. mgu.c is the same in C, with the same weights.
local mls = require "mls"

return mls.component {
  kind = "liquid", name = "mgu", help = "Minimal gated unit over steps of any length.",
  options = { units = { 0, min = 0, max = 65536, help = "units; 0: the network's width" } },
  ports = {
    { "in", "in", "T B in", help = "what it is fed" },
    { "dt", "in", "T B 1", maybe = true, help = "length of each step; 1 if open" },
    { "mask", "in", "T B 1", maybe = true, help = "0: the step leaves the state alone" },
    { "out", "out", "T B units", help = "the state h" },
  },
  setup = function (c)
    local n, m = c:width "units", c:width "in"
    return {
      wz = c:weight("gate.weight", n, m), uz = c:weight("gate.recurrent", n, n),
      wg = c:weight("value.weight", n, m), ug = c:weight("value.recurrent", n, n),
      bz = c:weight("gate.bias", 1, n, "zeros"), bg = c:weight("value.bias", 1, n, "zeros"),
      h = c:state("h", n, { help = "what is remembered" }),
    }
  end,
  forward = function (c, x, dt, mask)
    -- What does not depend on h is done for the whole sequence at once.
    local xz, xg, h = x:linear(c.wz, c.bz), x:linear(c.wg, c.bg), c:load(c.h)
    local all, gates = {}, {}
    for t = 0, #x - 1 do
      local a = xz:steps(t, 1) + h:linear(c.uz)
      local z = a:sigmoid()
      local g = (xg:steps(t, 1) + (z * h):linear(c.ug)):tanh()
      local k = z                                    -- 1 - z = exp(-softplus(a))
      if dt then k = 1 - (a:softplus() * dt:steps(t, 1)):negate():exp() end
      if mask then k = k * mask:steps(t, 1) end
      h = h + k * (g - h)
      all[t + 1], gates[t + 1] = h, z
    end
    c:store(c.h, h)
    c:tap("gate", c:join(gates), nil, "z: how far a step of length 1 goes")
    return c:join(all)
  end,
}
