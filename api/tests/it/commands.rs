//! The command line: first start, admin commands beside a running process, clear lines for what is wrong, ending well.

use std::net::TcpListener;
use std::process::Command;

use serde_json::json;

use crate::harness::{Client, Process, Tenant, World, on_both};

on_both! {
    admin_commands_work_beside_a_serving_process_and_without_one,
    a_tenant_that_is_deleted_is_gone,
    a_tenants_weight_is_set_and_shown,
    the_first_sigterm_drains,
    a_busy_port_is_one_clear_line,
    migrate_brings_everything_up_to_date,
}

async fn admin_commands_work_beside_a_serving_process_and_without_one(world: &World) {
    let (process, before) = serving(world);
    let client = world.client(&process, &before.key);
    client.get("/api/v1/runs").await.expect(200);
    let during = world.tenant("during");
    client.with_key(&during.key).get("/api/v1/runs").await.expect(200);
    let listed = world.cli(&["tenants", "list"]);
    assert!(listed.contains(&before.id) && listed.contains("during"), "{listed}");
    // Two tenants: which one is meant must be said.
    let refused = world.run(&["api-keys", "create"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--tenant"));
    assert_eq!(process.stop(), Some(0));
    assert_eq!(world.cli(&["tenants", "list"]), listed);
}

async fn a_tenant_that_is_deleted_is_gone(world: &World) {
    let (_process, tenant, client) = world.ready();
    assert_eq!(world.run(&["tenants", "delete", &tenant.id]).status.code(), Some(2), "not without --yes");
    client.get("/api/v1/runs").await.expect(200);
    world.cli(&["tenants", "delete", &tenant.id, "--yes"]);
    client.get("/api/v1/runs").await.problem(401, "api_key_invalid");
    assert_eq!(world.cli(&["tenants", "list"]), "");
    assert_eq!(world.run(&["tenants", "delete", &tenant.id, "--yes"]).status.code(), Some(1));
}

async fn a_tenants_weight_is_set_and_shown(world: &World) {
    let (_process, tenant, _client) = world.ready();
    assert!(world.cli(&["tenants", "list"]).contains("\tweight 1"));
    assert!(world.cli(&["tenants", "set-weight", &tenant.id, "3"]).contains("\tweight 3"));
    assert!(world.cli(&["tenants", "list"]).contains("\tweight 3"));
    for wrong in ["0", "101", "x"] {
        assert_eq!(world.run(&["tenants", "set-weight", &tenant.id, wrong]).status.code(), Some(2), "{wrong}");
    }
    assert_eq!(world.run(&["tenants", "set-weight", "ten_00000000000000000000000000", "2"]).status.code(), Some(1));
}

async fn the_first_sigterm_drains(world: &World) {
    let (process, _tenant, client) = world.ready();
    client.get("/api/v1/runs").await.expect(200);
    let log = process.log();
    assert!(log.contains("\"http.route\":\"/api/v1/runs\"") && log.contains("\"tenant.id\":\"ten_"), "{log}");
    assert_eq!(process.stop(), Some(0));
}

async fn a_busy_port_is_one_clear_line(world: &World) {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = world.command(&["serve"]).env("ACM2_HTTP__BIND", &address).output().unwrap();
    assert_one_line(&output, 1, "is in use");
}

async fn migrate_brings_everything_up_to_date(world: &World) {
    world.tenant("first");
    world.tenant("second");
    assert_eq!(world.cli(&["migrate"]), "the control store was up to date");
    assert_eq!(world.cli(&["migrate", "--all"]), "0 tenants migrated, 2 were up to date");
    let _process = world.serve();
    assert_eq!(world.cli(&["migrate", "--all"]), "0 tenants migrated, 2 were up to date");
}

/// The last line says what is wrong; nothing panicked.
fn assert_one_line(output: &std::process::Output, code: i32, says: &str) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    let lines: Vec<&str> = errors.lines().filter(|line| line.starts_with("acm2: ")).collect();
    assert_eq!(lines.len(), 1, "{errors}");
    assert!(lines[0].contains(says), "{errors}");
    assert!(!errors.contains("panicked") && !errors.contains("hunter2"), "{errors}");
}

#[test]
fn what_is_wrong_around_is_one_clear_line() {
    let world = World::files();
    let with = |settings: &[(&str, &str)]| world.command(&["serve"]).envs(settings.iter().copied()).output().unwrap();
    let database = ("ACM2_DATABASE__URL", "postgres://ann:hunter2@127.0.0.1:1/acm2");
    assert_one_line(&with(&[database]), 1, "unavailable");
    assert_eq!(with(&[("ACM2_DATABASE__URL", "mysql://root:hunter2@db/x")]).status.code(), Some(2));
    assert_eq!(with(&[("ACM2_HTP__BIND", "x")]).status.code(), Some(2));
    assert_one_line(&with(&[("ACM2_MASTER_KEYS", "a:hunter2")]), 2, "ACM2_MASTER_KEYS");
    let only_servers = world.command(&["api"]).output().unwrap();
    assert_eq!(only_servers.status.code(), Some(2), "{}", String::from_utf8_lossy(&only_servers.stderr));
}

#[test]
fn a_second_process_does_not_serve_from_the_same_folder() {
    let world = World::files();
    let _first = world.serve();
    let second = world.command(&["serve"]).output().unwrap();
    assert_one_line(&second, 2, "another process serves from");
}

#[test]
fn the_doctor_finds_what_is_wrong() {
    let world = World::files();
    let well = world.cli(&["doctor"]);
    assert!(well.contains("the configuration is complete"), "{well}");
    let sick = world.command(&["doctor"]).env("ACM2_BROKER__URL", "redis://:hunter2@127.0.0.1:1").output().unwrap();
    let told = String::from_utf8_lossy(&sick.stdout);
    assert_eq!(sick.status.code(), Some(1), "{told}");
    assert!(told.contains("ACM2_BROKER__URL") && !told.contains("hunter2"), "{told}");
    let listed = world.cli(&["config"]);
    assert!(listed.contains("ACM2_HTTP__BIND") && !listed.contains(&world.settings["ACM2_MASTER_KEYS"]), "{listed}");
}

/// A process that serves and the tenant that it serves.
fn serving(world: &World) -> (Process, Tenant) {
    let tenant = world.tenant("first");
    (world.serve(), tenant)
}

/// A world in which nothing is set but the folder and the port, with a provider key in the environment.
fn newcomer() -> World {
    let mut world = World::files();
    world.settings.retain(|name, _| matches!(name.as_str(), "ACM2_DATA_DIR" | "ACM2_HTTP__BIND" | "ACM2_LOG__FORMAT"));
    world.set("OPENAI_API_KEY", "sk-proj-of-the-environment-0123456789");
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_start_shows_a_curl_that_works() {
    let world = newcomer();
    let process = world.serve();
    let printed = process.printed();
    assert!(printed.contains("taken from your environment: openai"), "{printed}");
    assert!(!printed.contains("sk-proj"), "{printed}");
    let curl = &printed[printed.find("curl -s").expect("a curl")..];
    let output = Command::new("sh").args(["-c", curl]).output().unwrap();
    let run: serde_json::Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{curl}: {}", String::from_utf8_lossy(&output.stderr)));
    assert_eq!(run["status"], "completed", "{run}");
    assert_eq!(run["progress"]["tasks_completed"], 2);
    assert!(run["cost"].as_str().unwrap().starts_with('$'));
    let key = printed.split_whitespace().find(|word| word.starts_with("acm2_")).unwrap().to_owned();
    let client = Client::new(&process.url, &key);
    let keys = client.get("/api/v1/settings/provider-keys").await.expect(200);
    let providers: Vec<_> = keys["items"].as_array().unwrap().iter().map(|key| &key["provider"]).collect();
    assert!(providers.contains(&&json!("openai")) && providers.contains(&&json!("sandbox")), "{providers:?}");
    assert!(!process.log().contains("sk-proj"));
    process.kill();
    // Killed, started again: the key holds and is not shown any more, and a key that is new in the environment is taken.
    let process = world.start_with("serve", &[("GROQ_API_KEY", "gsk_of_the_environment_0123456789")]);
    assert!(process.printed().contains("taken from your environment: groq\n"), "{}", process.printed());
    assert!(!process.printed().contains(&key) && process.printed().contains("acm2 api-keys create"));
    Client::new(&process.url, &key).get("/api/v1/runs").await.expect(200);
    let another = world.cli(&["api-keys", "create"]);
    Client::new(&process.url, &another).get("/api/v1/runs").await.expect(200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hosted_mode_takes_no_key_from_the_environment() {
    let mut world = World::files();
    world.set("OPENAI_API_KEY", "sk-proj-of-the-environment-0123456789");
    let (_process, _tenant, client) = world.ready();
    assert_eq!(client.get("/api/v1/settings/provider-keys").await.expect(200)["items"], json!([]));
}
