-- mls.component { kind =, name =, options =, ports =, setup =, forward = }: looks at what was
-- written and hands C one plain form of it (component.c).
local mls, native, fail, suggest, keys, only, set = ...

local IN, OUT, MAYBE, SPIKES = 1, 2, 4, 8                -- as in mls/plugin.h
local promises = { causal = 1, random = 2, streams = 4 }
local fields = set("kind", "name", "help", "flags", "options", "ports", "setup", "forward")
local task_fields = set("kind", "name", "help", "options", "setup", "count", "fill")

-- The ports of a kind for those who name none; U is the option `units`, if there is one.
local mask = { "mask", "in", "T B 1", maybe = true, help = "1 for a real step" }
local usual = {
  encoder = { { "in", "in", "T B n", help = "values" }, mask,
              { "spikes", "out", "T B U", spikes = true, help = "0 or 1" },
              { "membrane", "out", "T B U", maybe = true, help = "membrane potential" } },
  adapter = { { "spikes", "in", "T B n", help = "0 or 1" },
              { "membrane", "in", "T B n", maybe = true, help = "membrane potential" }, mask,
              { "out", "out", "T B U", help = "values" } },
  liquid = { { "in", "in", "T B n", help = "values" },
             { "dt", "in", "T B 1", maybe = true, help = "step lengths" },
             { "mod_tau", "in", "T B m", maybe = true, help = "what steers the time constant" },
             mask, { "out", "out", "T B U", help = "hidden state after each step" } },
  mixer = { { "in", "in", "T B n", help = "values" },
            { "mod_b", "in", "T B p", maybe = true, help = "what steers the state's input" },
            { "mod_c", "in", "T B q", maybe = true, help = "what steers the state's output" },
            mask, { "out", "out", "T B U", help = "values" } },
  fusion = { { "a", "in", "T B n", help = "first stream" },
             { "b", "in", "T B n", help = "second stream" },
             { "out", "out", "T B U", help = "one stream of both" } },
  head = { { "in", "in", "T B n", help = "last layer" },
           { "out", "out", "T B output", help = "outputs of the network" } },
}

local function count (t)
  local n = 0
  for _ in pairs(t) do n = n + 1 end
  return n
end

local function want (x, kind, what)
  if type(x) ~= kind then
    fail(("%s is a %s value, expected a %s"):format(what, type(x), kind))
  end
  return x
end

local function word (x, what)
  if not want(x, "string", what):match "^[%a_][%w_]*$" then
    fail(("%s is '%s'; a name is made of letters, digits and _"):format(what, x))
  end
  return x
end

local function text (x, what)
  return x ~= nil and want(x, "string", what) or ""
end

-- ---- options ------------------------------------------------------------------------------

local option_fields = { [1] = true, min = true, max = true, unit = true, help = true,
                        choices = true }

