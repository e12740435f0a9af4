-- ARGV: lease in ms, token, id, tenant, kind, subject, priority.
-- Takes the job back from wherever it stands: nowhere, ready, delayed or another's lease (whose count then goes on).
local id, tenant = ARGV[3], ARGV[4]
local known = call('HGET', job_key(id), 'tenant')
if known then
  local _ = end_ready(id, known) or end_delayed(id, known)
end
-- A job that was never charged has paid nothing so far.
if call('HEXISTS', job_key(id), 'paid') == 0 then
  call('HSET', job_key(id), 'paid', 0, 'paid_until', number(call('GET', CLOCK), 0))
end
call('HSET', job_key(id), 'tenant', tenant, 'kind', ARGV[5], 'subject', ARGV[6], 'priority', ARGV[7])
make_leased(id, tenant, now_ms() + tonumber(ARGV[1]), ARGV[2])
