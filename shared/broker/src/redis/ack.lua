-- ARGV: id, token, cost, microseconds that it was held. The job is done; a token of an earlier claim does nothing.
local id, cost, held = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local job = call('HMGET', job_key(id), 'tenant', 'token', 'paid', 'paid_until')
local tenant = job[1]
if tenant and job[2] == ARGV[2] then
  for _, of in ipairs({ account(tenant), state() }) do
    average(of, 'cost', cost)
    average(of, 'held', held)
  end
  end_leased(id, tenant)
  forget(job_key(id))
  local more = has_ready(tenant)
  close(tenant, more)
  if not more then places[tenant] = false end -- who has nothing ready is not in the ring
  -- Once all is empty nobody owes anything.
  if more or not settle() then correct(tenant, job[3], job[4], cost) end
  if more then enter_ring(tenant) end
  finish()
end
