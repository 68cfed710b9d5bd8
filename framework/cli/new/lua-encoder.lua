-- @NAME@.lua - leaky integrate-and-fire neurons that learn their own decay.
--
--   I[t] = W x[t] + b
--   U[t] = beta U[t-1] + I[t] - theta S'[t],   S'[t] = H(U[t-1] - theta),
--   S[t] = H(U[t] - theta)                     beta = sigmoid(decay), one per neuron
--
-- In backward every step H has the slope of an arctangent, (k/2) / (1 + (pi k x / 2)^2).
-- A masked step keeps U and has no spike.
-- Reference: Fang, Yu, Chen, Masquelier, Huang, Tian 2021, "Incorporating Learnable
-- Membrane Time Constant to Enhance Learning of Spiking Neural Networks" (ICCV).
-- What to change first: the line with `new`.  mls validate @NAME@.lua says whether it is right.
local mls = require "mls"

return mls.component {
  kind = "encoder", name = "@NAME@",
  help = "Leaky integrate-and-fire neurons that learn their own decay.",
  options = {
    units = { 0, min = 0, max = 65536, help = "neurons; 0: the network's width" },
    tau = { 10.0, min = 0.5, max = 1e4, unit = "steps", help = "time constant at the start" },
    threshold = { 1.0, min = 1e-3, max = 1e3, help = "firing threshold" },
    slope = { 2.0, min = 0.1, max = 100, help = "steepness k of the surrogate" },
  },
  ports = {                                          -- the arguments of forward, then results
    { "in", "in", "T B in", help = "input" },
    { "mask", "in", "T B 1", maybe = true, help = "real steps" },
    { "spikes", "out", "T B units", spikes = true, help = "0 or 1; 0 at a masked step" },
    { "membrane", "out", "T B units", help = "U of the step; held at a masked step" },
  },
  setup = function (c)
    local n, m = c:width "units", c:width "in"
    local decay = -math.log(math.exp(1 / c.tau) - 1) -- sigmoid(decay) = exp(-1 / tau)
    return {
      w = c:weight("weight", n, m), b = c:weight("bias", 1, n, "zeros"),
      decay = c:weight("decay", 1, n, { "constant", decay, no_decay = true }),
      u = c:state("u", n, { help = "membrane potential" }),
    }
  end,
  forward = function (c, x, mask)
    local current, u = x:linear(c.w, c.b), c:load(c.u)
    local beta, spikes, membrane = c.decay:sigmoid(), {}, {}
    for t = 0, #x - 1 do
      local reset = (u - c.threshold):spike("atan", c.slope) * c.threshold
      local new = u * beta + current:steps(t, 1) - reset
      local s = (new - c.threshold):spike("atan", c.slope)
      if mask then
        local real = mask:steps(t, 1)
        new, s = new * real + u * (1 - real), s * real
      end
      u, spikes[t + 1], membrane[t + 1] = new, s, new
    end
    c:store(c.u, u)
    return c:join(spikes), c:join(membrane)
  end,
}
