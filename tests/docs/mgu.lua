-- The minimal gated unit of docs/example in Lua and in C, side by side; TAP lines.
--   mls lua tests/docs/mgu.lua docs/example FILE.h5 --plugin-path mgu.so
-- In the table of components one of them needs another name.
local mls = require "mls"
local n = 0
local function result (good, what, why)
  n = n + 1
  print((good and "ok %d - %s" or "not ok %d - %s"):format(n, what))
  if not good then print("# " .. tostring(why)) end
end
local function refused (pattern, what, f)
  local fine, why = pcall(f)
  result(not fine and tostring(why):find(pattern, 1, true), what, why)
end

local source = io.open(arg[1] .. "/mgu.lua"):read "a"
local renamed, times = source:gsub('name = "mgu"', 'name = "mgu_lua"')
assert(times == 1)
assert(load(renamed, "@mgu.lua"))()

local seed = 1
local function random (t, b, f)                     -- in (-0.5, 0.5)
  local v = {}
  for i = 1, t * b * f do
    seed = seed * 16807 % 2147483647
    v[i] = seed / 2147483647 - 0.5
  end
  return mls.tensor(t, b, f):set(v)
end
local function far (a, b)                           -- largest difference, largest value
  a, b = a:totable(), b:totable()
  local most, size = 0, 0
  for t = 1, #a do for s = 1, #a[1] do for f = 1, #a[1][1] do
    local d = math.abs(a[t][s][f] - b[t][s][f])
    if not (d <= most) then most = d end            -- NaN too
    size = math.max(size, math.abs(b[t][s][f]))
  end end end
  return most, size
end
local T, B, D, U = 12, 3, 16, 24
local function build (component)
  return mls.build(mls.network { width = D, layers = 1, norm = "none", residual = false,
                                 mgu = component } :wire "input -> mgu -> output",
                   { steps = T, input = D, output = 5, loss = "mse", has_dt = true, has_mask = true })
end
local function padded ()
  local v = {}
  for t = 1, T do for s = 1, B do v[#v + 1] = t <= T - 2 * s and 1 or 0 end end
  return mls.tensor(T, B, 1):set(v)
end

local in_lua, in_c = build(mls.liquid.mgu_lua {}), build(mls.liquid.mgu {})
for name, w in pairs(in_lua:parameters()) do        -- by hand, the same in both
  w:set(random(table.unpack(w.shape)) * 2)
  in_c:weight(name):set(w)
end
result(in_lua:count() == in_c:count() and in_c:weight "layer0.mgu.gate.recurrent".shape[3] == D,
       "the same weights by name and size")

for _, with in ipairs { {}, { dt = true }, { mask = true }, { dt = true, mask = true } } do
  local batch, target = { x = random(T, B, D) }, random(T, B, 5)
  if with.dt then batch.dt = random(T, B, 1) * 3 + 1.5 end
  if with.mask then batch.mask = padded() end
  local what = (with.dt and ", dt" or "") .. (with.mask and ", mask" or "")
  local ya, ha = in_lua:forward(batch)
  local yb, hb = in_c:forward(batch)
  local y, h = far(ya, yb), far(ha["layer0.mgu.h"], hb["layer0.mgu.h"])
  result(y <= 1e-5 and h <= 1e-5, "equal outputs and states" .. what, y .. " " .. h)
  mls.loss.mse(ya, target):backward()
  mls.loss.mse(yb, target):backward()
  local worst, where = 0, "no gradient at all"
  for name in pairs(in_lua:parameters()) do
    local d, size = far(in_lua:grad(name), in_c:grad(name))
    if size == 0 or not (d / size <= worst) then worst, where = size > 0 and d / size or 1, name end
  end
  result(worst <= 1e-5, "equal gradients" .. what, where .. " " .. worst)
  in_lua:zero_grad()
  in_c:zero_grad()
end

-- What one began the other goes on with.
local x = random(T, B, D)
local whole = in_c:forward(x, nil, { train = false }):copy()
local _, states = in_lua:forward(x:steps(0, 5), nil, { train = false })
local rest = in_c:forward(x:steps(5), states, { train = false })
result(far(rest, whole:steps(5)) <= 1e-5, "a state of the one continues in the other", "")

-- Zhou et al. 2016 by hand, one unit, two steps: f, then the value, then the state.
do
  local net = mls.build(mls.network { width = 1, layers = 1, norm = "none", residual = false,
                                      mgu = mls.liquid.mgu {} } :wire "input -> mgu -> output",
                        { steps = 2, input = 1, output = 1, loss = "mse" })
  for name, w in pairs { ["input.weight"] = 1, ["input.bias"] = 0, ["head.weight"] = 1, ["head.bias"] = 0 } do
    net:weight(name):set(w)
  end
  for name, w in pairs { ["gate.weight"] = 0.7, ["gate.recurrent"] = -0.4, ["gate.bias"] = 0.2,
                         ["value.weight"] = 1.1, ["value.recurrent"] = 0.9, ["value.bias"] = -0.3 } do
    net:weight("layer0.mgu." .. name):set(w)
  end
  local h, y = 0, net:forward(mls.tensor { 0.5, -1.5 })
  local function tanh (v) return 1 - 2 / (1 + math.exp(2 * v)) end
  local worst = 0
  for t, v in ipairs { 0.5, -1.5 } do
    local f = 1 / (1 + math.exp(-(0.7 * v - 0.4 * h + 0.2)))
    h = (1 - f) * h + f * tanh(1.1 * v + 0.9 * (f * h) - 0.3)
    worst = math.max(worst, math.abs(y:get(t - 1, 0, 0) - h))
  end
  result(worst < 1e-6, "without dt it is the minimal gated unit", worst)
end

refused("for more give a list: c:join {a, b, ...}", "join says how more than eight are joined",
        function () return x:join(x, x, x, x, x, x, x, x) end)
result(#mls.tensor(1):join(mls.tensor(1)) == 2, "and joins two")

in_lua:save(arg[2])
local y = in_lua:forward(x):copy()
for _, w in pairs(in_c:parameters()) do w:set(0) end
in_c:restore(arg[2])
result(far(in_c:forward(x), y) <= 1e-5, "weights that the one saved are read by the other")
print("1.." .. n)
