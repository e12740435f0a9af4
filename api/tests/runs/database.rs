//! The databases of a world, read and changed behind the program's back: files while no process has them, or the server.

use acm2_domain::ids::TenantId;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use uuid::Uuid;

use crate::canaries::hex;
use crate::harness::{Tenant, World};

/// A store of the world.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Of<'a> {
    /// Tenants, API keys, jobs.
    Control,
    /// A tenant's own.
    Tenant(&'a Tenant),
}

/// The uuid in an id.
pub(crate) fn uuid_of(id: &str) -> Uuid {
    // Every id is a prefix and a uuid in the same letters.
    format!("ten_{}", id.split_once('_').unwrap().1).parse::<TenantId>().unwrap().uuid()
}

/// A uuid as it is written in a statement for this world's database.
pub(crate) fn id_literal(world: &World, id: &str) -> String {
    let hex = uuid_of(id).simple().to_string();
    if world.is_shared() { format!("'{hex}'::uuid") } else { format!("X'{hex}'") }
}

/// Bytes, likewise.
pub(crate) fn bytes_literal(world: &World, bytes: &[u8]) -> String {
    let hex = hex(bytes);
    if world.is_shared() { format!("'\\x{hex}'::bytea") } else { format!("X'{hex}'") }
}

/// Makes a statement; it must change exactly one row.
pub(crate) async fn change_one(world: &World, of: Of<'_>, statement: &str) {
    let sql = AssertSqlSafe(statement.to_owned());
    let changed = if world.is_shared() {
        let mut connection = server(world, of).await;
        let changed = sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected();
        connection.close().await.unwrap();
        changed
    } else {
        let mut connection = file(world, of).await;
        let changed = sqlx::query(sql).execute(&mut connection).await.unwrap().rows_affected();
        connection.close().await.unwrap();
        changed
    };
    assert_eq!(changed, 1, "{statement}");
}

/// Makes statements in the database of a server.
pub(crate) async fn execute(world: &World, of: Of<'_>, statements: &str) {
    let mut connection = server(world, of).await;
    sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// A connection to the database of a server on which a table of the control store is locked against writes, until it is closed.
pub(crate) async fn locked(world: &World, table: &str) -> PgConnection {
    let mut connection = server(world, Of::Control).await;
    let lock = format!("BEGIN; LOCK TABLE {table} IN EXCLUSIVE MODE");
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut connection).await.unwrap();
    connection
}

/// The one column of bytes of the one row that a query finds.
pub(crate) async fn bytes(world: &World, of: Of<'_>, query: &str) -> Vec<u8> {
    let sql = AssertSqlSafe(query.to_owned());
    if world.is_shared() {
        sqlx::query(sql).fetch_one(&mut server(world, of).await).await.unwrap().get(0)
    } else {
        sqlx::query(sql).fetch_one(&mut file(world, of).await).await.unwrap().get(0)
    }
}

/// Everything in the database of a server as text, bytes in hex, with the name of its table.
pub(crate) async fn dump(world: &World) -> Vec<(String, String)> {
    let mut connection = server(world, Of::Control).await;
    let tables = "SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables \
                  WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&mut connection).await.unwrap();
    let mut dumped = Vec::new();
    for table in tables {
        let sql = AssertSqlSafe(format!("SELECT t::text FROM {table} t"));
        let rows: Vec<String> = sqlx::query_scalar(sql).fetch_all(&mut connection).await.unwrap();
        dumped.push((table, rows.join("\n")));
    }
    dumped
}

async fn server(world: &World, of: Of<'_>) -> PgConnection {
    let options: PgConnectOptions = world.settings["ACM2_DATABASE__URL"].parse().unwrap();
    let schema = match of {
        Of::Control => "acm2".to_owned(),
        Of::Tenant(tenant) => format!("t_{}", uuid_of(&tenant.id).simple()),
    };
    options.options([("search_path", schema)]).connect().await.unwrap()
}

async fn file(world: &World, of: Of<'_>) -> SqliteConnection {
    let path = match of {
        Of::Control => world.data_dir().join("control.db"),
        Of::Tenant(tenant) => world.data_dir().join(format!("tenants/{}.db", uuid_of(&tenant.id).simple())),
    };
    SqliteConnectOptions::new().filename(path).connect().await.unwrap()
}
