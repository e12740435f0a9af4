-- ARGV: id, token, delay in ms, cost. A token of an earlier claim does nothing.
local id, delay = ARGV[1], tonumber(ARGV[3])
local job = call('HMGET', job_key(id), 'tenant', 'token', 'priority', 'paid', 'paid_until')
local tenant = job[1]
if tenant and job[2] == ARGV[2] then
  correct(tenant, job[4], job[5], tonumber(ARGV[4]))
  end_leased(id, tenant)
  call('HDEL', job_key(id), 'token', 'paid', 'paid_until')
  if delay > 0 then
    make_delayed(id, tenant, now_ms() + delay)
    if has_ready(tenant) then enter_ring(tenant) end
    settle()
  else
    make_ready(id, tenant, job[3])
  end
  finish()
end
