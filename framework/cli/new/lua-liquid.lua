-- @NAME@.lua - leaky integrators whose time constants depend on the input.
--
--   f[t] = tanh(W x[t] + b)                      where the state is drawn to
--   r[t] = softplus(R x[t] + c)                  how fast, per unit of time
--   h[t] = e[t] h[t-1] + (1 - e[t]) f[t],        e = exp(-r[t] dt[t]): exact for any dt
--
-- Reference: Hasani, Lechner, Amini, Rus, Grosu 2021, "Liquid Time-constant Networks"
-- (AAAI); here the units are not coupled, so that one scan does the whole sequence.
-- What to change first: f and r.  mls validate @NAME@.lua says whether it is still right.
local mls = require "mls"

return mls.component {
  kind = "liquid", name = "@NAME@",
  help = "Leaky integrators whose time constants depend on the input.",
  options = {
    units = { 0, min = 0, max = 65536, help = "units; 0: the network's width" },
    tau = { 2.0, min = 0.05, max = 1e4, unit = "steps", help = "time constant at the start" },
  },
  ports = {                                          -- the arguments of forward, then results
    { "in", "in", "T B in", help = "input of each step" },
    { "dt", "in", "T B 1", maybe = true, help = "length of each step, 1 when unconnected" },
    { "mask", "in", "T B 1", maybe = true, help = "real steps" },
    { "out", "out", "T B units", help = "state after each step" },
  },
  setup = function (c)
    local n, m = c:width "units", c:width "in"
    local rate = math.log(math.exp(1 / c.tau) - 1)   -- softplus(rate) = 1 / tau
    return {
      w = c:weight("weight", n, m), b = c:weight("bias", 1, n, "zeros"),
      r = c:weight("rate.weight", n, m),
      rb = c:weight("rate.bias", 1, n, { "constant", rate, no_decay = true }),
      h = c:state("h", n, { help = "what is integrated" }),
    }
  end,
  forward = function (c, x, dt, mask)
    local f, r = x:linear(c.w, c.b):tanh(), x:linear(c.r, c.rb):softplus()
    if dt then r = r * dt end
    local e = (-r):exp()
    return e:scan((1 - e) * f, c.h, mask)            -- a masked step keeps h
  end,
}
