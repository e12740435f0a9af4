//! The database's clock as an expression: leases and heartbeats of several machines are compared by one clock. Everything
//! else takes its time from `acm2_domain::clock`.

use std::time::Duration;

use sea_orm::DbBackend;
use sea_orm::sea_query::Expr;

/// How SQLite writes a time so that it compares, as text, with those that sea-orm writes.
const FORMAT: &str = "%Y-%m-%dT%H:%M:%f+00:00";

/// The time at which the statement began. Unlike `clock_timestamp()` it is one value within a statement, so that PostgreSQL can
/// look it up in an index; unlike `now()` it moves on within a transaction.
pub fn now(backend: DbBackend) -> Expr {
    match backend {
        DbBackend::Postgres => Expr::cust("statement_timestamp()"),
        _ => Expr::cust(format!("strftime('{FORMAT}', 'now')")),
    }
}

/// The time `after` from now.
pub fn from_now(backend: DbBackend, after: Duration) -> Expr {
    shifted(backend, '+', after)
}

/// The time `before` now.
pub fn ago(backend: DbBackend, before: Duration) -> Expr {
    shifted(backend, '-', before)
}

fn shifted(backend: DbBackend, sign: char, by: Duration) -> Expr {
    let seconds = by.as_secs_f64();
    match backend {
        DbBackend::Postgres => Expr::cust(format!("statement_timestamp() {sign} make_interval(secs => {seconds:.6})")),
        _ => Expr::cust(format!("strftime('{FORMAT}', 'now', '{sign}{seconds:.3} seconds')")),
    }
}

/// The time from now that doubles with each try: `first`, twice that, … up to `longest`. `tries` is an integer column.
pub(crate) fn backed_off(backend: DbBackend, tries: &str, first: Duration, longest: Duration) -> Expr {
    let (first, longest) = (first.as_secs_f64(), longest.as_secs_f64());
    match backend {
        DbBackend::Postgres => Expr::cust(format!(
            "statement_timestamp() + make_interval(secs => LEAST({longest:.6}, {first:.6} * (1 << LEAST(\"{tries}\", 20))))"
        )),
        _ => Expr::cust(format!(
            "strftime('{FORMAT}', 'now', MIN({longest:.3}, {first:.3} * (1 << MIN(\"{tries}\", 20))) || ' seconds')"
        )),
    }
}

/// Seconds since the time in a column, as a 64-bit float.
pub fn seconds_since(backend: DbBackend, column: &'static str) -> Expr {
    match backend {
        DbBackend::Postgres => {
            Expr::cust(format!("CAST(EXTRACT(EPOCH FROM statement_timestamp() - \"{column}\") AS double precision)"))
        }
        _ => Expr::cust(format!("((julianday('now') - julianday(\"{column}\")) * 86400.0)")),
    }
}
