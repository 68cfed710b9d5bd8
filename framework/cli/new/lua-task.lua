-- @NAME@.lua - keep count: the sum of all tokens so far, modulo their number.
--
--   label[t] = (token[0] + ... + token[t]) mod symbols       at every step
--
-- symbols = 2 is parity.  Accuracy is about 1 / symbols without a state that follows the
-- whole sequence.  With shortest > 0 samples have between `shortest` and `length` steps.
-- Reference: Merrill, Petty, Sabharwal 2024, "The Illusion of State in State-Space Models".
-- What to change first: fill, and the shape in setup that says what it fills.
-- mls validate @NAME@.lua says whether a sample depends on nothing but its arguments.
local mls = require "mls"

return mls.component {
  kind = "task", name = "@NAME@", help = "Keep the sum of all tokens, modulo their number.",
  options = {
    length = { 32, min = 1, max = 16777216, unit = "steps", help = "length of a sample" },
    shortest = { 0, min = 0, max = 16777216, unit = "steps",
                 help = "length of the shortest sample; 0: all have the same" },
    symbols = { 2, min = 2, max = 65536, help = "tokens, and the modulus" },
    training = { 10000, min = 1, max = 1000000000, help = "training samples an epoch" },
    validation = { 512, min = 1, max = 1000000000, help = "validation samples" },
    test = { 512, min = 0, max = 1000000000, help = "test samples" },
  },
  setup = function (c)
    if c.shortest > c.length then
      c:fail(("shortest = %d is more than length = %d"):format(c.shortest, c.length))
    end
    return { steps = c.length, vocabulary = c.symbols, output = c.symbols, per_step = true,
             has_mask = c.shortest > 0 and c.shortest < c.length }
  end,
  count = function (c, split) return c[split] end,
  fill = function (c, split, index, random)          -- random(m, n): a whole number
    local steps = c.shortest > 0 and random(c.shortest, c.length) or c.length
    local token, label, sum = {}, {}, 0
    for t = 1, steps do
      token[t] = random(0, c.symbols - 1)
      sum = (sum + token[t]) % c.symbols
      label[t] = sum
    end
    return { token = token, label = label }
  end,
}
