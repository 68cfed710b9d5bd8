-- @NAME@.lua - real-gated linear recurrence: each channel decides how long it remembers.
--
--   u = W x,   r = sigmoid(R u + b_r),   i = sigmoid(I u + b_i)
--   a[t] = exp(-power softplus(lambda) r[t])
--   h[t] = a[t] h[t-1] + sqrt(1 - a[t]^2) (i[t] u[t])
--   out  = O (gelu(G x) h)
--
-- Reference: De, Smith, Fernando et al. 2024, "Griffin: Mixing Gated Linear Recurrences
-- with Local Attention for Efficient Language Models" (the RG-LRU, without its
-- convolution; gates are full matrices here, blocks there).
-- What to change first: a, and what enters h.  mls validate @NAME@.lua says whether it is right.
local mls = require "mls"

return mls.component {
  kind = "mixer", name = "@NAME@",
  help = "Real-gated linear recurrence: each channel decides how long it remembers.",
  options = {
    inner = { 0, min = 0, max = 65536, help = "channels that remember; 0: the width of the input" },
    power = { 8.0, min = 0.1, max = 100, help = "how far the gate reaches" },
  },
  ports = {                                          -- the arguments of forward, then results
    { "in", "in", "T B n", help = "sequence" },
    { "mask", "in", "T B 1", maybe = true, help = "real steps" },
    { "out", "out", "T B n", help = "mixed sequence" },
  },
  setup = function (c)
    local m = c:width "in"
    local n = c.inner > 0 and c.inner or m
    return {
      w = c:weight("weight", n, m), g = c:weight("gate", n, m), o = c:weight("out", m, n),
      r = c:weight("r.weight", n, n), rb = c:weight("r.bias", 1, n, "zeros"),
      i = c:weight("i.weight", n, n), ib = c:weight("i.bias", 1, n, "zeros"),
      lambda = c:weight("lambda", 1, n, { "range", -8, -4, no_decay = true }),
      h = c:state("h", n, { help = "what each channel remembers" }),
    }
  end,
  forward = function (c, x, mask)
    local u = x:linear(c.w)
    local r, i = u:linear(c.r, c.rb):sigmoid(), u:linear(c.i, c.ib):sigmoid()
    local e = r * c.lambda:softplus() * -c.power     -- log a
    local kept = (1 - (2 * e):exp() + 1e-12):sqrt()
    local h = e:exp():scan(kept * i * u, c.h, mask)  -- a masked step keeps h
    return (x:linear(c.g):gelu() * h):linear(c.o)
  end,
}
