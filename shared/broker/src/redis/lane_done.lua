-- Own arguments: nonce, number, time of the ticket; outcome, the delay asked for or -1; limit, remainder and reset of requests, and of
-- tokens, the limit 0 where nothing was told; tokens of the call or -1; then the rules: closed, failures that open the breaker,
-- first step and cap of the breaker, and of the space after a 429; forget. Answers what is known.
local function works()
  lane.warm, lane.failures, lane.opens, lane.open, lane.probe = 1, 0, 0, 0, ''
end

local function fails(probed, now)
  if lane.opens == 0 then
    lane.failures = lane.failures + 1
    if lane.failures < number(14) then return end
  elseif not probed then
    return
  end
  local delay = number(15) * 2 ^ min(lane.opens, 20)
  lane.open = now + min(delay, number(16))
  lane.opens = lane.opens + 1
end

local function window_of(limit, remaining, reset)
  local used = limit - min(remaining, limit)
  if used == 0 then return reset end
  local usual = reset
  for _, window in ipairs(WINDOWS) do
    if reset <= window + window / 50 then usual = window break end
  end
  return min(floor(reset * limit / used), usual)
end

local function told(kind, first, since, cost, age, now)
  local limit, remaining, reset = number(first), number(first + 1), number(first + 2)
  if limit == 0 then return false end
  local guessed = window_of(limit, remaining, reset)
  if lane[kind .. 'limit'] == limit then
    lane[kind .. 'window'] = max(lane[kind .. 'window'], guessed)
  else
    lane[kind .. 'limit'], lane[kind .. 'left'] = limit, limit
    lane[kind .. 'window'], lane[kind .. 'reset'], lane[kind .. 'steady'] = guessed, now + guessed, 0
  end
  if age < reset then
    local left = max(remaining - since * cost, 0)
    if left > lane[kind .. 'left'] and now < lane[kind .. 'reset'] then lane[kind .. 'steady'] = 1 end
    lane[kind .. 'left'] = left
    lane[kind .. 'reset'] = now + reset
  end
  return true
end

local function done(now)
  load(now)
  local nth, outcome = number(2), word(4)
  end_call(word(1))
  local probed = lane.probe == word(1)
  if probed then lane.probe = '' end
  if outcome == 'answered' then
    works()
    lane.slow = lane.slow < 1000 and 0 or floor(lane.slow * 3 / 4)
  elseif outcome == 'rejected' then
    works()
  elseif outcome == 'rate_limited' then
    works()
    if nth > lane.slowed then
      lane.slow = min(max(lane.slow * 2, number(17)), number(18))
      lane.slowed = lane.sent
    end
    local after = number(5)
    lane.parked = max(lane.parked, now + (after < 0 and lane.slow or after))
  elseif outcome == 'auth' or outcome == 'quota' then
    lane.warm, lane.closed, lane.refused = 1, now + number(13), outcome
  elseif outcome == 'failed' then
    fails(probed, now)
  end
  local tokens = number(12)
  if tokens >= 0 then lane.used = lane.used == 0 and tokens or floor((lane.used * 7 + tokens) / 8) end
  if nth > lane.sent then nth = 0 end
  if nth >= lane.heard then
    local age, since = max(now - number(3), 0), lane.sent - nth
    local token_cost = max(lane.used, 1)
    if told('r_', 6, since, 1, age, now) then lane.heard = nth end
    if told('t_', 9, since, token_cost, age, now) then lane.heard = nth end
  end
  if outcome == 'rate_limited' then lane.r_steady, lane.t_steady = 0, 0 end
end

local now = now_us()
done(now)
save(now, number(19))
return known(now, {})
