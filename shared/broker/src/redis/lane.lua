-- Put before both scripts of a lane. The same state machine as memory/lane.rs, which explains it; times in microseconds.
-- KEYS[1]  HASH  the state
-- KEYS[2]  ZSET  nonce of a call that is under way -> when it stops counting
-- Both carry the lane's own hash tag, and go when nothing of them matters any more.
-- ARGV[1..8]  what the caller remembers: parked, closed, requests' limit and window, tokens' limit and window, slow, refused
local STATE, CALLS = KEYS[1], KEYS[2]
local FEW, SECOND = 20, 1000000
local WINDOWS = { SECOND, 60 * SECOND, 3600 * SECOND, 86400 * SECOND }

local call = redis.call
local max, min, floor = math.max, math.min, math.floor

-- What follows in ARGV is the script's own.
local function word(at) return ARGV[8 + at] end
local function number(at) return tonumber(ARGV[8 + at]) end

local lane

local function begin(now)
  local function later(wait) return wait == 0 and 0 or now + wait end
  lane.parked, lane.closed = later(tonumber(ARGV[1])), later(tonumber(ARGV[2]))
  for kind, at in pairs({ r_ = 3, t_ = 5 }) do
    local limit, window = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
    if window > 0 then
      lane[kind .. 'limit'], lane[kind .. 'left'] = limit, limit
      lane[kind .. 'window'], lane[kind .. 'reset'] = window, now + window
      lane.warm = 1
    end
  end
  lane.slow, lane.refused = tonumber(ARGV[7]), ARGV[8]
end

local function load(now)
  local pairs_of = call('HGETALL', STATE)
  lane = { refused = '', probe = '' }
  for at = 1, #pairs_of, 2 do
    local name, value = pairs_of[at], pairs_of[at + 1]
    lane[name] = lane[name] and value or tonumber(value)
  end
  for _, name in ipairs({ 'sent', 'last', 'warm', 'parked', 'closed', 'slow', 'slowed', 'failures', 'opens', 'open',
    'heard', 'used', 'r_limit', 'r_left', 'r_window', 'r_reset', 'r_steady', 't_limit', 't_left', 't_window', 't_reset', 't_steady' }) do
    lane[name] = lane[name] or 0
  end
  if #pairs_of == 0 then begin(now) end
  call('ZREMRANGEBYSCORE', CALLS, '-inf', string.format('%.0f', now))
end

local function save(now, forget)
  local fields = {}
  for name, value in pairs(lane) do
    fields[#fields + 1] = name
    fields[#fields + 1] = type(value) == 'number' and string.format('%.0f', value) or value
  end
  call('HSET', STATE, unpack(fields))
  local last = call('ZRANGE', CALLS, -1, -1, 'WITHSCORES')
  local over = max(lane.parked, lane.closed, lane.open, tonumber(last[2] or 0), now)
  local ttl = string.format('%.0f', floor((over - now + forget) / 1000) + 1)
  call('PEXPIRE', STATE, ttl)
  call('PEXPIRE', CALLS, ttl)
end

local function breaker(now)
  if lane.opens == 0 then return 'closed' end
  return lane.open > now and 'open' or 'half_open'
end

-- What callers remember, after `first`: the answer itself.
local function known(now, first)
  local numbers = { max(lane.parked - now, 0), max(lane.closed - now, 0), lane.r_limit, lane.r_window, lane.t_limit,
    lane.t_window, lane.slow, call('ZCARD', CALLS) }
  for _, number in ipairs(numbers) do first[#first + 1] = string.format('%.0f', number) end
  first[#first + 1] = lane.refused
  first[#first + 1] = breaker(now)
  return first
end
