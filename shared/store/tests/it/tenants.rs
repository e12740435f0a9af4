//! Tenancy: who sees what, and how a tenant's store comes, changes and goes.

use acm2_domain::ids::{ApiKeyId, JobId, ProviderKeyId, RunId, TenantId};
use acm2_domain::job::{Job, Work};
use acm2_store::control::ApiKeyRow;
use acm2_store::{Options, Store, StoreError, provider_keys};
use sea_orm::{ConnectionTrait, Statement};
use std::time::{Duration, Instant};

use crate::fixture::{Fixture, data_key, execute, is_not_found, now, on_both, url_of};
use crate::provider_keys::new_key;

on_both!(
    a_transaction_sees_its_tenant_only,
    a_dropped_transaction_leaves_nothing,
    an_unknown_tenant_is_not_found_and_gets_no_store,
    a_tenant_that_is_behind_is_migrated_on_first_use,
    processes_that_race_to_migrate_agree,
    a_newer_schema_is_accepted,
    a_schema_that_branched_off_is_refused,
    a_tenant_may_ask_for_a_newer_program,
    all_tenants_are_migrated_though_one_fails,
    a_deleted_tenant_is_gone_with_all_that_is_its,
    a_deletion_that_was_cut_off_can_be_done_again,
    a_data_key_is_replaced_only_where_the_old_one_stands,
    private_hosts_are_kept,
    tenants_are_listed_in_pages,
    control_migrations_race_without_harm,
);

async fn keys_of(store: &Store, tenant: TenantId) -> Vec<ProviderKeyId> {
    let tx = store.tenant(tenant).begin().await.unwrap();
    provider_keys::list(&tx).await.unwrap().into_iter().map(|key| key.id).collect()
}

async fn insert_key(store: &Store, tenant: TenantId) -> ProviderKeyId {
    let tx = store.tenant(tenant).begin().await.unwrap();
    let key = provider_keys::insert(&tx, new_key("openai", false), now()).await.unwrap();
    tx.commit().await.unwrap();
    key.id
}

async fn a_transaction_sees_its_tenant_only(fixture: &Fixture) {
    let (a, b) = (fixture.new_tenant().await, fixture.new_tenant().await);
    let key = insert_key(&fixture.store, a).await;
    assert_eq!(keys_of(&fixture.store, a).await, [key]);
    assert!(keys_of(&fixture.store, b).await.is_empty());
    let tx = fixture.store.tenant(b).begin().await.unwrap();
    assert_eq!(tx.tenant(), b);
    assert!(is_not_found(&provider_keys::get(&tx, key).await));
    assert!(is_not_found(&provider_keys::delete(&tx, key).await));
    tx.commit().await.unwrap();
    assert_eq!(keys_of(&fixture.store, a).await, [key]);
}

async fn a_dropped_transaction_leaves_nothing(fixture: &Fixture) {
    let tenant = fixture.new_tenant().await;
    let tx = fixture.store.tenant(tenant).begin().await.unwrap();
    provider_keys::insert(&tx, new_key("openai", false), now()).await.unwrap();
    drop(tx);
    assert!(keys_of(&fixture.store, tenant).await.is_empty());
}

async fn an_unknown_tenant_is_not_found_and_gets_no_store(fixture: &Fixture) {
    let unknown = TenantId::generate();
    assert!(is_not_found(&fixture.store.tenant(unknown).begin().await));
    assert!(is_not_found(&fixture.store.tenant(unknown).migrate().await));
    assert!(is_not_found(&fixture.store.tenants().get(unknown).await));
    assert!(is_not_found(&fixture.store.tenants().delete(unknown).await));
    // A row whose store is missing shows that nothing made a store meanwhile.
    let insert = format!(
        "INSERT INTO tenants (id, name, data_key, data_key_master, status, private_hosts, created_at) \
         SELECT {}, name, data_key, data_key_master, status, private_hosts, created_at FROM tenants",
        literal(fixture, unknown)
    );
    fixture.new_tenant().await;
    fixture.in_control(&insert).await;
    let error = fixture.store.tenant(unknown).begin().await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
}

/// An id as a literal of the control store's SQL.
fn literal(fixture: &Fixture, tenant: TenantId) -> String {
    match &fixture.options.database {
        acm2_store::Database::Sqlite { .. } => format!("x'{}'", tenant.uuid().simple()),
        acm2_store::Database::Postgres { .. } => format!("'{}'", tenant.uuid()),
    }
}

