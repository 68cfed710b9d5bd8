-- What a script can do with a net; TAP on standard output.  arg[1]: a folder for files.
local mls = require "mls"
local dir = arg[1]
local n = 0

local function ok (good, name)
  n = n + 1
  print((good and "ok %d - %s" or "not ok %d - %s"):format(n, name))
end

local function fails (pattern, f, name)
  local fine, why = pcall(f)
  ok(not fine and tostring(why):find(pattern) and tostring(why):find "^[^:]*model%.lua:%d+: ",
    name or pattern)
  if fine then print "# no error" elseif not tostring(why):find(pattern) then print("# " .. why) end
end

local function near (a, b, tolerance) return math.abs(a - b) <= (tolerance or 1e-6) end

local function same (a, b)
  if type(a) ~= "table" then return a == b end
  if #a ~= #b then return false end
  for i = 1, #a do if not same(a[i], b[i]) then return false end end
  return true
end

local task = mls.task.delayed_copy { length = 12, symbols = 4, delay = 2, training = 64,
                                     validation = 10 }
local function build (seed)
  return mls.build(mls.modes.sequential { width = 8, layers = 1,
    liquid = mls.liquid.cfc { backbone_units = 8 }, mixer = mls.mixer.mamba { state = 2 } },
    task, { seed = seed })
end

