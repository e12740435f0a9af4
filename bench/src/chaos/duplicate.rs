//! A second entry of a job in the queue, by the structure that shared/broker/src/redis/prelude.lua documents: what a broker
//! that restores an old state, or an operator's mistake, would make.

use super::world::World;
use crate::outcome::Outcome;

/// Puts a job that is leased or waits once more among the ready ones of its tenant.
const PUSH_AGAIN: &str = "
local P = KEYS[1]
local ids = redis.call('ZRANGE', P .. 'leases', 0, -1)
if #ids == 0 then ids = redis.call('ZRANGE', P .. 'delayed', 0, -1) end
if #ids == 0 then return 0 end
local id = ids[tonumber(ARGV[1]) % #ids + 1]
local tenant = redis.call('HGET', P .. 'job:' .. id, 'tenant')
if not tenant then return 0 end
local priority = redis.call('HGET', P .. 'job:' .. id, 'priority') or 0
if redis.call('ZADD', P .. 'ready:' .. tenant, priority, id) == 1 then redis.call('HINCRBY', P .. 'state', 'waiting', 1) end
redis.call('ZADD', P .. 'ring', 'NX', tonumber(redis.call('HGET', P .. 'state', 'clock')) or 0, tenant)
redis.call('LPUSH', P .. 'wake', 1)
return 1";

/// Doubles entries of runs and of deliveries.
pub(crate) async fn push_again(world: &World, who: usize) -> Outcome<()> {
    let keys = world.redis.ask(&["--scan", "--pattern", "*:leases"]).await?;
    let who = who.to_string();
    for leases in keys.lines() {
        let prefix = leases.trim_end_matches("leases");
        world.redis.ask(&["EVAL", PUSH_AGAIN, "1", prefix, &who]).await?;
    }
    Ok(())
}
