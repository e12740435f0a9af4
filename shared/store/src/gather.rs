//! Small transactions that come at the same time and are made one: while one is under way, what comes meanwhile gathers for the
//! next. Nothing waits for company. The index of unfinished work (`control/jobs`) and the worker's first claims use it.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::error::StoreError;

/// So many go together at most.
const MOST: usize = 64;

/// What was handed in, for each key by itself: what stands in one store can go together.
pub struct Gather<K, T, R> {
    gathered: Arc<Mutex<Gathered<K, T, R>>>,
    /// Whether what nobody waits for any more is left out.
    is_for_callers: bool,
}

/// What waits, for the keys that somebody works on.
type Gathered<K, T, R> = HashMap<K, Vec<Entry<T, R>>>;

struct Entry<T, R> {
    item: T,
    reply: oneshot::Sender<Result<R, StoreError>>,
}

impl<K, T, R> Default for Gather<K, T, R> {
    fn default() -> Self {
        Self { gathered: Arc::default(), is_for_callers: false }
    }
}

impl<K, T, R> fmt::Debug for Gather<K, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gather").finish_non_exhaustive()
    }
}

impl<K, T, R> Gather<K, T, R> {
    /// One for items that are of no use without their caller: whose caller is gone before their transaction begins is left out.
    pub fn for_callers() -> Self {
        Self { is_for_callers: true, ..Self::default() }
    }

    fn share(&self) -> Self {
        Self { gathered: Arc::clone(&self.gathered), is_for_callers: self.is_for_callers }
    }

    fn lock(&self) -> MutexGuard<'_, Gathered<K, T, R>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, T, R> Gather<K, T, R>
where
    K: Copy + Eq + Hash + Send + 'static,
    T: Clone + Send + 'static,
    R: Send + 'static,
{
    /// Has the item done, with what else of its key is to be done at the moment. `together` does all of them in one transaction, and
    /// answers in their order. Once begun it goes on when the caller is dropped: others wait for it.
    ///
    /// # Errors
    /// Where the database is away, nobody knows whether it was done, as with a transaction of one's own; what waits at that moment
    /// is told the same, for its own wait would only be added to this one. What it refuses otherwise is done once more, each by
    /// itself, so that nobody fails for another.
    pub async fn hand_in<F, D>(&self, key: K, item: T, together: F) -> Result<R, StoreError>
    where
        F: Fn(Vec<T>) -> D + Send + Sync + 'static,
        D: Future<Output = Result<Vec<R>, StoreError>> + Send + 'static,
    {
        let (reply, done) = oneshot::channel();
        let entry = Entry { item, reply };
        let begins = {
            let mut gathered = self.lock();
            let is_worked_on = gathered.contains_key(&key);
            gathered.entry(key).or_default().push(entry);
            !is_worked_on
        };
        if begins {
            let worker = Worker(Some((self.share(), key)));
            tokio::spawn(worker.work(together));
        }
        // The process ends, or there was a panic.
        let dropped = |_| Err(StoreError::Unavailable("the transaction was given up".to_owned()));
        done.await.unwrap_or_else(dropped)
    }
}

/// Whoever works on what was handed in under a key. Dropped in the middle, it leaves nobody waiting.
struct Worker<K: Eq + Hash, T, R>(Option<(Gather<K, T, R>, K)>);

impl<K: Eq + Hash, T, R> Drop for Worker<K, T, R> {
    fn drop(&mut self) {
        if let Some((gather, key)) = &self.0 {
            gather.lock().remove(key);
        }
    }
}

impl<K: Eq + Hash, T: Clone, R> Worker<K, T, R> {
    /// What waits; where nothing does, whoever comes next works on it.
    fn take(&mut self) -> Option<Vec<Entry<T, R>>> {
        let (gather, key) = self.0.as_ref()?;
        let mut gathered = gather.lock();
        let mut waiting = gathered.get_mut(key);
        if let Some(waiting) = waiting.as_mut().filter(|_| gather.is_for_callers) {
            waiting.retain(|entry| !entry.reply.is_closed());
        }
        if let Some(waiting) = waiting.filter(|waiting| !waiting.is_empty()) {
            let count = waiting.len().min(MOST);
            return Some(waiting.drain(..count).collect());
        }
        gathered.remove(key);
        drop(gathered);
        self.0 = None;
        None
    }

    /// The database is away: these are told so, and all that waits.
    fn give_up(&self, entries: impl Iterator<Item = Entry<T, R>>, error: &StoreError) {
        let waiting = self.0.as_ref().and_then(|(gather, key)| gather.lock().get_mut(key).map(std::mem::take));
        for entry in entries.chain(waiting.into_iter().flatten()) {
            drop(entry.reply.send(Err(error.clone())));
        }
    }

