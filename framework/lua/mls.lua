-- The module "mls" of a study file.  `native` holds what C provides; see bindings.c.
local native, env = ...
local mls = { here = native.here, version = native.version }

-- Errors are placed at the study's own line: native.fail looks for it.
local fail, nearest = native.fail, native.nearest

-- `return mls.network {...}` is a tail call, which would wipe out the user's line; behind
-- a C function it stays on the stack.
local wrap = native.wrap

local function suggest(word, list)
  local near = nearest(tostring(word), list)
  return near and (", did you mean '%s'?"):format(near) or ""
end

local function keys(t)
  local list = {}
  for k in pairs(t) do list[#list + 1] = tostring(k) end
  table.sort(list)
  return list
end

local function only(t, allowed, what)
  for k in pairs(t) do
    if not allowed[k] then
      fail(("%s has no '%s'%s (there are %s)"):format(
        what, tostring(k), suggest(k, keys(allowed)), table.concat(keys(allowed), ", ")))
    end
  end
end

local function set(...)
  local t = {}
  for _, k in ipairs { ... } do t[k] = true end
  return t
end

-- ---- components: mls.liquid.cfc { units = 64 } ------------------------------------------

for _, kind in ipairs(native.kinds) do
  mls[kind] = setmetatable({}, {
    __index = function (_, name)
      native.check(kind, tostring(name))
      return wrap(function (options) return native.component(kind, name, options) end)
    end,
  })
end

mls.component = native.load_component(mls, native, fail, suggest, keys, only, set)

-- ---- networks ----------------------------------------------------------------------------

local schema = set("width", "layers", "norm", "residual", "dropout", "chunk", "head", "remat",
                   "events")
local branches = setmetatable({}, { __mode = "k" })     -- network -> list of wire strings
local methods = {}
local network_of = { __index = methods, __name = "mls.network" }

function methods:wire (text)
  if type(text) ~= "string" then fail "net:wire wants a string of wires" end
  local list = branches[self]
  local last = list[#list]
  list[math.max(#list, 1)] = last and last ~= "" and last .. "; " .. text or text
  return self
end

function methods:branch (text)
  local list = branches[self]
  list[#list + 1] = ""
  return methods.wire(self, text)
end

mls.network = wrap(function (t)
  if type(t) ~= "table" then fail "mls.network wants a table" end
  local net, list = {}, {}
  for k, v in pairs(t) do
    if k == "nodes" then
      for name, node in pairs(v) do net[name] = node end
    elseif k ~= "wire" then
      net[k] = v
    end
  end
  branches[net] = list
  if type(t.wire) == "table" then
    for i, text in ipairs(t.wire) do list[i] = text end
  elseif t.wire then
    list[1] = t.wire
  end
  native.place(net)
  return setmetatable(net, network_of)
end)

for name, method in pairs(methods) do methods[name] = wrap(method) end

-- The form that net/ reads: { width =, nodes = {...}, wire = {...} }.
local function specification (net)
  local spec, nodes = {}, {}
  for k, v in pairs(net) do
    if schema[k] then
      spec[k] = v
    elseif type(v) == "table" and v.component then
      nodes[k] = v
    else
      fail(("a network has no setting '%s'%s; a node is made by a constructor such as "
        .. "mls.liquid.cfc {}"):format(tostring(k), suggest(k, keys(schema))), net)
    end
  end
  if #branches[net] == 0 then
    fail("the network has no wires: net:wire \"input -> ... -> output\"", net)
  end
  spec.nodes, spec.wire = nodes, branches[net]
  native.place(spec, net)
  return spec
end

-- ---- modes -----------------------------------------------------------------------------------

mls.modes = native.load_modes(mls, native, fail, suggest, keys)

-- ---- training ----------------------------------------------------------------------------------

local long = { lr = "learning_rate", eps = "epsilon", warmup = "warmup_steps" }

local function settings (what, value, allowed)
  return wrap(function (t)
    local out = { [what] = value }
    for k, v in pairs(t or {}) do
      k = long[k] or k
      if not allowed[k] then
        fail(("mls.%s.%s has no '%s'%s"):format(what, value, tostring(k),
          suggest(k, keys(allowed))))
      end
      out[k] = v
    end
    native.place(out)
    return out
  end)
end

local function strict (t, what)
  return setmetatable(t, { __index = function (_, k)
    fail(("there is no %s '%s'%s"):format(what, tostring(k), suggest(k, keys(t))))
  end })
end

mls.optimiser = strict({
  adamw = settings("optimiser", "adamw", set("learning_rate", "beta1", "beta2", "epsilon",
    "weight_decay", "clip")),
  sgd = settings("optimiser", "sgd", set("learning_rate", "momentum", "weight_decay", "clip")),
}, "optimiser")
mls.optimizer = mls.optimiser
local schedule = set("final_rate", "warmup_steps", "warmup_fraction")
mls.schedule = strict({
  constant = settings("schedule", "constant", schedule),
  cosine = settings("schedule", "cosine", schedule),
  linear = settings("schedule", "linear", schedule),
}, "schedule")

-- train = { optimiser = mls.optimiser.adamw {...}, steps = 100 } -> one flat map
local function training (t)
  local out = {}
  for k, v in pairs(t or {}) do
    if (k == "optimiser" or k == "optimizer" or k == "schedule") and type(v) == "table" then
      for name, x in pairs(v) do out[name] = x end
    else
      out[long[k] or k] = v
    end
  end
  if t then native.place(out, t) end
  return out
end

-- ---- data ------------------------------------------------------------------------------------

mls.data = native.data

-- ---- studies -----------------------------------------------------------------------------------

local fields = set("name", "network", "task", "vary", "where", "seeds", "train", "record",
  "measure", "compare", "budget", "timeout", "floors", "smoke", "help", "step_ms", "locking")

-- { "liq.state", every = 50 } -> { selector = "liq.state", every = 50 }
local function requests (list)
  local out = {}
  for i, r in ipairs(list or {}) do
    if type(r) == "table" then
      local map = {}
      for k, v in pairs(r) do map[k == 1 and "selector" or k == "batch" and "samples" or k] = v end
      r = map
    end
    out[i] = r
  end
  return out
end

mls.study = wrap(function (t)
  if type(t) ~= "table" then fail "mls.study wants a table" end
  only(t, fields, "a study")
  for _, name in ipairs { "name", "network", "task" } do
    if t[name] == nil then fail(("a study needs the field '%s'"):format(name)) end
  end
  if type(t.name) ~= "string" or not t.name:match "^[%w_%-]+$" then
    fail "the name of a study is made of letters, digits, _ and -"
  end
  native.place(t)
  if t.record then t.record = requests(t.record) end
  if t.smoke then
    only(t.smoke, set("vary", "seeds", "train", "task", "network", "record", "budget",
      "timeout"), "smoke")
    if t.smoke.record then t.smoke.record = requests(t.smoke.record) end
    if t.smoke.train then t.smoke.train = training(t.smoke.train) end
  end
  native.study(t)
  return t
end)

-- What `network`, `task` and `train` may read: the point, and nothing by mistake.
local function point (study, p)
  local optional = {}
  for _, k in ipairs { "width", "fine" } do
    local v = study.budget and study.budget[k]
    for _, name in pairs(type(v) == "table" and v or { v }) do optional[name] = true end
  end
  return setmetatable(p, { __index = function (_, k)
    if optional[k] then return nil end
    fail(("p.%s is not in `vary`%s"):format(tostring(k), suggest(k, keys(p))))
  end })
end

local function of (x, p)
  if type(x) == "function" then return x(p) end
  return x
end

-- { network, task, train } of one point, as plain tables; called by C.
function native.config (study, p)
  local vary = {}
  for k in pairs(p) do vary[k] = true end
  p = point(study, p)
  local net = of(study.network, p)
  if type(net) ~= "table" or not branches[net] then
    fail(("`network` gave %s, not what mls.network or mls.modes make"):format(
      type(net) == "table" and "a table" or type(net)), study)
  end
  local spec = specification(net)
  if type(study.network) == "table" then                -- a fixed network: settings vary
    for k in pairs(vary) do if schema[k] then spec[k] = p[k] end end
  end
  local task = of(study.task, p)
  if type(task) ~= "table" or not task.component then
    fail("`task` is not what a constructor such as mls.task.text {...} makes", study)
  end
  return { network = spec, task = task, train = training(of(study.train, p)) }
end

-- ---- scripts -----------------------------------------------------------------------------------

function native.plain (net)
  if type(net) ~= "table" or not branches[net] then
    fail(("the network is a %s value, not what mls.network or mls.modes make"):format(type(net)))
  end
  return specification(net)
end
native.training = training

-- script.lua puts the real ones in their place.
for _, name in ipairs { "build", "open", "load", "loss", "tensor", "progress" } do
  mls[name] = setmetatable({}, {
    __call = wrap(function ()
      fail(("mls.%s is for scripts (mls lua FILE, mls repl); this is a study"):format(name))
    end),
    __index = function ()
      fail(("mls.%s is for scripts (mls lua FILE, mls repl); this is a study"):format(name))
    end,
  })
end

return strict(mls, "mls field")
