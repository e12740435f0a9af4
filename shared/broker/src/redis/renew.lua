-- ARGV: lease in ms, number of workers, for each worker its id and permits, then for each lease id and token.
-- Answers for each lease 'kept', 'taken' or 'unknown'. Workers are named because one that is full claims nothing for a
-- long time, and its permits must still count.
local now = now_ms()
local until_ms = now + tonumber(ARGV[1])
local first = 3 + 2 * tonumber(ARGV[2])
for at = 3, first - 1, 2 do present(ARGV[at], ARGV[at + 1], now) end
local answer = {}
for at = first, #ARGV, 2 do
  local id = ARGV[at]
  local job = call('HMGET', job_key(id), 'tenant', 'token')
  if not job[1] then
    answer[#answer + 1] = 'unknown'
  elseif job[2] == ARGV[at + 1] and call('ZSCORE', LEASES, id) then
    call('ZADD', LEASES, until_ms, id)
    answer[#answer + 1] = 'kept'
  else
    answer[#answer + 1] = 'taken'
  end
end
return answer
