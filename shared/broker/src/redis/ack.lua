-- ARGV: id, token. The job is done; a token of an earlier claim does nothing.
local id = ARGV[1]
local job = call('HMGET', job_key(id), 'tenant', 'token')
if job[1] and job[2] == ARGV[2] then
  end_leased(id, job[1])
  call('DEL', job_key(id))
  settle()
end
