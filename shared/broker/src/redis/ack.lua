-- ARGV: id, token, cost, microseconds that it was held. The job is done; a token of an earlier claim does nothing.
local id, cost = ARGV[1], tonumber(ARGV[3])
local job = call('HMGET', job_key(id), 'tenant', 'token')
if job[1] and job[2] == ARGV[2] then
  correct(id, job[1], cost)
  for _, key in ipairs({ account_key(job[1]), MEANS }) do
    average(key, 'cost', cost)
    average(key, 'held', tonumber(ARGV[4]))
  end
  end_leased(id, job[1])
  call('DEL', job_key(id))
  close(job[1])
  settle()
end
