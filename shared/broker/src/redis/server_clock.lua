-- The time of a lane: this server's clock. Put between lane.lua and a script; tests put another clock there.
local function now_us()
  local time = call('TIME')
  return time[1] * 1000000 + time[2]
end
