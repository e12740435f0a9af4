-- Put before every script of the queue. KEYS[1] is the queue's prefix; its hash tag keeps all keys in one slot.
--   job:<id>        HASH  tenant, kind, subject, priority; token while it is leased; paid, paid_until since a claim whose
--                         estimate has not been corrected
--   ready:<tenant>  ZSET  id -> priority. Equal priorities stand in the order of their ids, which is the order of time
--                         (UUIDv7), so that no sequence number has to share the 53 bits of a score with the priority
--   account:<tenant> HASH of a tenant that has jobs: weight, where it is not one; cost and held, its own means; credit: what
--                         it was charged too much and the clock has passed, while it stands in the ring
--   means           HASH  cost, held: the moving averages of all jobs, in microseconds
--   ring            ZSET  tenant -> virtual time, in microseconds of calls divided by weights; who has ready jobs and is
--                         under the cap stands in it
--   past            ZSET  tenant -> virtual time at which it left the ring, while that is ahead of the clock
--   clock           the virtual time of the last claim; it never goes back, and nobody in the ring is behind it
--   capped          SET   tenants with ready jobs that left the ring because they hold as much as they may
--   leases, delayed ZSET  id -> milliseconds of this server's clock
--   held, late      HASH  tenant -> number of its leases, of its delayed jobs
--   waiting         number of ready jobs of all tenants
--   permits, seen   HASH worker -> permits, ZSET worker -> milliseconds of its last sign of life
--   wake            LIST  what idle workers block on
--   mark            stands in no script: it is missing once the server was emptied
local P = KEYS[1]
local RING, PAST, CLOCK, CAPPED = P .. 'ring', P .. 'past', P .. 'clock', P .. 'capped'
local LEASES, DELAYED, HELD, LATE = P .. 'leases', P .. 'delayed', P .. 'held', P .. 'late'
local WAITING, PERMITS, SEEN, WAKE, MEANS = P .. 'waiting', P .. 'permits', P .. 'seen', P .. 'wake', P .. 'means'

local call = redis.call
local function job_key(id) return P .. 'job:' .. id end
local function ready_key(tenant) return P .. 'ready:' .. tenant end
local function account_key(tenant) return P .. 'account:' .. tenant end
local function number(value, otherwise) return tonumber(value or otherwise) end

local function now_ms()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- A few are enough: a worker that finds more work than it can take wakes the next one.
local function wake()
  if call('LLEN', WAKE) < 4 then call('LPUSH', WAKE, 1) end
end

local function lower(counts, tenant)
  if call('HINCRBY', counts, tenant, -1) <= 0 then call('HDEL', counts, tenant) end
end

-- A tenant goes on from where it left, but never behind the clock: being away earns no credit.
local function enter_ring(tenant)
  call('SREM', CAPPED, tenant)
  if call('ZSCORE', RING, tenant) then return end
  local clock = tonumber(call('GET', CLOCK) or 0)
  local past = tonumber(call('ZSCORE', PAST, tenant) or 0)
  call('ZADD', RING, math.max(clock, past), tenant)
  call('ZREM', PAST, tenant)
  wake()
end

local function leave_ring(tenant, at)
  call('ZREM', RING, tenant)
  call('ZADD', PAST, at, tenant)
  call('HDEL', account_key(tenant), 'credit')
end

-- Moves a tenant in the ring to where it owes to be, or to `least` with credit for the rest. Answers where it is.
local function place(tenant, least, owed)
  local at = math.max(least, owed)
  call('ZADD', RING, at, tenant)
  if at > owed then
    call('HSET', account_key(tenant), 'credit', at - owed)
  else
    call('HDEL', account_key(tenant), 'credit')
  end
  return at
end

-- Charges what a leased job really took instead of the estimate. Nobody gets behind the clock by it.
local function correct(id, tenant, cost)
  local paid = call('HMGET', job_key(id), 'paid', 'paid_until')
  if not paid[1] then return end
  call('HDEL', job_key(id), 'paid', 'paid_until')
  local account = call('HMGET', account_key(tenant), 'weight', 'credit')
  local more = math.floor(cost / number(account[1], 1)) - tonumber(paid[1])
  local clock, at = number(call('GET', CLOCK), 0), call('ZSCORE', RING, tenant)
  if at then
    place(tenant, clock, at - number(account[2], 0) + more)
    return
  end
  at = number(call('ZSCORE', PAST, tenant), 0)
  if at <= clock then at = tonumber(paid[2]) end
  if at + more > clock then call('ZADD', PAST, at + more, tenant) else call('ZREM', PAST, tenant) end
end

-- A moving average: each new value counts an eighth.
local function average(key, field, value)
  local before = tonumber(call('HGET', key, field) or value)
  call('HSET', key, field, before + math.floor((value - before) / 8))
end

-- The usual weight takes no memory.
local function set_weight(tenant, weight)
  if weight == '1' then
    call('HDEL', account_key(tenant), 'weight')
  elseif weight ~= '' then
    call('HSET', account_key(tenant), 'weight', weight)
  end
end

-- Forgets the account of a tenant that has no job here any more.
local function close(tenant)
  if call('EXISTS', ready_key(tenant)) == 0 and call('HEXISTS', HELD, tenant) == 0 and call('HEXISTS', LATE, tenant) == 0 then
    call('DEL', account_key(tenant))
  end
end

local function make_ready(id, tenant, priority)
  if call('ZADD', ready_key(tenant), priority, id) == 1 then call('INCR', WAITING) end
  enter_ring(tenant)
end

local function end_ready(id, tenant)
  if call('ZREM', ready_key(tenant), id) == 0 then return false end
  call('DECR', WAITING)
  if call('EXISTS', ready_key(tenant)) == 0 then
    call('SREM', CAPPED, tenant)
    local at = call('ZSCORE', RING, tenant)
    if at then leave_ring(tenant, at) end
  end
  return true
end

local function make_delayed(id, tenant, due)
  if call('ZADD', DELAYED, due, id) == 1 then call('HINCRBY', LATE, tenant, 1) end
  wake() -- whoever waits learns of the new due time
end

local function end_delayed(id, tenant)
  if call('ZREM', DELAYED, id) == 0 then return false end
  lower(LATE, tenant)
  return true
end

local function make_leased(id, tenant, until_ms, token)
  if call('ZADD', LEASES, until_ms, id) == 1 then call('HINCRBY', HELD, tenant, 1) end
  call('HSET', job_key(id), 'token', token)
end

local function end_leased(id, tenant)
  call('HDEL', job_key(id), 'token')
  if call('ZREM', LEASES, id) == 0 then return false end
  lower(HELD, tenant)
  if call('EXISTS', ready_key(tenant)) == 1 then enter_ring(tenant) end
  return true
end

-- A worker is there: its permits count for the tenants' shares.
local function present(worker, permits, now)
  call('HSET', PERMITS, worker, permits)
  call('ZADD', SEEN, now, worker)
end

-- When nobody waits and nobody holds anything, all tenants start equal, and nothing of the past is kept.
local function settle()
  if call('EXISTS', LEASES, RING) == 0 then call('DEL', HELD, CAPPED, PAST, CLOCK, WAITING) end
end
