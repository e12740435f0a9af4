-- Put before both scripts of a lane. The same state machine as memory/lane.rs, which explains it; times in microseconds.
-- KEYS[1]  HASH  the state, by the names of lane.rs; beside them: calls, how many are under way; first_end, before which none of
--                them stops counting; last_end, after which none counts; keep, until when both keys are kept at least
-- KEYS[2]  ZSET  nonce of a call that is under way -> when it stops counting; and '', which never does, so that the key stays
-- Both carry the lane's own hash tag, and go some time after nothing of them matters any more.
-- A lane is asked and told at each call, so that commands count: what has not changed is not written.
-- ARGV[1..8]  what the caller remembers: parked, closed, requests' limit and window, tokens' limit and window, slow, refused
local STATE, CALLS = KEYS[1], KEYS[2]
local FEW, SECOND = 20, 1000000
local WINDOWS = { SECOND, 60 * SECOND, 3600 * SECOND, 86400 * SECOND }

local call = redis.call
local max, min, floor = math.max, math.min, math.floor

-- What follows in ARGV is the script's own.
local function word(at) return ARGV[8 + at] end
local function number(at) return tonumber(ARGV[8 + at]) end

local lane, before

local function text(value) return type(value) == 'number' and string.format('%.0f', value) or value end

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
  lane.first_end = 1 -- there may be calls, where a lane was lost in part
end

-- Forgets the calls whose time is over.
local function forget_ended(now)
  if lane.first_end == 0 or now < lane.first_end then return end
  call('ZADD', CALLS, '+inf', '')
  call('ZREMRANGEBYSCORE', CALLS, '-inf', text(now))
  local first = tonumber(call('ZRANGE', CALLS, 0, 0, 'WITHSCORES')[2])
  lane.first_end = first and first < math.huge and first or 0
  lane.calls = call('ZCARD', CALLS) - 1
end

local function load(now)
  local pairs_of = call('HGETALL', STATE)
  lane, before = { refused = '', probe = '' }, {}
  for at = 1, #pairs_of, 2 do
    local name, value = pairs_of[at], pairs_of[at + 1]
    before[name] = value
    lane[name] = lane[name] and value or tonumber(value)
  end
  for _, name in ipairs({ 'sent', 'last', 'warm', 'parked', 'closed', 'slow', 'slowed', 'failures', 'opens', 'open', 'heard',
    'used', 'r_limit', 'r_left', 'r_window', 'r_reset', 'r_steady', 't_limit', 't_left', 't_window', 't_reset', 't_steady',
    'calls', 'first_end', 'last_end', 'keep' }) do
    lane[name] = lane[name] or 0
  end
  if #pairs_of == 0 then begin(now) end
  forget_ended(now)
end

-- Notes a call that is under way until `ends`.
local function add_call(nonce, ends)
  lane.calls = lane.calls + call('ZADD', CALLS, text(ends), nonce)
  lane.first_end = lane.first_end == 0 and ends or min(lane.first_end, ends)
  lane.last_end = max(lane.last_end, ends)
end

local function end_call(nonce)
  lane.calls = max(lane.calls - call('ZREM', CALLS, nonce), 0)
  if lane.calls == 0 then lane.first_end, lane.last_end = 0, 0 end
end

-- The keys are given a quarter more time than they need, so that it need not be written each time.
local function save(now, forget)
  local needed = max(lane.parked, lane.closed, lane.open, lane.last_end, now) + forget
  local lasts = lane.keep >= needed
  if not lasts then lane.keep = needed + floor(forget / 4) end
  local fields = {}
  for name, value in pairs(lane) do
    value = text(value)
    if before[name] ~= value and (before[name] or value ~= '0' and value ~= '') then
      fields[#fields + 1] = name
      fields[#fields + 1] = value
    end
  end
  if fields[1] then call('HSET', STATE, unpack(fields)) end
  if not lasts then
    local ttl = text(floor((lane.keep - now) / 1000) + 1)
    call('PEXPIRE', STATE, ttl)
    call('PEXPIRE', CALLS, ttl)
  end
end

local function breaker(now)
  if lane.opens == 0 then return 'closed' end
  return lane.open > now and 'open' or 'half_open'
end

-- What callers remember, after `first`: the answer itself.
local function known(now, first)
  local numbers = { max(lane.parked - now, 0), max(lane.closed - now, 0), lane.r_limit, lane.r_window, lane.t_limit,
    lane.t_window, lane.slow, lane.calls }
  for _, number in ipairs(numbers) do first[#first + 1] = text(number) end
  first[#first + 1] = lane.refused
  first[#first + 1] = breaker(now)
  return first
end
