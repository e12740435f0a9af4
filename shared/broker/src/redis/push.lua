-- ARGV: delay in ms, then for each job id, tenant, kind, subject, priority, the weight of its tenant ('' for as it is).
-- An entry that is known stays as it is; one that stands in no set is put where a new one would be.
local delay = tonumber(ARGV[1])
local due = delay > 0 and now_ms() + delay
for at = 2, #ARGV, 6 do
  local id, tenant, kind, subject, priority, weight = unpack(ARGV, at, at + 5)
  set_weight(tenant, weight)
  local known = call('HGET', job_key(id), 'tenant')
  local stands = known and (call('ZSCORE', LEASES, id) or call('ZSCORE', DELAYED, id) or call('ZSCORE', ready_key(known), id))
  if not stands then
    if known then call('DEL', job_key(id)) end
    call('HSET', job_key(id), 'tenant', tenant, 'kind', kind, 'subject', subject, 'priority', priority)
    if due then make_delayed(id, tenant, due) else make_ready(id, tenant, priority) end
  end
end
wake()
finish()
