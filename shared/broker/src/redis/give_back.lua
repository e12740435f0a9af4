-- ARGV: id, token, delay in ms, cost. A token of an earlier claim does nothing.
local id, delay = ARGV[1], tonumber(ARGV[3])
local job = call('HMGET', job_key(id), 'tenant', 'token', 'priority')
if job[1] and job[2] == ARGV[2] then
  correct(id, job[1], tonumber(ARGV[4]))
  end_leased(id, job[1])
  if delay > 0 then make_delayed(id, job[1], now_ms() + delay) else make_ready(id, job[1], job[3]) end
  settle()
end
