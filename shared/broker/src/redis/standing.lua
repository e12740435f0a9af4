-- ARGV: tenant, id, the first estimate of a cost, lease in ms. Where a ready job stands: nothing if it is not ready, else ready jobs of the
-- tenant before it, rivals, their turns, ready jobs of others, leases, leases of the tenant, permits, microseconds that a job
-- is held on average, and one of the tenant ('' if unknown).
local tenant, first = ARGV[1], ARGV[3]
local before = call('ZRANK', ready_key(tenant), ARGV[2])
if not before then return {} end
local its, inside = account(tenant), place_of(tenant)
local at = math.max(clock(), tonumber(inside or call('ZSCORE', PAST, tenant) or 0))
local mean = state().cost or tonumber(first)
local turn = at + before * math.floor((its.cost or mean) / its.weight)
local rivals = call('ZCOUNT', RING, '-inf', turn) - (inside and 1 or 0)
local permits, alive = 0, now_ms() - 2 * tonumber(ARGV[4])
for _, value in ipairs(call('HVALS', WORKERS)) do
  local of_one, seen = permits_and_seen(value)
  if seen >= alive then permits = permits + of_one end
end
local others = state().waiting - call('ZCARD', ready_key(tenant))
local function text(value) return string.format('%.0f', value) end
return { text(before), text(rivals), text(math.max(1, math.floor((turn - clock()) / mean))), text(others),
  text(call('ZCARD', LEASES)), text(its.leases), text(permits), state().held and text(state().held) or '',
  its.held and text(its.held) or '' }
