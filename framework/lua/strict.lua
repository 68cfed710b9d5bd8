-- Globals that must exist before they are read, and that only a file's top level makes.
local env, nearest, getinfo = ...

local function names()
  local list = {}
  for name in next, env do list[#list + 1] = name end
  return list
end

return setmetatable(env, {
  __index = function (_, name)
    local near = nearest(tostring(name), names())
    error(("undefined variable '%s'%s"):format(
      tostring(name), near and (" (did you mean '%s'?)"):format(near) or ""), 2)
  end,
  __newindex = function (t, name, value)
    if getinfo(2, "S").what ~= "main" then
      error(("assignment to the undeclared global '%s': write `local %s`"):format(
        tostring(name), tostring(name)), 2)
    end
    rawset(t, name, value)
  end,
  __metatable = "strict",
})
