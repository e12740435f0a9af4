//! Why the store could not do what it was asked. Everyone in this crate returns it; callers turn it into
//! `acm2_domain::Error` with `?`. Texts never hold a URL, a bound value or a secret.

use std::sync::Arc;

use acm2_domain::{Error, Kind};
use sea_orm::{DbErr, RuntimeErr};

/// Why the store could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// There is no such thing; names what.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// What stands there does not allow this.
    #[error("{0}")]
    Conflict(String),
    /// The database is away, overloaded or gave up on a lock; the same thing may work later.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The stored schema is one that this binary must not touch.
    #[error("the stored schema is newer than this program: {0}")]
    Newer(String),
    /// What is stored cannot be read back.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// The store cannot be opened as configured: a wrong URL or folder, or another process holds the folder.
    #[error("{0}")]
    Setup(String),
    /// Any other refusal of the database: a defect of ours.
    #[error("the database refused: {0}")]
    Db(Arc<DbErr>),
}

/// Seconds after which a caller may try again while the database is away.
const RETRY_AFTER: u64 = 2;

impl StoreError {
    /// Whether the same thing may work later without anyone mending anything.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// Whether a row stands in the way of this one.
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_))
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NotFound(what) => Self::not_found(what),
            StoreError::Conflict(detail) => Self::new(Kind::Conflict, "conflict", detail),
            StoreError::Unavailable(_) => Self::new(
                Kind::Unavailable,
                "store_unavailable",
                "the database does not answer at the moment; send the request again",
            )
            .retry_after(RETRY_AFTER),
            StoreError::Newer(_) => Self::new(
                Kind::Unavailable,
                "store_newer",
                "this process is older than the stored data; ask the operator to upgrade it",
            ),
            StoreError::Corrupt(_) | StoreError::Setup(_) | StoreError::Db(_) => {
                Self::new(Kind::Internal, "internal", "something went wrong on our side")
            }
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match &error {
            DbErr::ConnectionAcquire(why) => Self::Unavailable(why.to_string()),
            DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause)) => {
                of_sqlx(cause).unwrap_or_else(|| Self::Db(Arc::new(error)))
            }
            DbErr::Conn(RuntimeErr::SqlxError(cause)) => {
                of_sqlx(cause).unwrap_or_else(|| Self::Unavailable(cause.to_string()))
            }
            DbErr::Type(text) | DbErr::Json(text) => Self::Corrupt(text.clone()),
            _ => Self::Db(Arc::new(error)),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        of_sqlx(&error).unwrap_or_else(|| Self::Db(Arc::new(DbErr::Exec(RuntimeErr::SqlxError(Arc::new(error))))))
    }
}

/// Whether a statement gave up waiting for another transaction.
pub(crate) fn is_lock_timeout(error: &DbErr) -> bool {
    matches!(error, DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))
        if cause.as_database_error().and_then(sqlx::error::DatabaseError::code).as_deref() == Some("55P03"))
}

/// Whether the server has ended the connection, perhaps long ago.
pub(crate) fn was_cut(error: &DbErr) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = error else {
        return false;
    };
    match &**cause {
        sqlx::Error::Io(error) => {
            matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
        }
        // It was told to, or the server crashed.
        sqlx::Error::Database(cause) => matches!(cause.code().as_deref(), Some("57P01" | "57P02")),
        _ => false,
    }
}

fn of_sqlx(error: &sqlx::Error) -> Option<StoreError> {
    use sqlx::Error as Sqlx;
    match error {
        Sqlx::Io(_)
        | Sqlx::Tls(_)
        | Sqlx::PoolTimedOut
        | Sqlx::PoolClosed
        | Sqlx::WorkerCrashed
        | Sqlx::BeginFailed => Some(StoreError::Unavailable(error.to_string())),
        // What a connection that was cut in the middle of a message looks like.
        Sqlx::Protocol(text) => Some(StoreError::Unavailable(format!("protocol: {text}"))),
        Sqlx::Database(cause) if cause.is_unique_violation() => {
            Some(StoreError::Conflict("there is one like this already".to_owned()))
        }
        Sqlx::Database(cause) if is_passing(&cause.code().unwrap_or_default()) => {
            Some(StoreError::Unavailable(cause.message().to_owned()))
        }
        _ => None,
    }
}

/// Codes after which trying again makes sense. PostgreSQL's have five characters
/// (<https://www.postgresql.org/docs/current/errcodes-appendix.html>), SQLite's are numbers whose low byte is the class
/// (<https://www.sqlite.org/rescode.html>).
fn is_passing(code: &str) -> bool {
    const SQLITE: [u32; 5] =
        [5 /* busy */, 6 /* locked */, 10 /* I/O */, 13 /* full */, 14 /* cannot open */];
    if code.len() == 5 {
        // Connection, resources, operator intervention and statement time-out, lock time-out, serialization and deadlock, read-only
        // during a fail-over, and a transaction that the server gave up because nothing came for long.
        return code.starts_with("08")
            || code.starts_with("53")
            || code.starts_with("57")
            || matches!(code, "55P03" | "40001" | "40P01" | "25006" | "25P03");
    }
    code.parse::<u32>().is_ok_and(|number| SQLITE.contains(&(number & 0xff)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passing_codes_are_told_from_lasting_ones() {
        for code in ["08006", "53300", "57P01", "57014", "55P03", "40P01", "25P03", "5", "261", "517", "13"] {
            assert!(is_passing(code), "{code}");
        }
        for code in ["42P01", "23505", "1", "19", "2067", "", "42501"] {
            assert!(!is_passing(code), "{code}");
        }
    }

    #[test]
    fn callers_see_no_text_of_the_database() {
        let error = StoreError::Db(Arc::new(DbErr::Custom("secret detail".into())));
        let seen = Error::from(error);
        assert_eq!(seen.kind, Kind::Internal);
        assert!(!seen.detail.contains("secret"));
    }
}
