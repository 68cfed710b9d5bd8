-- A training loop written by hand; it comes to the same bits as `mls train` with the same
-- settings.    mls lua docs/example/by_hand.lua [FILE]
local mls = require "mls"
local steps, file = 40, arg[1] or "by_hand.h5"

local data = mls.open(mls.task.delayed_copy { length = 16, symbols = 4, delay = 2,
                                              training = 64, validation = 16 })
local net = mls.build(mls.modes.sequential { width = 16, layers = 1, dropout = 0.1 }, data)
local opt = net:optimiser { optimiser = mls.optimiser.adamw { lr = 3e-3, clip = 1 },
                            schedule = mls.schedule.cosine { warmup = 5 }, steps = steps }
local loss
for step in mls.progress(steps, { loss = function () return loss:item() end,
                                  save = { net, file, opt } }) do
  local batch = data:batch { index = step - 1, batch = 8 }
  local y, states = net:forward(batch)
  loss = mls.loss.cross_entropy(y, batch.label)
  loss:backward()
  opt:step()
end

local batch = data:batch { split = "validation", batch = 16 }
local y = net:forward(batch, nil, { train = false })
print("validation loss", mls.loss.cross_entropy(y, batch.label):item())
net:save(file, opt)
