#!/bin/sh
# framework/lua/api.lua has a row for everything that the module "mls" holds, and nothing
# else: in studies, in components written in Lua, and in scripts.
set -u
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cat >"$dir/walk.lua" <<'LUA'
-- Names of what a table of the API holds: "study", "modes.mamba", ...
local kinds = { encoder = 1, adapter = 1, liquid = 1, mixer = 1, fusion = 1, head = 1, task = 1,
                optimizer = 1 }
local function walk (t, path, out)
  for k, v in pairs(t) do
    local name = path .. k
    local meta = type(v) == "table" and getmetatable(v)
    local callable = type(meta) == "table" and rawget(meta, "__call")
    if type(v) ~= "table" or callable or kinds[k] then out[#out + 1] = name end
    if type(v) == "table" and not kinds[k] then walk(v, name .. ".", out) end
  end
  return out
end
return walk
LUA
cat >"$dir/study.lua" <<'LUA'
local mls, walk = require "mls", require "walk"
local net = mls.network { width = 8 }
local names = walk(mls, "mls.", {})
for k in pairs(getmetatable(net).__index) do names[#names + 1] = "mls.Network:" .. k end
error("NAMES " .. table.concat(names, " "))
LUA
"$MLS_BUILD/mls" check "$dir/study.lua" 2>&1 | sed -n 's/.*NAMES //p' >"$dir/names"

cat >"$dir/script.lua" <<'LUA'
local source, dir = arg[1], arg[2]
local mls, walk = require "mls", dofile(dir .. "/walk.lua")
local registry = debug.getregistry()
local n = 0
local function result (bad, what)
  n = n + 1
  print(("%s %d - %s"):format(#bad == 0 and "ok" or "not ok", n, what))
  table.sort(bad)
  for _, name in ipairs(bad) do print("#   " .. name) end
end
-- The methods behind an __index that is a table, or a function that closes over one.
local function methods (index)
  if type(index) == "table" then return index end
  for i = 1, 10 do
    local _, v = debug.getupvalue(index, i)
    if type(v) == "table" then return v end
  end
  error "no methods"
end

local study, script = {}, {}
for line in io.lines(dir .. "/names") do
  for name in line:gmatch "%S+" do study[name] = true end
end
for _, name in ipairs(walk(mls, "mls.", {})) do script[name] = true end
local function add (class, index)
  for k in pairs(methods(index)) do script[class .. ":" .. k] = true end
end
add("mls.Tensor", registry["mls.tensor.methods"])
add("mls.Network", getmetatable(mls.network { width = 8 }).__index)
add("mls.RunningOptimiser", registry["mls.optimiser"].__index)
script["mls.loss"] = nil                          -- filled by its metatable
for k in pairs(methods(getmetatable(mls.loss).__index)) do script["mls.loss." .. k] = true end
local data = mls.open(mls.task.delayed_copy { length = 4, delay = 1, training = 8, validation = 8 })
local seen
mls.component { kind = "mixer", name = "probe", setup = function (c) seen = debug.getmetatable(c) end,
                forward = function (c, x) return x end }
local net = mls.network { width = 8, layers = 1, a = mls.mixer.probe {} }
local model = mls.build(net:wire "input -> a -> output", data)
add("mls.Context", seen.__index)
add("mls.Net", debug.getmetatable(model).__index)
add("mls.Data", debug.getmetatable(data).__index)

local said, study_rows, in_script, quiet, unsound, classes = {}, {}, false, {}, {}, {}
local api = dofile(source .. "/framework/lua/api.lua")
for _, row in ipairs(api) do if row.class then classes[row.class] = true end end
for _, row in ipairs(api) do
  if row.section then in_script = row.script end
  local name = row.name or row.class
  if row.name then
    if said[name] then unsound[#unsound + 1] = name .. " twice" end
    said[name] = true
    if not in_script and (not name:find ":" or name:find "^mls.Network:") then study_rows[name] = true end
  end
  if name and (not row.help or row.help == "" or row.help:find "%.$") then
    unsound[#unsound + 1] = name .. ": help"
  end
  for _, list in ipairs { row.fields or {}, row.params or {}, row.returns or {} } do
    for _, f in ipairs(list) do
      for _, part in ipairs { f[1], f[2] } do
        for class in part:gmatch "mls%.%u%w*" do
          if not classes[class] then unsound[#unsound + 1] = name .. " speaks of " .. class end
        end
      end
    end
  end
  for _, list in ipairs { row.fields or {}, row.params or {} } do
    for _, f in ipairs(list) do
      if not f[3] or f[3] == "" then unsound[#unsound + 1] = name .. "." .. f[1] .. ": help" end
    end
  end
end
local function without (a, b)
  local list = {}
  for k in pairs(a) do if not b[k] then list[#list + 1] = k end end
  return list
end
local function kindless (t)                       -- components have rows of their own
  for _, kind in ipairs { "encoder", "adapter", "liquid", "mixer", "fusion", "head", "task" } do
    t["mls." .. kind] = nil
  end
  return t
end
result(next(study) and {} or { "none" }, "the names of a study's module were read")
result(without(kindless(script), said), "what a script finds is documented")
result(without(said, script), "what is documented is there in a script")
study["mls.loss"] = nil                           -- in a study these only say where they are
result(without(kindless(study), said), "what a study finds is documented")
result(without(study_rows, study), "what is documented for studies is there in a study")
result(unsound, "rows have help, once each, and name classes that exist")
print("1.." .. n)
LUA
"$MLS_BUILD/mls" lua "$dir/script.lua" "$MLS_SOURCE" "$dir" 2>&1 || echo "not ok - the script ran"
