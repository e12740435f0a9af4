-- ARGV: tenant, id, the first estimate of a cost, lease in ms. Where a ready job stands: nothing if it is not ready, else ready jobs of the
-- tenant before it, rivals, their turns, ready jobs of others, leases, leases of the tenant, permits, microseconds that a job
-- is held on average, and one of the tenant ('' if unknown).
local tenant, first = ARGV[1], ARGV[3]
local before = call('ZRANK', ready_key(tenant), ARGV[2])
if not before then return {} end
local account = call('HMGET', account_key(tenant), 'weight', 'cost', 'held')
local means = call('HMGET', MEANS, 'cost', 'held')
local clock, inside = number(call('GET', CLOCK), 0), call('ZSCORE', RING, tenant)
local at = math.max(clock, tonumber(inside or call('ZSCORE', PAST, tenant) or 0))
local mean = number(means[1], first)
local turn = at + before * math.floor(number(account[2], mean) / number(account[1], 1))
local rivals = call('ZCOUNT', RING, '-inf', turn) - (inside and 1 or 0)
local permits = 0
local alive = call('ZRANGEBYSCORE', SEEN, now_ms() - 2 * tonumber(ARGV[4]), '+inf', 'LIMIT', 0, 1000)
if alive[1] then
  for _, its in ipairs(call('HMGET', PERMITS, unpack(alive))) do permits = permits + number(its, 0) end
end
local others = tonumber(call('GET', WAITING) or 0) - call('ZCARD', ready_key(tenant))
local function text(value) return string.format('%.0f', value) end
return { text(before), text(rivals), text(math.max(1, math.floor((turn - clock) / mean))), text(others),
  text(call('ZCARD', LEASES)), call('HGET', HELD, tenant) or '0', text(permits), means[2] or '', account[3] or '' }
