-- ARGV: lease in ms, token, id, tenant, kind, subject, priority.
-- Takes the job back from wherever it stands: nowhere, ready, delayed or another's lease (whose count then goes on).
local id, tenant = ARGV[3], ARGV[4]
local job = call('HMGET', job_key(id), 'tenant', 'paid', 'paid_until')
if job[1] then
  local _ = end_ready(id, job[1]) or end_delayed(id, job[1])
end
-- A job that was never charged has paid nothing so far.
local paid, paid_until = job[2] or 0, job[3] or clock()
call('HSET', job_key(id), 'tenant', tenant, 'kind', ARGV[5], 'subject', ARGV[6], 'priority', ARGV[7])
make_leased(id, tenant, now_ms() + tonumber(ARGV[1]), ARGV[2], paid, paid_until)
finish()
