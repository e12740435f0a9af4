-- Own arguments: nonce, lease, most calls, poll, calls and space of a cold lane, jitter, forget.
-- Answers 'go', number, time or 'wait', 0, time or 'closed', 0, time; then what is known.
local function pace(kind, cost, jitter, now)
  local window = lane[kind .. 'window']
  if window == 0 then return 0, 0 end
  local limit = lane[kind .. 'limit']
  if now >= lane[kind .. 'reset'] then
    lane[kind .. 'left'] = limit
    lane[kind .. 'reset'] = now + window
  end
  local left, reset = lane[kind .. 'left'], lane[kind .. 'reset']
  cost = min(cost, limit)
  local even = floor((window + jitter) * cost / limit)
  if left < cost then
    if lane[kind .. 'steady'] == 1 and limit < FEW then return 0, even end
    return reset, 0
  end
  if limit < FEW then return 0, even end
  if left * 4 < limit then return 0, max(even, min(floor((reset - now) * cost / left), 2 * even)) end
  if left * 2 < limit then return 0, even end
  return 0, 0
end

local function take(kind, cost)
  lane[kind .. 'left'] = max(lane[kind .. 'left'] - min(cost, lane[kind .. 'limit']), 0)
end

local function ask(now)
  load(now)
  if lane.refused ~= '' and lane.closed > now then return { 'closed', 0, lane.closed - now } end
  local till = max(lane.parked, lane.opens > 0 and lane.open or 0)
  local gap = lane.slow
  if lane.warm == 0 and lane.sent >= number(5) then gap = max(gap, number(6)) end
  local token_cost = max(lane.used, 1)
  for kind, cost in pairs({ r_ = 1, t_ = token_cost }) do
    local wait_till, space = pace(kind, cost, number(7), now)
    till, gap = max(till, wait_till), max(gap, space)
  end
  if lane.sent > 0 then till = max(till, lane.last + gap) end
  if till > now then return { 'wait', 0, till - now } end
  local probing = lane.opens > 0
  local probed = probing and lane.probe ~= '' and call('ZSCORE', CALLS, lane.probe)
  if probed or lane.calls >= number(3) then return { 'wait', 0, number(4) } end
  lane.sent = lane.sent + 1
  lane.last = now
  take('r_', 1)
  take('t_', token_cost)
  add_call(word(1), now + number(2))
  if probing then lane.probe = word(1) end
  return { 'go', lane.sent, now }
end

local now = now_us()
local answer = ask(now)
save(now, number(8))
for at = 2, 3 do answer[at] = text(answer[at]) end
return known(now, answer)
