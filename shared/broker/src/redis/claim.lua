-- ARGV: how many, lease in ms, token, share in percent, worker, its permits, the first estimate of a cost, the least cost.
-- Answers the milliseconds until the next lease ends or the next delayed job is due ('' for none) and whether there may be more
-- to claim ('' for no), then for each claimed job id, tenant, kind, subject, priority.
local wanted, lease, token, share = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local PAGE = 100 -- no call works on more than this much of a backlog: others wait while a script runs
local now = now_ms()
woken = true -- until the end, which tells whether there is more

-- The permits of all workers that live. A worker's own sign of life is written when the last one is no longer fresh.
local own = tonumber(ARGV[6])
local permits = own
local workers = call('HGETALL', WORKERS)
local fresh = false
for at = 1, #workers, 2 do
  local its, seen = permits_and_seen(workers[at + 1])
  if workers[at] == ARGV[5] then
    fresh = its == own and seen <= now and now - seen < lease / 8
  elseif now - seen > 2 * lease then
    call('HDEL', WORKERS, workers[at])
  else
    permits = permits + its
  end
end
if not fresh then present(ARGV[5], ARGV[6], now) end
local cap = math.max(1, math.floor(permits * share / 100))

-- The end of what stands first in a set of times, after all that is due was taken out of it; nil for an empty one.
local function due(times, take_out)
  local first = call('ZRANGE', times, 0, 0, 'WITHSCORES')[2]
  if not first or tonumber(first) > now then return tonumber(first) end
  for _, id in ipairs(call('ZRANGEBYSCORE', times, '-inf', now, 'LIMIT', 0, PAGE)) do
    local job = call('HMGET', job_key(id), 'tenant', 'priority')
    if job[1] then take_out(id, job[1], job[2]) else call('ZREM', times, id) end
  end
  return tonumber(call('ZRANGE', times, 0, 0, 'WITHSCORES')[2])
end

local lease_end = due(LEASES, function(id, tenant, priority)
  end_leased(id, tenant)
  call('HDEL', job_key(id), 'token')
  make_ready(id, tenant, priority)
end)
local delay_end = due(DELAYED, function(id, tenant, priority)
  end_delayed(id, tenant)
  make_ready(id, tenant, priority)
end)

-- The cap may have grown since they left.
for _, tenant in ipairs(call('SRANDMEMBER', CAPPED, PAGE)) do
  if account(tenant).leases < cap then
    call('SREM', CAPPED, tenant)
    if has_ready(tenant) then enter_ring(tenant) end
  end
end

local mean, least_cost = state().cost or tonumber(ARGV[7]), tonumber(ARGV[8])
local answer = { '', '' }
local found, ahead = 0, nil

-- Gives the job to the worker and charges its tenant by an estimate. Whatever its credit, the tenant moves on a little, so that
-- whoever comes anew has its turn next. Answers its virtual time then; without a job nothing happens.
local function give(id, tenant, at)
  local job = call('HMGET', job_key(id), 'tenant', 'kind', 'subject', 'priority')
  if not job[1] then return at end
  local its = account(tenant)
  local amount = math.floor((its.cost or mean) / its.weight)
  make_leased(id, tenant, now + lease, token, amount, at + amount)
  ahead = at
  found = found + 1
  answer[#answer + 1] = id
  for field = 1, 4 do answer[#answer + 1] = job[field] or '' end
  return owes(tenant, at + math.floor(least_cost / its.weight), at - its.credit + amount)
end

local emptied = false
for _ = 1, wanted + 2 * PAGE do
  if found == wanted then break end
  local first = call('ZPOPMIN', RING)
  if not first[1] then
    emptied = true
    break
  end
  local tenant, at = first[1], tonumber(first[2])
  local its = account(tenant)
  local id = its.leases < cap and call('ZPOPMIN', ready_key(tenant))[1]
  if id then
    more_waiting = more_waiting - 1
    at = give(id, tenant, at)
  end
  if not has_ready(tenant) then
    left_ring(tenant, at)
  elseif its.leases >= cap then
    left_ring(tenant, at)
    call('SADD', CAPPED, tenant)
  else
    places[tenant] = at
    call('ZADD', RING, at, tenant)
  end
end

if ahead and ahead ~= state().clock then
  set(state(), 'clock', ahead)
  -- All of it at once: taking a range away costs little.
  call('ZREMRANGEBYSCORE', PAST, '-inf', ahead)
end
if not emptied and call('EXISTS', RING) == 1 then
  answer[2] = '1'
  woken = false
  wake()
end
finish()

if found > 0 then lease_end = math.min(lease_end or math.huge, now + lease) end
local next_end = math.min(lease_end or math.huge, delay_end or math.huge)
if next_end < math.huge then answer[1] = string.format('%.0f', math.max(0, next_end - now)) end
return answer
