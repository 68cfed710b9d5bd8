-- The named wirings.  Their definition is conf/modes.c; this only dresses it for Lua:
--   mls.modes.bidirectional { width = 64, layers = 2, chunk = 32,
--                             liquid = mls.liquid.cfc {}, mixer = mls.mixer.mamba {} }
local mls, native, fail, suggest, keys = ...

local roles = { encoder = "enc", adapter = "ad", liquid = "liq", mixer = "mix",
                fusion = "fuse", attention = "att", mlp = "ffn",
                enc = "enc", ad = "ad", liq = "liq", mix = "mix", fuse = "fuse", att = "att",
                ffn = "ffn" }
local settings = { width = true, layers = true, norm = true, residual = true, dropout = true,
                   chunk = true, head = true, remat = true, events = true }

local function build (mode, t)
  local parts, other = {}, {}
  for k, v in pairs(t or {}) do
    if roles[k] then
      parts[roles[k]] = v
    elseif settings[k] then
      other[k] = v
    else
      local all = keys(settings)
      for role in pairs(roles) do all[#all + 1] = role end
      fail(("mls.modes.%s has no '%s'%s"):format(mode, tostring(k), suggest(k, all)))
    end
  end
  local spec = native.mode(mode, parts)
  for k, v in pairs(other) do spec[k] = v end
  return mls.network(spec)
end

local modes = {}
for _, name in ipairs(native.modes) do
  modes[name] = native.wrap(function (t) return build(name, t) end)
end

return setmetatable(modes, { __index = function (_, k)
  fail(("there is no mode '%s'%s (there are %s)"):format(tostring(k),
    suggest(k, native.modes), table.concat(native.modes, ", ")))
end })
