-- What the module "mls" has in a script (mls lua, mls repl) and not in a study.  `core` is
-- what C provides; see model.h.
local mls, native, core = ...
local fail, nearest, wrap = native.fail, native.nearest, native.wrap

local function only (t, allowed, what)
  for k in pairs(t) do
    if not allowed[k] then
      local list = {}
      for name in pairs(allowed) do list[#list + 1] = name end
      table.sort(list)
      local near = nearest(tostring(k), list)
      fail(("%s has no '%s'%s"):format(what, tostring(k),
        near and (", did you mean '%s'?"):format(near) or ""))
    end
  end
end

local function strict (methods, what)
  return function (_, k)
    local f = methods[k]
    if f ~= nil then return f end
    local list = {}
    for name in pairs(methods) do list[#list + 1] = name end
    local near = nearest(tostring(k), list)
    fail(("%s has no '%s'%s"):format(what, tostring(k),
      near and ("; did you mean '%s'?"):format(near) or ""))
  end
end

-- ---- nets -----------------------------------------------------------------------------------

mls.open, mls.load = core.open, core.load

local seeded = { seed = true }

-- mls.build(network, task | data | shape [, { seed = }])
mls.build = wrap(function (network, task, options)
  options = options or {}
  if type(options) ~= "table" then fail "mls.build: the third argument is { seed = }" end
  only(options, seeded, "mls.build")
  if options.seed ~= nil and math.type(options.seed) ~= "integer" then
    fail(("mls.build: seed is %s, expected a whole number"):format(tostring(options.seed)))
  end
  if type(task) == "table" and task.component then
    task = core.open(task, { seed = options.seed })
  end
  return core.build(native.plain(network), task, options.seed)
end)

core.net_methods.optimiser = wrap(function (net, t)
  if type(t) ~= "table" then
    fail "net:optimiser wants what mls.optimiser.adamw {...} gives, or a table as `train`"
  end
  return core.optimiser(net, native.training(t))
end)

mls.loss = setmetatable({}, { __index = strict(core.loss, "mls.loss") })

mls.tensor = setmetatable({ read = core.tensor_read },
  { __call = wrap(function (_, ...) return core.tensor_new(...) end) })

core.strict_methods(strict(core.net_methods, "a net"), strict(core.data_methods, "data"))

-- ---- progress -------------------------------------------------------------------------------

local settings = { every = true, loss = true, save = true }
local WIDTH = 24

local function duration (seconds)
  if seconds < 90 then return ("%.0f s"):format(seconds) end
  if seconds < 5400 then return ("%.0f min"):format(seconds / 60) end
  return ("%.1f h"):format(seconds / 3600)
end

local function line (bar, i, n, began, loss)
  local took = core.clock() - began
  local full = n > 0 and i * WIDTH // n or WIDTH
  return ("%s%d/%d%s  %.3g steps/s%s"):format(
    bar and ("[%s%s] "):format(("#"):rep(full), ("-"):rep(WIDTH - full)) or "step ", i, n,
    loss and ("  loss %.4g"):format(loss) or "", took > 0 and i / took or 0,
    i < n and i > 0 and "  " .. duration(took / i * (n - i)) .. " left" or "")
end

local function keep (save, i, n)
  if not save then
    core.say(("interrupted after step %d of %d\n"):format(i, n))
    return
  end
  local net, path, optimiser = table.unpack(save, 1, 3)
  net:save(path, optimiser)
  core.say(("interrupted after step %d of %d; %s was written\n"):format(i, n, path))
end

-- for step in mls.progress(n, { every =, loss = function () end, save = { net, path, opt } })
mls.progress = wrap(function (n, options)
  options = options or {}
  if math.type(n) ~= "integer" or n < 0 then fail "mls.progress wants a number of steps" end
  only(options, settings, "mls.progress")
  local every = options.every
  if every ~= nil and (math.type(every) ~= "integer" or every < 1) then
    fail(("mls.progress: every is %s, expected a number of steps"):format(tostring(every)))
  end
  if options.save and type(options.save) ~= "table" then
    fail "mls.progress: save is { net, path [, optimiser] }"
  end
  local bar, i, painted = core.terminal(), 0, false
  local began = core.clock()
  local shown, pause = began, bar and 0.1 or 10
  local function paint ()
    local loss = options.loss and options.loss()
    local text = line(bar, i, n, began, type(loss) == "number" and loss or nil)
    core.say(bar and "\r\27[K" .. text or text .. "\n")
    painted, shown = bar, core.clock()
  end
  local function due ()
    if every then return i % every == 0 end
    return core.clock() - shown >= pause
  end
  local function leave ()
    if painted then core.say "\r\27[K" end
    painted = false
    core.leave()
  end
  local function step ()
    if i > 0 and due() then paint() end
    if core.interrupted() then
      if painted then core.say "\n" end
      painted = false
      keep(options.save, i, n)
      return nil
    end
    if i >= n then return nil end
    i = i + 1
    return i
  end
  core.enter()
  return step, nil, nil, setmetatable({}, { __close = leave })
end)