    async fn work<F, D>(mut self, together: F)
    where
        F: Fn(Vec<T>) -> D,
        D: Future<Output = Result<Vec<R>, StoreError>>,
    {
        while let Some(entries) = self.take() {
            let items = entries.iter().map(|entry| entry.item.clone()).collect();
            match together(items).await {
                Ok(done) => {
                    for (entry, done) in entries.into_iter().zip(done) {
                        // Who does not listen any more has no need to know.
                        drop(entry.reply.send(Ok(done)));
                    }
                }
                Err(error) if error.is_unavailable() => self.give_up(entries.into_iter(), &error),
                Err(error) if entries.len() == 1 => {
                    for entry in entries {
                        drop(entry.reply.send(Err(error.clone())));
                    }
                }
                Err(_) => {
                    let mut entries = entries.into_iter();
                    while let Some(Entry { item, reply }) = entries.next() {
                        let alone = together(vec![item]).await;
                        if let Err(error) = &alone
                            && error.is_unavailable()
                        {
                            self.give_up(entries.by_ref(), error);
                        }
                        let missing = || StoreError::Corrupt("a transaction was answered with nothing".to_owned());
                        drop(reply.send(alone.and_then(|mut done| done.pop().ok_or_else(missing))));
                    }
                }
            }
        }
    }
}

/// The items, the last of them repeated until there are 1, 2, 4, 8, …: where repeating one changes nothing, a connection prepares a
/// statement for a few lengths only.
pub(crate) fn filled_up<T: Copy>(items: &[T]) -> impl Iterator<Item = T> {
    let missing = items.len().next_power_of_two() - items.len();
    items.iter().copied().chain(items.last().copied().into_iter().cycle().take(missing))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    /// A database that takes as many statements as it has permits for, knows all of them, and says twice the number.
    #[derive(Debug, Clone)]
    struct Database {
        permits: Arc<Semaphore>,
        seen: Arc<Mutex<Vec<Vec<u32>>>>,
        refuses: Option<(u32, StoreError)>,
    }

    impl Database {
        fn new(refuses: Option<(u32, StoreError)>) -> Self {
            Self { permits: Arc::new(Semaphore::new(0)), seen: Arc::default(), refuses }
        }

        async fn double(self, numbers: Vec<u32>) -> Result<Vec<u32>, StoreError> {
            self.permits.acquire().await.unwrap().forget();
            self.seen.lock().unwrap().push(numbers.clone());
            assert!(!numbers.contains(&666));
            match self.refuses {
                Some((refused, error)) if numbers.contains(&refused) => Err(error),
                _ => Ok(numbers.iter().map(|number| number * 2).collect()),
            }
        }

        async fn ask(&self, gather: &Gather<bool, u32, u32>, number: u32) -> Result<u32, StoreError> {
            let database = self.clone();
            gather.hand_in(number > 100, number, move |numbers| database.clone().double(numbers)).await
        }

        fn seen(&self) -> Vec<Vec<u32>> {
            self.seen.lock().unwrap().clone()
        }
    }

    #[tokio::test]
    async fn what_comes_while_a_statement_is_under_way_goes_together_in_the_next() {
        let (database, gather) = (Database::new(None), Gather::default());
        let asked = async { join_all((1..=4).map(|number| database.ask(&gather, number))).await };
        let allow = async {
            tokio::task::yield_now().await;
            database.permits.add_permits(1);
            tokio::task::yield_now().await;
            database.permits.add_permits(1);
        };
        let (answers, ()) = tokio::join!(asked, allow);
        assert_eq!(answers.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [2, 4, 6, 8]);
        let seen = database.seen();
        assert_eq!(seen.concat(), [1, 2, 3, 4]);
        assert!(seen.len() <= 2, "{seen:?}");
        // Alone it waits for nobody.
        database.permits.add_permits(1);
        assert_eq!(database.ask(&gather, 9).await.unwrap(), 18);
    }

    #[tokio::test]
    async fn nobody_fails_for_what_another_asked() {
        let refuses = Some((2, StoreError::NotFound("number")));
        let (database, gather) = (Database::new(refuses), Gather::default());
        database.permits.add_permits(9);
        let answers = join_all((1..=3).map(|number| database.ask(&gather, number))).await;
        assert!(matches!(answers[..], [Ok(2), Err(StoreError::NotFound("number")), Ok(6)]), "{answers:?}");
        assert_eq!(database.seen().last().unwrap(), &[3]);
    }

    #[tokio::test]
    async fn while_the_database_is_away_all_are_told_so_and_nothing_is_tried_twice() {
        let refuses = Some((2, StoreError::Unavailable("gone".to_owned())));
        let (database, gather) = (Database::new(refuses), Gather::default());
        database.permits.add_permits(9);
        let answers = join_all((1..=3).map(|number| database.ask(&gather, number))).await;
        assert!(answers.iter().all(|answer| matches!(answer, Err(StoreError::Unavailable(_)))), "{answers:?}");
        assert_eq!(database.seen(), [[1, 2, 3]]);
        assert_eq!(database.ask(&gather, 5).await.unwrap(), 10);
    }

    #[tokio::test]
    async fn what_waits_while_the_database_goes_away_does_not_wait_for_it_again() {
        let refuses = Some((1, StoreError::Unavailable("gone".to_owned())));
        let (database, gather) = (Database::new(refuses), Gather::default());
        let mut first = Box::pin(database.ask(&gather, 1));
        assert!((&mut first).now_or_never().is_none());
        tokio::task::yield_now().await;
        let mut second = Box::pin(database.ask(&gather, 2));
        assert!((&mut second).now_or_never().is_none());
        database.permits.add_permits(9);
        assert!(first.await.is_err_and(|error| error.is_unavailable()));
        assert!(second.await.is_err_and(|error| error.is_unavailable()));
        assert_eq!(database.seen(), [[1]]);
        assert_eq!(database.ask(&gather, 3).await.unwrap(), 6);
    }

    #[tokio::test]
    async fn what_is_for_its_caller_is_left_out_without_it() {
        let (database, gather) = (Database::new(None), Gather::for_callers());
        let mut first = Box::pin(database.ask(&gather, 1));
        assert!((&mut first).now_or_never().is_none());
        tokio::task::yield_now().await;
        let mut second = Box::pin(database.ask(&gather, 2));
        let mut third = Box::pin(database.ask(&gather, 3));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        drop((first, second));
        database.permits.add_permits(2);
        assert_eq!(third.await.unwrap(), 6);
        // What was begun is done all the same.
        assert_eq!(database.seen(), [[1], [3]]);
    }

    #[tokio::test]
    async fn who_is_dropped_takes_nobody_with_them() {
        let (database, gather) = (Database::new(None), Gather::default());
        let mut first = Box::pin(database.ask(&gather, 1));
        assert!((&mut first).now_or_never().is_none());
        tokio::task::yield_now().await;
        let mut second = Box::pin(database.ask(&gather, 2));
        let mut third = Box::pin(database.ask(&gather, 3));
        assert!((&mut second).now_or_never().is_none() && (&mut third).now_or_never().is_none());
        drop((first, second));
        database.permits.add_permits(2);
        assert_eq!(third.await.unwrap(), 6);
        assert_eq!(database.seen(), [vec![1], vec![2, 3]]);
    }

    #[tokio::test]
    async fn a_panic_leaves_nobody_waiting() {
        let (database, gather) = (Database::new(None), Gather::default());
        let (one, two) = (database.ask(&gather, 666), database.ask(&gather, 101));
        database.permits.add_permits(9);
        let (one, two) = tokio::join!(one, two);
        assert!(one.is_err() && two.is_err());
        assert_eq!(database.ask(&gather, 2).await.unwrap(), 4);
    }

    #[tokio::test]
    async fn so_many_go_together_and_no_more() {
        let (database, gather) = (Database::new(None), Gather::default());
        database.permits.add_permits(9);
        join_all((0..=MOST as u32).map(|number| database.ask(&gather, number))).await;
        assert_eq!(database.seen().iter().map(Vec::len).collect::<Vec<_>>(), [MOST, 1]);
    }

    #[tokio::test]
    async fn keys_wait_for_their_own_and_are_forgotten() {
        let (database, gather) = (Database::new(None), Gather::default());
        database.permits.add_permits(9);
        let answers = join_all([1, 101, 2, 102].map(|number| database.ask(&gather, number))).await;
        assert_eq!(answers.into_iter().map(Result::unwrap).collect::<Vec<_>>(), [2, 202, 4, 204]);
        assert_eq!(database.seen(), [[1, 2], [101, 102]]);
        tokio::task::yield_now().await;
        assert!(gather.lock().is_empty());
    }

    #[test]
    fn lengths_are_powers_of_two() {
        let lengths = |length: u8| filled_up(&(0..length).collect::<Vec<_>>()).count();
        assert_eq!([1, 2, 3, 5, 33, 64].map(lengths), [1, 2, 4, 8, 64, 64]);
        assert_eq!(filled_up(&[1, 2, 3]).collect::<Vec<_>>(), [1, 2, 3, 3]);
    }
}