const LAST: &str = "m20261121_000015_create_delivery_attempts";

/// Takes a tenant back to before the last migration.
async fn set_back(store: &Store, tenant: TenantId) {
    let tx = store.tenant(tenant).begin().await.unwrap();
    tx.execute_unprepared("DROP TABLE delivery_attempts").await.unwrap();
    tx.execute_unprepared(&format!("DELETE FROM seaql_migrations WHERE version = '{LAST}'")).await.unwrap();
    tx.commit().await.unwrap();
}

async fn count_attempts(store: &Store, tenant: TenantId) -> Result<i64, StoreError> {
    let tx = store.tenant(tenant).begin().await?;
    let query = Statement::from_string(tx.get_database_backend(), "SELECT count(*) AS n FROM delivery_attempts");
    Ok(tx.query_one_raw(query).await?.unwrap().try_get("", "n")?)
}

async fn a_tenant_that_is_behind_is_migrated_on_first_use(fixture: &Fixture) {
    let tenant = fixture.new_tenant().await;
    let key = insert_key(&fixture.store, tenant).await;
    set_back(&fixture.store, tenant).await;
    assert!(count_attempts(&fixture.store, tenant).await.is_err());
    let other = fixture.another_process().await;
    assert_eq!(count_attempts(&other, tenant).await.unwrap(), 0);
    assert_eq!(keys_of(&other, tenant).await, [key]);
    other.close().await;
}

async fn processes_that_race_to_migrate_agree(fixture: &Fixture) {
    let tenant = fixture.new_tenant().await;
    set_back(&fixture.store, tenant).await;
    let processes = [fixture.another_process().await, fixture.another_process().await];
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..16 {
        let store = processes[index % 2].clone();
        tasks.spawn(async move { count_attempts(&store, tenant).await });
    }
    while let Some(counted) = tasks.join_next().await {
        assert_eq!(counted.unwrap().unwrap(), 0);
    }
    for process in processes {
        process.close().await;
    }
}

async fn control_migrations_race_without_harm(fixture: &Fixture) {
    fixture.in_control("DROP TABLE leases").await;
    fixture.in_control("DELETE FROM seaql_migrations WHERE version = 'm20261121_000005_create_leases'").await;
    let (a, b) = (fixture.another_process().await, fixture.another_process().await);
    let (left, right) = tokio::join!(a.migrate_control(), b.migrate_control());
    assert_eq!([left.unwrap(), right.unwrap()].into_iter().filter(|changed| *changed).count(), 1);
    assert!(!a.migrate_control().await.unwrap());
    a.close().await;
    b.close().await;
}

async fn note_migration(store: &Store, tenant: TenantId, name: &str) {
    let tx = store.tenant(tenant).begin().await.unwrap();
    let insert = format!("INSERT INTO seaql_migrations (version, applied_at) VALUES ('{name}', 0)");
    tx.execute_unprepared(&insert).await.unwrap();
    tx.commit().await.unwrap();
}

async fn a_newer_schema_is_accepted(fixture: &Fixture) {
    let tenant = fixture.new_tenant().await;
    note_migration(&fixture.store, tenant, "m29990101_000001_from_the_future").await;
    let other = fixture.another_process().await;
    assert_eq!(count_attempts(&other, tenant).await.unwrap(), 0);
    other.close().await;
}

async fn a_schema_that_branched_off_is_refused(fixture: &Fixture) {
    let tenant = fixture.new_tenant().await;
    set_back(&fixture.store, tenant).await;
    note_migration(&fixture.store, tenant, "m29990101_000001_from_the_future").await;
    let other = fixture.another_process().await;
    let error = other.tenant(tenant).begin().await.unwrap_err();
    assert!(matches!(error, StoreError::Newer(_)), "{error}");
    other.close().await;
}

async fn a_tenant_may_ask_for_a_newer_program(fixture: &Fixture) {
    let tenant = fixture.new_tenant().await;
    fixture.in_control("UPDATE tenants SET min_binary = '99.0.0'").await;
    let error = fixture.store.tenant(tenant).begin().await.unwrap_err();
    assert!(matches!(error, StoreError::Newer(_)), "{error}");
    fixture.in_control("UPDATE tenants SET min_binary = '0.0.1'").await;
    fixture.store.tenant(tenant).begin().await.unwrap();
}

