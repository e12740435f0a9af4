-- Answers how many jobs are ready, delayed, leased.
return { tonumber(call('GET', WAITING) or 0), call('ZCARD', DELAYED), call('ZCARD', LEASES) }
