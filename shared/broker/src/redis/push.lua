-- ARGV: delay in ms, then for each job id, tenant, kind, subject, priority, the weight of its tenant ('' for as it is).
-- An entry that is known stays as it is; one that stands in no set is put where a new one would be.
local delay, now = tonumber(ARGV[1]), now_ms()
for at = 2, #ARGV, 6 do
  local id, tenant, kind, subject, priority, weight = unpack(ARGV, at, at + 5)
  set_weight(tenant, weight)
  local known = call('HGET', job_key(id), 'tenant')
  local stands = known and (call('ZSCORE', LEASES, id) or call('ZSCORE', DELAYED, id) or call('ZSCORE', ready_key(known), id))
  if not stands then
    call('DEL', job_key(id))
    call('HSET', job_key(id), 'tenant', tenant, 'kind', kind, 'subject', subject, 'priority', priority)
    if delay > 0 then make_delayed(id, tenant, now + delay) else make_ready(id, tenant, priority) end
  end
end
wake()
