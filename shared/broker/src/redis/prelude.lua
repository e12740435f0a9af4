-- Put before every script of the queue. KEYS[1] is the queue's prefix; its hash tag keeps all keys in one slot.
--   job:<id>        HASH  tenant, kind, subject, priority; token while it is leased; paid, paid_until since a claim whose
--                         estimate has not been corrected
--   ready:<tenant>  ZSET  id -> priority. Equal priorities stand in the order of their ids, which is the order of time
--                         (UUIDv7), so that no sequence number has to share the 53 bits of a score with the priority
--   account:<tenant> HASH of a tenant that has jobs: weight, where it is not one; leases, late: how many of its jobs are
--                         leased, delayed; cost and held, its own means; credit: what it was charged too much and the clock
--                         has passed, while it stands in the ring
--   state           HASH  waiting: number of ready jobs of all tenants; clock: the virtual time of the last claim, '' while there was
--                         none since the queue was empty; it never goes back, and nobody in the ring is behind it;
--                         cost, held: the moving averages of all jobs, in microseconds
--   ring            ZSET  tenant -> virtual time, in microseconds of calls divided by weights; who has ready jobs and is
--                         under the cap stands in it
--   past            ZSET  tenant -> virtual time at which it left the ring, while that is ahead of the clock
--   capped          SET   tenants with ready jobs that left the ring because they hold as much as they may
--   leases, delayed ZSET  id -> milliseconds of this server's clock
--   workers         HASH  worker -> its permits and the milliseconds of its last sign of life
--   wake            LIST  what idle workers block on
--   mark            stands in no script: it is missing once the server was emptied
-- Each command that a script calls costs the server time in which it does nothing else. So what a script reads it keeps, and what
-- it changes in `state` and the accounts it writes once, in `finish`, which stands at the end of each script that changes anything.
local P = KEYS[1]
local RING, PAST, CAPPED, STATE = P .. 'ring', P .. 'past', P .. 'capped', P .. 'state'
local LEASES, DELAYED, WORKERS, WAKE = P .. 'leases', P .. 'delayed', P .. 'workers', P .. 'wake'

local call = redis.call
local function job_key(id) return P .. 'job:' .. id end
local function ready_key(tenant) return P .. 'ready:' .. tenant end
local function account_key(tenant) return P .. 'account:' .. tenant end
local function number(value, otherwise) return tonumber(value or otherwise) end

