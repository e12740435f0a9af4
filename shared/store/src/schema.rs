//! Which migrations a store has seen, compared with those of this program. sea-orm-migration itself refuses a store that
//! knows more than the program does, which would stop old processes during a rolling upgrade; so the names are compared here.

use std::collections::HashSet;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement};
use sea_orm_migration::MigratorTrait;

use crate::error::StoreError;

/// How a store's schema stands to this program's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The same.
    Current,
    /// This program knows migrations that the store has not seen.
    Behind,
    /// The store has seen migrations that this program does not know; they are additive, so it may go on.
    Ahead,
}

/// Compares names.
///
/// # Errors
/// `Newer` if each knows something that the other does not: no order of migrating would be right.
pub(crate) fn standing<M: MigratorTrait>(applied: &[String]) -> Result<Standing, StoreError> {
    let ours: HashSet<String> = M::migrations().iter().map(|migration| migration.name().to_owned()).collect();
    let theirs: HashSet<String> = applied.iter().cloned().collect();
    match (theirs.difference(&ours).next(), ours.difference(&theirs).next()) {
        (None, None) => Ok(Standing::Current),
        (None, Some(_)) => Ok(Standing::Behind),
        (Some(_), None) => Ok(Standing::Ahead),
        (Some(unknown), Some(pending)) => Err(StoreError::Newer(format!(
            "it has seen {unknown}, which this program does not know, but not {pending}"
        ))),
    }
}

/// The names of the migrations that this store has seen; `None` where it was never migrated.
pub(crate) async fn applied<C: ConnectionTrait>(db: &C) -> Result<Option<Vec<String>>, StoreError> {
    let backend = db.get_database_backend();
    // Both look only where unqualified names resolve: the schema of the search path, or the file.
    let there = match backend {
        DbBackend::Postgres => "SELECT 1 AS there WHERE to_regclass('seaql_migrations') IS NOT NULL",
        _ => "SELECT 1 AS there FROM sqlite_master WHERE type = 'table' AND name = 'seaql_migrations'",
    };
    if db.query_one_raw(Statement::from_string(backend, there)).await?.is_none() {
        return Ok(None);
    }
    let rows = db.query_all_raw(Statement::from_string(backend, "SELECT version FROM seaql_migrations")).await?;
    let names = rows.iter().map(|row| row.try_get::<String>("", "version")).collect::<Result<_, _>>()?;
    Ok(Some(names))
}

/// Applies what is pending inside a transaction that holds the lock on migrating this store. Tells whether anything was.
pub(crate) async fn up<M: MigratorTrait>(tx: &DatabaseTransaction) -> Result<bool, StoreError> {
    let applied = applied(tx).await?.unwrap_or_default();
    let behind = standing::<M>(&applied)? == Standing::Behind;
    if behind {
        M::up(tx, None).await?;
    }
    Ok(behind)
}

/// The version of this program, as `tenants.min_binary` is compared with it.
pub(crate) const THIS_BINARY: &str = env!("CARGO_PKG_VERSION");

/// Whether a program of version `have` may open a store that asks for `need`, both as `major.minor.patch`.
pub(crate) fn is_new_enough(have: &str, need: &str) -> bool {
    fn parts(version: &str) -> Vec<u64> {
        let core = version.split(['-', '+']).next().unwrap_or_default();
        core.split('.').map(|part| part.parse().unwrap_or(0)).collect()
    }
    parts(have) >= parts(need)
}

#[cfg(test)]
mod tests {
    use acm2_migrations::TenantMigrator;

    use super::*;

    fn ours() -> Vec<String> {
        TenantMigrator::migrations().iter().map(|migration| migration.name().to_owned()).collect()
    }

    #[test]
    fn a_store_that_knows_more_is_accepted_and_one_that_branched_off_is_not() {
        assert_eq!(standing::<TenantMigrator>(&ours()).unwrap(), Standing::Current);
        assert_eq!(standing::<TenantMigrator>(&[]).unwrap(), Standing::Behind);
        assert_eq!(standing::<TenantMigrator>(&ours()[..1]).unwrap(), Standing::Behind);
        let mut more = ours();
        more.push("m29990101_000001_from_the_future".into());
        assert_eq!(standing::<TenantMigrator>(&more).unwrap(), Standing::Ahead);
        assert!(matches!(standing::<TenantMigrator>(&more[1..]), Err(StoreError::Newer(_))));
    }

    #[test]
    fn names_of_migrations_are_unique_and_in_order() {
        let names = ours();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(is_new_enough("0.10.0", "0.9.3"));
        assert!(is_new_enough("1.0.0", "1.0.0"));
        assert!(!is_new_enough("0.9.9", "0.10.0"));
        assert!(!is_new_enough("0.1.0", "99.0.0"));
    }
}