async fn all_tenants_are_migrated_though_one_fails(fixture: &Fixture) {
    let mut tenants = Vec::new();
    for _ in 0..6 {
        tenants.push(fixture.new_tenant().await);
    }
    for tenant in &tenants[..4] {
        set_back(&fixture.store, *tenant).await;
    }
    note_migration(&fixture.store, tenants[0], "m29990101_000001_from_the_future").await;
    let other = fixture.another_process().await;
    let mut seen = Vec::new();
    let report = other
        .migrate_all(4, |migrated| {
            assert_eq!(migrated.total, 6);
            seen.push((migrated.done, migrated.tenant));
        })
        .await
        .unwrap();
    assert_eq!((report.changed, report.unchanged), (3, 2));
    assert_eq!(report.failed.len(), 1);
    assert_eq!(report.failed[0].0, tenants[0]);
    assert_eq!(seen.iter().map(|(done, _)| *done).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let again = other.migrate_all(4, |_| {}).await.unwrap();
    assert_eq!((again.changed, again.unchanged, again.failed.len()), (0, 5, 1));
    other.close().await;
}

fn job_of(tenant: TenantId) -> Job {
    Job { id: JobId::generate(), tenant, work: Work::RunV1(RunId::generate()), priority: 0, weight: None }
}

async fn add_key_and_job(store: &Store, tenant: TenantId) -> (ApiKeyRow, Job) {
    let key = crate::api_keys::new_key(tenant);
    store.api_keys().insert(&key).await.unwrap();
    let job = job_of(tenant);
    store.jobs().insert(&job, Duration::from_mins(1), None).await.unwrap();
    (key, job)
}

async fn a_deleted_tenant_is_gone_with_all_that_is_its(fixture: &Fixture) {
    let store = &fixture.store;
    let (gone, kept) = (fixture.new_tenant().await, fixture.new_tenant().await);
    insert_key(store, gone).await;
    let kept_key = insert_key(store, kept).await;
    let (gone_api_key, _) = add_key_and_job(store, gone).await;
    let (kept_api_key, kept_job) = add_key_and_job(store, kept).await;

    store.tenants().delete(gone).await.unwrap();

    assert!(is_not_found(&store.tenant(gone).begin().await));
    assert!(store.tenants().find(gone).await.unwrap().is_none());
    assert!(store.api_keys().find_by_public_id(&gone_api_key.public_id).await.unwrap().is_none());
    assert_eq!(store.jobs().list(None, 10).await.unwrap(), [Job { weight: Some(1), ..kept_job }]);
    assert!(store.api_keys().find_by_public_id(&kept_api_key.public_id).await.unwrap().is_some());
    assert_eq!(keys_of(store, kept).await, [kept_key]);
    // The id is free, and nothing of the old store is in the new one.
    store.tenants().create(gone, "again", data_key(2), now()).await.unwrap();
    assert!(keys_of(store, gone).await.is_empty());
    assert!(is_not_found(&store.api_keys().get(gone, ApiKeyId::generate()).await));
}

async fn a_deletion_that_was_cut_off_can_be_done_again(fixture: &Fixture) {
    let tenant = fixture.new_tenant().await;
    fixture.in_control("UPDATE tenants SET status = 'deleting'").await;
    let other = fixture.another_process().await;
    assert!(is_not_found(&other.tenant(tenant).begin().await));
    assert!(other.tenants().list(None, 10).await.unwrap().is_empty());
    other.tenants().delete(tenant).await.unwrap();
    assert!(is_not_found(&other.tenants().delete(tenant).await));
    other.close().await;
}

async fn a_data_key_is_replaced_only_where_the_old_one_stands(fixture: &Fixture) {
    let tenants = fixture.store.tenants();
    let id = fixture.new_tenant().await;
    assert!(!tenants.replace_data_key(id, &data_key(7), &data_key(8)).await.unwrap());
    assert!(tenants.replace_data_key(id, &data_key(1), &data_key(2)).await.unwrap());
    assert!(!tenants.replace_data_key(id, &data_key(1), &data_key(3)).await.unwrap());
    assert_eq!(tenants.get(id).await.unwrap().data_key, data_key(2));
}

async fn private_hosts_are_kept(fixture: &Fixture) {
    let tenants = fixture.store.tenants();
    let id = fixture.new_tenant().await;
    assert!(tenants.get(id).await.unwrap().private_hosts.is_empty());
    let hosts = vec!["10.0.0.7".to_owned(), "ollama.internal".to_owned()];
    tenants.set_private_hosts(id, &hosts).await.unwrap();
    assert_eq!(tenants.get(id).await.unwrap().private_hosts, hosts);
    assert!(is_not_found(&tenants.set_private_hosts(TenantId::generate(), &hosts).await));
}

async fn tenants_are_listed_in_pages(fixture: &Fixture) {
    let mut made = Vec::new();
    for _ in 0..5 {
        made.push(fixture.new_tenant().await);
    }
    let mut listed = Vec::new();
    loop {
        let page = fixture.store.tenants().list(listed.last().copied(), 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        listed.extend(page.into_iter().map(|tenant| tenant.id));
    }
    assert_eq!(listed, made);
    assert_eq!(fixture.store.tenants().count().await.unwrap(), 5);
    let taken = fixture.store.tenants().create(made[0], "twin", data_key(1), now()).await;
    assert!(taken.unwrap_err().is_conflict());
}

/// An owner migrates; a role without rights on the schema's structure works with the data.
#[tokio::test(flavor = "multi_thread")]
async fn an_owner_role_may_do_the_migrations() {
    let Some(fixture) = Fixture::postgres("an_owner_role_may_do_the_migrations").await else { return };
    let admin = fixture.admin();
    let role = format!("acm2_app_{}", uuid::Uuid::now_v7().simple());
    execute(&admin, &format!("CREATE ROLE {role} LOGIN PASSWORD 'hunter2'; DROP SCHEMA acm2 CASCADE")).await;
    let url = url_of(&admin.clone().username(&role).password("hunter2"));
    let database = acm2_store::Database::Postgres { url, migrate_url: Some(url_of(&admin)) };
    let store = Store::open(acm2_store::Options { database, ..fixture.options.clone() }).await.unwrap();
    assert!(!format!("{store:?}").contains("hunter2"));
    store.migrate_control().await.unwrap();
    let tenant = TenantId::generate();
    store.tenants().create(tenant, "somebody", data_key(1), now()).await.unwrap();
    let key = insert_key(&store, tenant).await;
    assert_eq!(keys_of(&store, tenant).await, [key]);
    let tx = store.tenant(tenant).begin().await.unwrap();
    assert!(tx.execute_unprepared("DROP TABLE provider_keys").await.is_err());
    drop(tx);
    store.tenants().delete(tenant).await.unwrap();
    store.close().await;
    execute(&admin, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
    fixture.remove().await;
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_or_read_is_one_clear_error_without_the_password() {
    for url in ["postgres://joe:hunter2@127.0.0.1:1/x", "postgres://joe:hunter2@127.0.0.1:notaport/x", "hunter2"] {
        let database = acm2_store::Database::Postgres { url: url.to_owned().into(), migrate_url: None };
        let error = Store::open(acm2_store::Options::new(database)).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        assert!(matches!(error, StoreError::Setup(_) | StoreError::Unavailable(_)), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_whose_transactions_wait_leaves_connections_to_others() {
    let Some(fixture) = Fixture::postgres("a tenant's share of the connections").await else { return };
    // Long beside a sign-in on a slow machine.
    let wait = Duration::from_secs(5);
    let options = Options { tenant_connections: 4, acquire_timeout: wait, ..fixture.options.clone() };
    let store = Store::open(options).await.unwrap();
    let (busy, other) = (fixture.new_tenant().await, fixture.new_tenant().await);
    let mut held = Vec::new();
    for _ in 0..3 {
        held.push(store.tenant(busy).begin().await.unwrap());
    }
    let asked = Instant::now();
    let refused = store.tenant(busy).begin().await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
    assert!(asked.elapsed() >= wait, "{:?}", asked.elapsed());

    // While it waits for more, another tenant is served, and does not wait as long.
    let more = tokio::spawn({
        let tenant = store.tenant(busy);
        async move { tenant.begin().await }
    });
    let asked = Instant::now();
    store.tenant(other).begin().await.unwrap().commit().await.unwrap();
    assert!(asked.elapsed() < wait, "{:?}", asked.elapsed());
    held.pop().unwrap().commit().await.unwrap();
    more.await.unwrap().unwrap().commit().await.unwrap();
    // One that was rolled back gives its place back too.
    drop(held);
    for _ in 0..3 {
        store.tenant(busy).begin().await.unwrap();
    }
    store.close().await;
    fixture.remove().await;
}
