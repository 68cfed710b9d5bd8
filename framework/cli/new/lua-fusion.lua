-- @NAME@.lua - two streams mixed by a gate of each feature, which sees both.
--
--   g = sigmoid(sharpness (P a + Q b + c))
--   out = g a + (1 - g) b
--
-- Every step by itself: no state, so masks and chunks change nothing.
-- Reference: Arevalo, Solorio, Montes-y-Gomez, Gonzalez 2017, "Gated Multimodal Units for
-- Information Fusion" (without its tanh of the streams).
-- What to change first: g.  mls validate @NAME@.lua says whether it is still right.
local mls = require "mls"

return mls.component {
  kind = "fusion", name = "@NAME@", flags = { "causal", "streams" },
  help = "Mixes two streams by a gate of each feature.",
  options = {
    sharpness = { 1.0, min = 0.01, max = 100, help = "large: the gate takes one or the other" },
  },
  ports = {                                          -- the arguments of forward, then results
    { "a", "in", "T B n", help = "first stream: the gate's own share" },
    { "b", "in", "T B n", help = "second stream" },
    { "out", "out", "T B n", help = "g a + (1 - g) b" },
  },
  setup = function (c)
    local n = c:width "a"
    return { p = c:weight("a.weight", n, n), q = c:weight("b.weight", n, n),
             bias = c:weight("bias", 1, n, "zeros") }
  end,
  forward = function (c, a, b)
    local g = ((a:linear(c.p, c.bias) + b:linear(c.q)) * c.sharpness):sigmoid()
    c:tap("gate", g, nil, "share of a in each feature")
    return g * a + (1 - g) * b
  end,
}