local function now_ms()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- Lists the changed fields of what was read, and empties the list of changes.
local function changes(of)
  local fields = {}
  for name in pairs(of.changed) do
    fields[#fields + 1] = name
    fields[#fields + 1] = of[name] == nil and '' or of[name]
  end
  of.changed = {}
  return fields
end

local function set(of, name, value)
  if of[name] ~= value then
    of[name] = value
    of.changed[name] = true
  end
end

local read_state
local more_waiting = 0

local function state()
  if not read_state then
    local found = call('HMGET', STATE, 'clock', 'waiting', 'cost', 'held')
    read_state = { clock = tonumber(found[1]), waiting = number(found[2], 0), cost = tonumber(found[3]),
      held = tonumber(found[4]), changed = {} }
  end
  return read_state
end

local function clock() return state().clock or 0 end

local read_accounts = {}

local function account(tenant)
  local its = read_accounts[tenant]
  if not its then
    local found = call('HMGET', account_key(tenant), 'weight', 'leases', 'late', 'cost', 'held', 'credit')
    its = { weight = number(found[1], 1), leases = number(found[2], 0), late = number(found[3], 0), cost = tonumber(found[4]),
      held = tonumber(found[5]), credit = number(found[6], 0), changed = {} }
    read_accounts[tenant] = its
  end
  return its
end

-- Where tenants stand in the ring, as far as the script knows; false for nowhere.
local places = {}

local function place_of(tenant)
  if places[tenant] == nil then places[tenant] = tonumber(call('ZSCORE', RING, tenant)) or false end
  return places[tenant]
end

-- Keys to delete at the end.
local gone = {}
local function forget(key) gone[#gone + 1] = key end

local woken = false

-- One is enough: a worker that finds more work than it can take wakes the next one. A few may pile up while nobody waits.
local function wake()
  if woken then return end
  woken = true
  if call('LLEN', WAKE) < 4 then call('LPUSH', WAKE, 1) end
end

-- A tenant goes on from where it left, but never behind the clock: being away earns no credit.
local function enter_ring(tenant)
  if place_of(tenant) then return end
  -- Only who holds something can be at its cap.
  if account(tenant).leases > 0 then call('SREM', CAPPED, tenant) end
  -- Without a clock nothing is past.
  local past = state().clock and call('ZSCORE', PAST, tenant)
  places[tenant] = math.max(clock(), tonumber(past or 0))
  call('ZADD', RING, places[tenant], tenant)
  if past then call('ZREM', PAST, tenant) end
  wake()
end

-- Once something is past, there is a clock.
local function keep_past(tenant, at)
  call('ZADD', PAST, at, tenant)
  if not state().clock then set(state(), 'clock', 0) end
end

-- For one that stands in the ring no longer.
local function left_ring(tenant, at)
  places[tenant] = false
  keep_past(tenant, at)
  set(account(tenant), 'credit', 0)
end

-- Where a tenant in the ring comes to stand: where it owes to be, or at `least` with credit for the rest.
local function owes(tenant, least, owed)
  local at = math.max(least, owed)
  set(account(tenant), 'credit', at - owed)
  return at
end

-- Charges what a leased job really took instead of the estimate. Nobody gets behind the clock by it.
local function correct(tenant, paid, paid_until, cost)
  if not paid then return end
  local its = account(tenant)
  local more = math.floor(cost / its.weight) - tonumber(paid)
  local at = place_of(tenant)
  if at then
    places[tenant] = owes(tenant, clock(), at - its.credit + more)
    if places[tenant] ~= at then call('ZADD', RING, places[tenant], tenant) end
    return
  end
  local past = call('ZSCORE', PAST, tenant)
  at = number(past, 0)
  if at <= clock() then at = tonumber(paid_until) end
  if at + more > clock() then
    keep_past(tenant, at + more)
  elseif past then
    call('ZREM', PAST, tenant)
  end
end

-- A moving average: each new value counts an eighth.
local function average(of, name, value)
  local before = of[name] or value
  set(of, name, before + math.floor((value - before) / 8))
end

local function set_weight(tenant, weight)
  if weight ~= '' then set(account(tenant), 'weight', tonumber(weight)) end
end

-- Forgets the account of a tenant that has no job here any more.
local function close(tenant, has_ready)
  local its = account(tenant)
  its.closed = not has_ready and its.leases == 0 and its.late == 0
end

local function make_ready(id, tenant, priority)
  if call('ZADD', ready_key(tenant), priority, id) == 1 then more_waiting = more_waiting + 1 end
  enter_ring(tenant)
end

local function has_ready(tenant) return call('EXISTS', ready_key(tenant)) == 1 end

local function end_ready(id, tenant)
  if call('ZREM', ready_key(tenant), id) == 0 then return false end
  more_waiting = more_waiting - 1
  if not has_ready(tenant) then
    call('SREM', CAPPED, tenant)
    local at = place_of(tenant)
    if at then
      call('ZREM', RING, tenant)
      left_ring(tenant, at)
    end
  end
  return true
end

local function make_delayed(id, tenant, due)
  if call('ZADD', DELAYED, due, id) == 1 then set(account(tenant), 'late', account(tenant).late + 1) end
  wake() -- whoever waits learns of the new due time
end

local function end_delayed(id, tenant)
  if call('ZREM', DELAYED, id) == 0 then return false end
  set(account(tenant), 'late', math.max(account(tenant).late - 1, 0))
  return true
end

local function make_leased(id, tenant, until_ms, token, paid, paid_until)
  if call('ZADD', LEASES, until_ms, id) == 1 then set(account(tenant), 'leases', account(tenant).leases + 1) end
  call('HSET', job_key(id), 'token', token, 'paid', paid, 'paid_until', paid_until)
end

-- The job's own token is the caller's to end.
local function end_leased(id, tenant)
  if call('ZREM', LEASES, id) == 0 then return end
  set(account(tenant), 'leases', math.max(account(tenant).leases - 1, 0))
end

-- A worker is there: its permits count for the tenants' shares.
local function present(worker, permits, now)
  call('HSET', WORKERS, worker, permits .. ' ' .. string.format('%.0f', now))
end

local function permits_and_seen(value)
  local permits, seen = string.match(value, '^(%d+) (%d+)$')
  return tonumber(permits), tonumber(seen)
end

-- When nobody waits and nobody holds anything, all tenants start equal, and nothing of the past is kept. Answers whether it is so.
local function settle()
  if call('EXISTS', LEASES, RING) > 0 then return false end
  forget(CAPPED)
  forget(PAST)
  set(state(), 'clock', nil)
  set(state(), 'waiting', 0)
  more_waiting = 0
  return true
end

local function finish()
  for tenant, its in pairs(read_accounts) do
    if its.closed then
      forget(account_key(tenant))
    elseif next(its.changed) then
      call('HSET', account_key(tenant), unpack(changes(its)))
    end
  end
  if read_state then
    set(read_state, 'waiting', math.max(read_state.waiting + more_waiting, 0))
    if next(read_state.changed) then call('HSET', STATE, unpack(changes(read_state))) end
  elseif more_waiting ~= 0 then
    call('HINCRBY', STATE, 'waiting', more_waiting)
  end
  if gone[1] then call('DEL', unpack(gone)) end
end
