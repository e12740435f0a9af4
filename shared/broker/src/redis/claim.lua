-- ARGV: how many, lease in ms, token, share in percent, worker, its permits, the first estimate of a cost, the least cost.
-- Answers the milliseconds until the next lease ends or the next delayed job is due ('' for none), then for each claimed
-- job id, tenant, kind, subject, priority.
local wanted, lease, token, share = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local PAGE = 100 -- no call works on more than this much of a backlog: others wait while a script runs
local now = now_ms()

present(ARGV[5], ARGV[6], now)
for _, worker in ipairs(call('ZRANGEBYSCORE', SEEN, '-inf', '(' .. (now - 2 * lease), 'LIMIT', 0, PAGE)) do
  call('ZREM', SEEN, worker)
  call('HDEL', PERMITS, worker)
end
local permits = 0
for _, number in ipairs(call('HVALS', PERMITS)) do permits = permits + tonumber(number) end
local cap = math.max(1, math.floor(permits * share / 100))

for _, id in ipairs(call('ZRANGEBYSCORE', LEASES, '-inf', now, 'LIMIT', 0, PAGE)) do
  local job = call('HMGET', job_key(id), 'tenant', 'priority')
  if job[1] then
    end_leased(id, job[1])
    make_ready(id, job[1], job[2])
  else
    call('ZREM', LEASES, id)
  end
end
for _, id in ipairs(call('ZRANGEBYSCORE', DELAYED, '-inf', now, 'LIMIT', 0, PAGE)) do
  local job = call('HMGET', job_key(id), 'tenant', 'priority')
  if job[1] then
    end_delayed(id, job[1])
    make_ready(id, job[1], job[2])
  else
    call('ZREM', DELAYED, id)
  end
end

local function held(tenant) return tonumber(call('HGET', HELD, tenant) or 0) end

-- The cap may have grown since they left.
for _, tenant in ipairs(call('SRANDMEMBER', CAPPED, PAGE)) do
  if held(tenant) < cap then
    if call('EXISTS', ready_key(tenant)) == 1 then enter_ring(tenant) else call('SREM', CAPPED, tenant) end
  end
end

-- Takes a tenant that may be given nothing out of the ring, at this virtual time; answers whether it stays.
local function stand(tenant, at)
  if call('EXISTS', ready_key(tenant)) == 0 then
    leave_ring(tenant, at)
    return false
  end
  if held(tenant) >= cap then
    leave_ring(tenant, at)
    call('SADD', CAPPED, tenant)
    return false
  end
  return true
end

local mean, least_cost = number(call('HGET', MEANS, 'cost'), ARGV[7]), tonumber(ARGV[8])

-- Charges a tenant for a job by an estimate. Whatever its credit, it moves on a little, so that whoever comes anew has its
-- turn next. Answers its virtual time then.
local function charge(tenant, id, at)
  local account = call('HMGET', account_key(tenant), 'weight', 'cost', 'credit')
  local weight = number(account[1], 1)
  local amount = math.floor(number(account[2], mean) / weight)
  call('HSET', job_key(id), 'paid', amount, 'paid_until', at + amount)
  return place(tenant, at + math.floor(least_cost / weight), at - number(account[3], 0) + amount)
end

local answer = { '' }
local clock, found = nil, 0
for _ = 1, wanted + 2 * PAGE do
  if found == wanted then break end
  local first = call('ZRANGE', RING, 0, 0, 'WITHSCORES')
  if not first[1] then break end
  local tenant, at = first[1], tonumber(first[2])
  if stand(tenant, at) then
    local id = call('ZPOPMIN', ready_key(tenant))[1]
    call('DECR', WAITING)
    local job = call('HMGET', job_key(id), 'tenant', 'kind', 'subject', 'priority')
    if job[1] then
      make_leased(id, tenant, now + lease, token)
      clock = at
      found = found + 1
      answer[#answer + 1] = id
      for field = 1, 4 do answer[#answer + 1] = job[field] or '' end
      at = charge(tenant, id, at)
    end
    stand(tenant, at)
  end
end

if clock then
  call('SET', CLOCK, clock)
  local old = call('ZRANGEBYSCORE', PAST, '-inf', clock, 'LIMIT', 0, PAGE)
  if old[1] then call('ZREM', PAST, unpack(old)) end
end
if call('EXISTS', RING) == 1 then wake() end

for _, set in ipairs({ LEASES, DELAYED }) do
  local first = call('ZRANGE', set, 0, 0, 'WITHSCORES')
  if first[1] then
    local left = math.max(0, tonumber(first[2]) - now)
    if answer[1] == '' or left < tonumber(answer[1]) then answer[1] = string.format('%.0f', left) end
  end
end
return answer
