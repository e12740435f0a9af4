-- ARGV: tenant. Answers how many of its jobs are ready or delayed.
return call('ZCARD', ready_key(ARGV[1])) + tonumber(call('HGET', LATE, ARGV[1]) or 0)