local function choices (o, what)
  want(o.choices, "table", what .. ": choices")
  local list, found = { o[1] }, false
  for i, c in ipairs(o.choices) do
    if want(c, "string", what .. ": a choice"):find "|" or c == "" then
      fail(("%s: the choice '%s' is empty or holds a |"):format(what, c))
    end
    if c == o[1] then found = true else list[#list + 1] = c end
  end
  if not found then
    fail(("%s: the default is %s, which is not one of its choices %s%s"):format(what,
      tostring(o[1]), table.concat(o.choices, ", "), suggest(o[1], o.choices)))
  end
  return table.concat(list, "|")                        -- the default comes first
end

local function option (name, v)
  local o, what = type(v) == "table" and v or { v }, ("option '%s'"):format(name)
  only(o, option_fields, what)
  local value = o[1]
  local kind = o.choices and "choice" or math.type(value) or type(value)
  if not ({ choice = 1, integer = 1, float = 1, boolean = 1, string = 1 })[kind] then
    fail(("%s has a %s value as its default, expected a number, text, true or false, as "
      .. "%s = { 1.0, help = \"...\" }"):format(what, kind, name))
  end
  local out = { name = name, type = kind, default = value,
                unit = o.unit and text(o.unit, what .. ": unit"),
                help = text(o.help, what .. ": help") }
  if kind == "choice" then out.choices = choices(o, what) end
  local number = math.type(value) ~= nil
  for _, k in ipairs { "min", "max" } do
    if o[k] ~= nil and not (number and math.type(o[k])) then
      fail(("%s: %s is for numbers"):format(what, k))
    end
  end
  if o.min or o.max then
    out.min, out.max = o.min or -math.huge, o.max or math.huge
    if not (out.min < out.max and value >= out.min and value <= out.max) then
      fail(("%s: the default %s does not lie in the range %s to %s"):format(what, value,
        out.min, out.max))
    end
  end
  return out
end

local function options (t)
  local list = {}
  for _, name in ipairs(keys(want(t, "table", "options"))) do
    list[#list + 1] = option(word(name, "the name of an option"), t[name] == nil and
      fail "options is a map of names: { gain = 1.0 }" or t[name])
  end
  return list
end

-- ---- ports --------------------------------------------------------------------------------

local port_fields = { [1] = true, [2] = true, [3] = true, maybe = true, spikes = true,
                      help = true }

local function port (p, units)
  want(p, "table", "a port")
  local name = word(p[1], "the name of a port")
  local what = ("port '%s'"):format(name)
  only(p, port_fields, what)
  if p[2] ~= "in" and p[2] ~= "out" then
    fail(("%s: its second field is '%s', expected \"in\" or \"out\""):format(what,
      tostring(p[2])))
  end
  local shape = (p[3] == nil and "T B n" or want(p[3], "string", what .. ": its shape"))
  if not shape:match "^[T1] B [%w_]+$" then
    fail(("%s: its shape is '%s', expected one such as \"T B n\""):format(what, shape))
  end
  return { name = name, shape = shape:gsub("U$", units), help = text(p.help, what .. ": help"),
           flags = (p[2] == "in" and IN or OUT) + (p.maybe and MAYBE or 0)
             + (p.spikes and SPIKES or 0) }
end

local function ports (list, kind, units)
  local out, n, seen = {}, { 0, 0 }, {}
  for _, p in ipairs(list and want(list, "table", "ports") or usual[kind]) do
    local row = port(p, list and "U" or units)
    if seen[row.name] then fail(("two ports are called '%s'"):format(row.name)) end
    seen[row.name] = true
    out[#out + 1] = row
    n[row.flags & 3] = n[row.flags & 3] + 1
  end
  if list and count(list) ~= #out then
    fail "ports is a list: { { \"a\", \"in\", \"T B n\" }, ... }"
  end
  if n[IN] < 1 or n[OUT] < 1 or n[IN] > 16 or n[OUT] > 16 then
    fail(("%d inputs and %d outputs; a component has 1 to 16 of each"):format(n[IN], n[OUT]))
  end
  return out
end

-- ---- the whole -----------------------------------------------------------------------------

local function flags (list)
  local bits = 0
  for _, name in ipairs(list and want(list, "table", "flags") or { "causal", "streams" }) do
    if not promises[name] then
      fail(("flags: there is no '%s'%s (there are %s)"):format(tostring(name),
        suggest(name, keys(promises)), table.concat(keys(promises), ", ")))
    end
    bits = bits | promises[name]
  end
  return bits
end

local function declare (t)
  want(t, "table", "what mls.component gets")
  local task = t.kind == "task"
  if not task and not usual[want(t.kind, "string", "kind")] then
    local all = keys(usual)
    all[#all + 1] = "task"
    fail(("there is no kind '%s'%s (there are %s)"):format(t.kind, suggest(t.kind, all),
      table.concat(all, ", ")))
  end
  only(t, task and task_fields or fields, task and "a task" or "a component")
  local form = { kind = t.kind, name = word(t.name, "name"), help = text(t.help, "help"),
                 options = options(t.options or {}), setup = t.setup }
  for _, k in ipairs(task and { "setup", "count", "fill" } or { "forward" }) do
    form[k] = want(t[k], "function", k)
  end
  if t.setup ~= nil then want(t.setup, "function", "setup") end
  if not task then
    local units = "n"
    for _, o in ipairs(form.options) do
      if o.name == "units" and o.type == "integer" then units = "units" end
    end
    form.ports, form.flags = ports(t.ports, t.kind, units), flags(t.flags)
  end
  native.declare(form)
  local kind, name = t.kind, t.name
  return native.wrap(function (o) return native.component(kind, name, o) end)
end

return native.wrap(declare)