-- ---- free tensors ---------------------------------------------------------------------------
do
  local a = mls.tensor { { { 1, 2 }, { 3, 4 } }, { { 5, 6 }, { 7, 8 } } }
  ok(same(a.shape, { 2, 2, 2 }) and #a == 2, "shape and length")
  ok(same(a:totable(), { { { 1, 2 }, { 3, 4 } }, { { 5, 6 }, { 7, 8 } } }), "to a table and back")
  ok(same((2 * a + a / 2 - 1):totable(), (a * 2.5 - 1):totable()), "arithmetic with numbers")
  ok(same((8 / a):totable()[2][2], { 8 / 7 // (1 / 2 ^ 40) * (1 / 2 ^ 40), 1 }) or
    near((8 / a):get(1, 1, 0), 8 / 7), "a number over a tensor")
  ok(same((-a):totable(), (0 - a):totable()), "minus")
  local row = mls.tensor { { { 10, 20 } } }
  ok(same((a + row):totable()[2][2], { 17, 28 }) and same((row - a):totable()[1][1], { 9, 18 })
    and near((row / a):get(1, 1, 1), 2.5), "either side is spread over the other")
  ok(same(a:slice(1, 1):totable(), { { { 2 }, { 4 } }, { { 6 }, { 8 } } }), "slice counts from 0")
  ok(same(a:steps(1):totable(), { { { 5, 6 }, { 7, 8 } } }), "steps")
  ok(same(a:join(a).shape, { 4, 2, 2 }) and same(a:concat(a, a).shape, { 2, 2, 6 }), "join, concat")
  ok(a:sum():get(1, 1, 0) == 15 and a:mean():get(0, 0, 0) == 1.5, "sum and mean over features")
  ok(same(a:pool("sum"):totable(), { { { 6, 8 }, { 10, 12 } } })
    and same(a:last():totable(), { { { 5, 6 }, { 7, 8 } } }), "pool and last over time")
  ok(same(a:scan(a).shape, { 2, 2, 2 }) and a:scan(a):get(1, 0, 0) == 5 * 1 + 5, "scan")
  ok(same(mls.tensor { { { -1, 2 } } }:spike("atan"):totable(), { { { 0, 1 } } }), "spike")
  ok(near(mls.tensor { 3 }:log():exp():sqrt():square():abs():item(), 3), "unary functions")
  ok(same(a:copy():set(7):totable()[1][1], { 7, 7 }) and a:get(0, 0, 0) == 1, "a copy is another")
  ok(tostring(a) == "tensor [2][2][2] 1 2 3 4 5 6 ...", "as text")
  fails("slice: 2 from 1 on of 2 features", function () return a:slice(1, 2) end)
  fails("did you mean 'sigmoid'", function () return a:sigmiod() end)
  fails("%[2%]%[2%]%[2%] with %[3%]%[1%]%[1%]", function () return a + mls.tensor { 1, 2, 3 } end)
  fails("argument 2 %(w%): expected a tensor, found a nil", function () return a:linear() end)
  fails("the table holds 3 numbers", function () a:set { 1, 2, 3 } end)
  fails("ragged", function () return mls.tensor { { 1, 2 }, { 3 } } end)
  fails("holds a string value", function () return mls.tensor { 1, "x" } end)
  fails("cannot be made", function () return mls.tensor(1 << 40, 1 << 40, 8) end)
  fails("expected last, mean or sum", function () return a:pool "lasd" end)
  fails("attention needs a state", function () return a:attention(a:concat(a), { heads = 1 }) end)
  a:write(dir .. "/t.h5", "group/a")
  row:write(dir .. "/t.h5", "row")
  ok(same(mls.tensor.read(dir .. "/t.h5", "group/a"):totable(), a:totable())
    and same(mls.tensor.read(dir .. "/t.h5", "row"):totable(), row:totable()), "HDF5 and back")
  fails("already", function () a:write(dir .. "/t.h5", "group/a") end)
  fails("did you mean", function () return mls.tensor.read(dir .. "/t.h5", "rov") end)
  fails("no whole HDF5 file", function () a:write(arg[0], "a") end)
end

-- ---- forward, states --------------------------------------------------------------------------
do
  local net = build(3)
  local x = { { 1, 2 }, { 3, 1 }, { 2, 2 }, { 1, 3 } }
  local y, states = net:forward(x, nil, { train = false, exact = true })
  ok(same(y.shape, { 4, 2, 4 }), "the shape of the output")
  ok(states["layer0.liq.h"].shape[3] == 8, "states by name")
  local whole = y:totable()
  local first, s = net:forward({ x[1], x[2] }, nil, { train = false, exact = true })
  first = first:totable()
  local rest = net:forward({ x[3], x[4] }, s, { train = false, exact = true }):totable()
  ok(same(whole, { first[1], first[2], rest[1], rest[2] }), "states that go back in continue")
  s["layer0.liq.h"]:set(0.5)
  ok(not same(net:forward({ x[3], x[4] }, s, { train = false, exact = true }):totable(), rest),
    "a state that was written counts")
  ok(same(net:forward(mls.tensor(4, 2, 1):set { 1, 2, 3, 1, 2, 2, 1, 3 }, nil,
    { train = false, exact = true }):totable(), whole), "a tensor of tokens")
  fails("did you mean 'layer0.liq.h'", function () return states["layer0.liq.j"] end)
  fails("no state 'layer0.lig.h'", function () net:forward(x, { ["layer0.lig.h"] = s["layer0.liq.h"] }) end)
  fails("state 'layer0.%S+' is %[1%]%[2%]%[%d+%], expected %[1%]%[1%]%[%d+%]",
    function () net:forward({ 1, 2 }, s) end)
  fails("this tensor is gone", function () return y + 1 end)
  ok(tostring(y):find "gone", "a dead tensor says so as text")
  fails("token 9", function () net:forward { 1, 9 } end)
  local before = net:forward(x)
  fails("no whole number", function () net:forward { 1, 0.5 } end)
  fails("this tensor is gone", function () return before + 1 end, "a forward that fails ends the one before")
  fails("wants %[steps%]%[samples%] of tokens", function () net:forward { { { 1, 2 } } } end)
  fails("did you mean 'train'", function () net:forward(x, nil, { trian = false }) end)
  fails("expected %[4%]%[2%] as x", function () net:forward(x, nil, { mask = { 1, 1, 1 } }) end)
  fails("did you mean 'forward'", function () net:foward(x) end)
  ok(pcall(net.forward, net, x), "after all these errors a forward works")
  net:record { "enc.spikes", "*.h" }
  local _, _, taps = net:forward(x)
  ok(same(taps["layer0.enc.spikes"].shape, { 4, 2, 8 }) and taps["layer0.liq.h"], "recorded values")
  fails("did you mean 'layer0.enc.spikes'", function () net:record { "layer0.enc.spikez" } end)
  local spikes
  for _, c in ipairs(net:channels()) do spikes = spikes or c.spikes and c.name end
  ok(spikes == "layer0.enc.spikes", "channels")
end

-- ---- losses, gradients --------------------------------------------------------------------------
do
  local net, other = build(3), build(4)
  local x, label = { 1, 2, 3, 1, 2 }, { 1, -1, 3, 1, 2 }
  local name = "head.weight"
  local w = net:weight(name)
  local function loss_at (grad)
    local y = net:forward(x)
    local loss = mls.loss.cross_entropy(y, label) + 0.1 * mls.loss.mean(y:square())
                 + mls.loss.mean(w:square())
    if grad then net:zero_grad(); loss:backward() end
    return loss:item()
  end
  loss_at(true)
  local g = net:grad(name):get(0, 1, 2)
  local old, h = w:get(0, 1, 2), 1e-2
  local all = w:totable()
  all[1][2][3] = old + h; w:set(all); local up = loss_at()
  all[1][2][3] = old - h; w:set(all); local down = loss_at()
  ok(near(g, (up - down) / (2 * h), 2e-4), "the gradient of a combined loss is its slope")
  if not near(g, (up - down) / (2 * h), 2e-4) then print("#", g, (up - down) / (2 * h)) end
  local y = net:forward(x)
  local loss = mls.loss.cross_entropy(y, label, { 1, 1, 0, 1, 1 })
  other:forward(x)
  ok(pcall(loss.backward, loss), "another net's forward in between does not matter")
  fails("a second time", function () loss:backward() end)
  fails("backward has been run", function () return y + 1 end)
  ok(loss:item() > 0 and #y:totable() == 5, "reading goes on after backward")
  fails("expected the output of a forward", function () mls.loss.mse(mls.tensor { 1 }, { 1 }) end)
  fails("classes 0 to 3", function () mls.loss.cross_entropy(net:forward(x), { 1, 2, 3, 4, 1 }) end)
  fails("expected %[5%]%[1%]%[1%]", function () mls.loss.cross_entropy(net:forward(x), { 1, 2 }) end)
  fails("wants a loss of one number", function () net:forward(x):backward() end)
  fails("train = false", function ()
    mls.loss.mean(net:forward(x, nil, { train = false })):backward()
  end)
  fails("another network", function () return net:forward(x) + other:forward(x) end)
  fails("did you mean 'head.weight'", function () return net:weight "haed.weight" end)
  local shaped = mls.build(mls.network { width = 4, layers = 1, n = mls.liquid.cfc {} }
    :wire "input -> n -> output", { steps = 3, input = 2, output = 1, loss = "mse" })
  local out = shaped:forward { { 1, 2 }, { 3, 4 }, { 5, 6 } }
  local e = mls.loss.mse(out, { 1, 0 / 0, 1 })
  local want = ((out:get(0, 0, 0) - 1) ^ 2 + (out:get(2, 0, 0) - 1) ^ 2) / 2
  ok(near(e:item(), want), "mse leaves NaN out")
  local size = mls.loss.mae(out, { 1, 0 / 0, 1 })
  want = (math.abs(out:get(0, 0, 0) - 1) + math.abs(out:get(2, 0, 0) - 1)) / 2
  ok(near(size:item(), want), "mae leaves NaN out")
  fails("wants %[steps%]%[samples%]%[2%]", function () shaped:forward { { { 1, 2, 3 } } } end)
  fails("built from a shape", function () shaped:data() end)
  fails("epochs and tokens need", function () shaped:optimiser { epochs = 2 } end)
  fails("did you mean 'learning_rate'", function () shaped:optimiser { learning_rat = 2 } end)
end

-- ---- data, files --------------------------------------------------------------------------------
do
  local net = build(1)
  local data = net:data()
  local a, b = data:batch { index = 9, batch = 8 }, data:batch { epoch = 1, index = 1, batch = 8 }
  ok(same(a.token:totable(), b.token:totable()) and data:batches("training", 8) == 8,
    "an index past the epoch goes on in the next")
  ok(#data:batch { split = "validation", batch = 16 }.token == 12, "the last batch is filled up")
  ok(#a.key == 8 and a.key[1] ~= a.key[2] and a.key[3] == b.key[3], "a batch has keys")
  fails("expected a list of 8 whole numbers",
    function () net:forward(a, nil, { key = { 1, 2 } }) end)
  fails("key%[2%] is a string value", function ()
    net:forward(a.token, nil, { key = { 1, "x", 3, 4, 5, 6, 7, 8 } })
  end)
  fails("no split 'trainig'", function () data:batch { split = "trainig" } end)
  fails("did you mean 'index'", function () data:batch { indx = 1 } end)
  local opt = net:optimiser { optimiser = mls.optimiser.adamw { lr = 1e-2 } }
  local function go (net, opt, from, to)
    for i = from, to do
      local batch = data:batch { index = i, batch = 8 }
      mls.loss.cross_entropy(net:forward(batch), batch):backward()
      opt:step()
    end
  end
  go(net, opt, 0, 3)
  net:save(dir .. "/net.h5", opt)
  go(net, opt, 4, 6)
  local again = build(2)
  local resumed = again:optimiser { optimiser = mls.optimiser.adamw { lr = 1e-2 } }
  again:restore(dir .. "/net.h5", resumed)
  go(again, resumed, 4, 6)
  local equal = true
  for name, w in pairs(net:parameters()) do
    equal = equal and same(w:totable(), again:weight(name):totable())
  end
  ok(equal and resumed:steps() == 7, "what was saved continues to the same bits")
  ok(mls.load(dir .. "/net.h5"):count() == net:count(), "a file is enough to load a net")
  fails("no checkpoint", function () mls.load(arg[0]) end)
  fails("No such file", function () mls.load(dir .. "/absent.h5") end)
  net:grad("head.weight"):set(0 / 0)
  fails("the gradient of head.weight is %-?nan", function () opt:step() end)
end

-- ---- garbage --------------------------------------------------------------------------------------
do
  local y, w, d = nil, nil, nil
  do
    local net = build(5)
    y, w, d = net:forward { 1, 2, 3 }, net:weight "head.weight", net:data()
  end
  collectgarbage() collectgarbage()
  ok(#(y + y):totable() == 3 and w:set(1):get(0, 0, 0) == 1 and d:batches() == 8,
    "tensors, views and data keep their net")
  y, w, d = nil, nil, nil
  for i = 1, 20 do
    local net = build(i)
    local opt = net:optimiser { steps = 3 }
    local loss = mls.loss.mean(net:forward { { 1, 2 }, { 2, 3 } })
    if i % 2 == 0 then loss:backward() end
    if i % 3 == 0 then opt:step() end
  end
  collectgarbage() collectgarbage()
  ok(true, "nets, steps and optimisers are collected in any order")
end

-- ---- what a net's own components and finalizers may not do ------------------------------------------
do
  local inside
  local meddler = mls.component {
    kind = "fusion", name = "meddler",
    forward = function (_, a) if inside then inside() end return a end,
  }
  local net = mls.build(mls.modes.parallel { width = 8, layers = 1, fusion = meddler {},
                                             liquid = mls.liquid.cfc {} }, task)
  local x = { { 1, 2 }, { 3, 1 }, { 2, 2 } }
  local before = net:forward(x):totable()
  inside = function () net:forward(x) end
  fails("this net is running", function () net:forward(x) end)
  inside = function () pcall(net.forward, net, { { 1, 2, 3 } }) end
  ok(same(net:forward(x):totable(), before), "a net refuses to run within itself, and goes on")
  inside = function () net:channels() end
  fails("this net is running", function () net:forward(x) end)
  inside = nil
  local meddling = setmetatable({ train = false }, { __index = function ()
    for b = 1, 10 do
      local other = { {} }
      for i = 1, b do other[1][i] = 1 end
      net:forward(other)
    end
  end })
  ok(same(net:forward(x, nil, meddling).shape, { 3, 2, 4 }), "options are read without metamethods")
  local said = {}
  local last = setmetatable({}, { __gc = function (self)
    for _, f in ipairs {
      function () self.w:get(0, 0, 0) end, function () self.w:set(1) end,
      function () self.opt:step() end, function () return self.w + self.w end,
    } do said[#said + 1] = pcall(f) end
  end })
  last.net = build(7)                          -- marked later, so it is collected before
  last.w, last.opt = last.net:weight "head.weight", last.net:optimiser { steps = 3 }
  last = nil
  collectgarbage() collectgarbage()
  ok(#said == 4 and not (said[1] or said[2] or said[3] or said[4]),
    "a finalizer after the net's finds its weights and optimiser gone")
  local row = {}
  for i = 1, 1 << 21 do row[i] = 1 end
  local plane = {}
  for i = 1, 1 << 21 do plane[i] = row end
  local cube = {}
  for i = 1, 1 << 21 do cube[i] = plane end
  fails("too large", function () mls.tensor(cube) end)
end

-- ---- progress -------------------------------------------------------------------------------------
do
  local sum = 0
  for i in mls.progress(4) do sum = sum + i if i == 3 then break end end
  ok(sum == 6, "a loop with progress, left early")
  fails("did you mean 'every'", function () mls.progress(3, { evry = 1 }) end)
  fails("every is 0, expected", function () mls.progress(3, { every = 0 }) end)
  fails("seed is x, expected", function () build "x" end)
  fails("^[^:]*model.lua:%d+: network.width", function ()
    mls.build(mls.modes.sequential { width = 1 << 40, layers = 1 }, task)
  end)
end
print("1.." .. n)
