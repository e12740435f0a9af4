-- ARGV: id, tenant. Forgets a job that waits; one that is leased, or another tenant's, stays.
local id, tenant = ARGV[1], ARGV[2]
if call('HGET', job_key(id), 'tenant') == tenant and not call('ZSCORE', LEASES, id) then
  local _ = end_ready(id, tenant) or end_delayed(id, tenant)
  forget(job_key(id))
  close(tenant, has_ready(tenant))
  settle()
  finish()
end
