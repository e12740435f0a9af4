//! The first minute of a newcomer: `acm2` and nothing else, and one clear line for what can be wrong around it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Client, World};
use crate::house::{House, submit};

/// `acm2` without an argument; killed when dropped.
struct Bare {
    child: Child,
    printed: String,
}

impl Bare {
    /// Starts it in an empty folder, with nothing set but that folder and a free port; reads on until it has said where it is
    /// and, at the first start, the whole curl.
    fn start(world: &World, until: &str) -> Self {
        let mut command = world.command(&[]);
        command.env_clear().env("ACM2_DATA_DIR", world.data_dir()).env("ACM2_HTTP__BIND", "127.0.0.1:0");
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut reader = BufReader::new(child.stdout.take().unwrap());
        let mut printed = String::new();
        while !printed.contains(until) {
            assert!(reader.read_line(&mut printed).unwrap() > 0, "it ended after: {printed}");
        }
        child.stdout = Some(reader.into_inner());
        Self { child, printed }
    }

    fn url(&self) -> String {
        let line = self.printed.lines().find_map(|line| line.strip_prefix("ACM2 is ready at ")).unwrap();
        line.to_owned()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_pastes_what_is_printed() {
    let world = World::files();
    let first = Bare::start(&world, "sandbox/slow-1s");
    let printed = &first.printed;
    assert!(printed.contains(&format!("API documentation: {}/docs", first.url())), "{printed}");
    let curl = &printed[printed.find("curl ").unwrap()..];
    let output = Command::new("bash").args(["-c", curl]).output().unwrap();
    let run: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&run["status"], &run["models"]), (&json!("completed"), &json!(["sandbox/echo", "sandbox/slow-1s"])));
    for result in run["results"].as_array().unwrap() {
        assert_eq!((&result["text"], &result["cost_source"]), (&json!("Echo: Say hello"), &json!("reported")));
    }
    assert!(run["cost_usd"].as_str().unwrap().parse::<f64>().unwrap() > 0.0 && run["cost"].is_string(), "{run}");
    // The folder and the master key in it are their owner's alone.
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let dir = world.data_dir();
    assert_eq!((mode(&dir), mode(&dir.join("master.key"))), (0o700, 0o600));
    drop(first);
    let second = Bare::start(&world, "api-keys create");
    assert!(!second.printed.contains("acm2_") && !second.printed.contains("curl"), "{}", second.printed);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_docs_page_needs_nothing_from_elsewhere() {
    let world = World::files();
    let process = world.serve();
    let client = Client::new(&process.url, "");
    let home = Answer::of(client.bare(Method::GET, "/")).await;
    assert_eq!(
        (home.status, home.header("location").as_str()),
        (303, "/docs"),
        "the printed address leads to the page"
    );
    let page = Answer::of(client.bare(Method::GET, "/docs")).await;
    assert_eq!(page.status, 200);
    // What a browser would load: by the policy only from here, and by the page only what is inside of it.
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("http"), "{policy}");
    for loading in [" src=\"http", " src='http", " src=\"//", "@import", "url(http", "url(//"] {
        assert!(!page.text.contains(loading), "{loading}");
    }
    let links = page.text.match_indices("<link").map(|(at, _)| page.text[at..].split('>').next().unwrap());
    for link in links {
        assert!(!link.contains("href=\"http") && !link.contains("href=\"//"), "{link}");
    }
}

/// One line on standard error that begins with `acm2: ` and says this; nothing panicked, no password is shown.
fn assert_one_line(output: &Output, says: &[&str]) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{errors}");
    let lines: Vec<&str> = errors.lines().filter(|line| line.starts_with("acm2: ")).collect();
    assert_eq!(lines.len(), 1, "{errors}");
    for word in says {
        assert!(lines[0].contains(word), "{word}: {errors}");
    }
    for never in ["panicked", "RUST_BACKTRACE", "hunter2", "stack backtrace"] {
        assert!(!errors.contains(never), "{errors}");
    }
}

/// The command's end; killed, and a failure, if it goes on.
fn end_of(mut command: Command) -> Output {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(45);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
            let mut log = String::new();
            child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
            panic!("it goes on: {log}");
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_master_key_is_one_clear_line() {
    let mut worlds = vec![World::files()];
    worlds.extend(World::servers("a_wrong_master_key_is_one_clear_line").await);
    for world in &mut worlds {
        world.tenant("first");
        let right = world.settings["ACM2_MASTER_KEYS"].clone();
        let other = world.cli(&["keys", "generate", "--id", "other"]);
        let same_name = world.cli(&["keys", "generate", "--id", "test"]);
        for wrong in [other, same_name] {
            world.set("ACM2_MASTER_KEYS", &wrong);
            let role = if world.is_shared() { "api" } else { "serve" };
            let ended = end_of(world.command(&[role]));
            assert_one_line(&ended, &["master key `test`", "ACM2_MASTER_KEYS"]);
            assert_eq!(ended.status.code(), Some(2));
            let errors = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert!(!errors.contains(wrong.split(':').nth(1).unwrap()), "{errors}");
            let doctor = world.run(&["doctor"]);
            let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
            assert!(!doctor.status.success() && told.contains("does not open"), "{told}");
        }
        world.set("ACM2_MASTER_KEYS", &right);
        assert!(world.run(&["doctor"]).status.success());
        world.remove().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_refuses_is_one_clear_line() {
    let Some(world) = World::servers("a_database_that_refuses_is_one_clear_line").await else { return };
    let right = world.settings["ACM2_DATABASE__URL"].clone();
    let with = |change: &dyn Fn(&mut url::Url)| {
        let mut url = url::Url::parse(&right).unwrap();
        change(&mut url);
        url.to_string()
    };
    let wrong = [
        (with(&|url| url.set_password(Some("hunter2")).unwrap()), "password"),
        (with(&|url| url.set_path("/there_is_none_of_this_name")), "there_is_none_of_this_name"),
        (with(&|url| url.set_host(Some("no-such-host.invalid")).unwrap()), "database"),
        (with(&|url| url.set_port(Some(1)).unwrap()), "database"),
    ];
    for (url, says) in wrong {
        for role in ["api", "worker"] {
            let mut command = world.command(&[role]);
            command.env("ACM2_DATABASE__URL", &url);
            assert_one_line(&end_of(command), &[says]);
        }
        let mut doctor = world.command(&["doctor"]);
        doctor.env("ACM2_DATABASE__URL", &url);
        let output = end_of(doctor);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(!output.status.success() && told.contains("wrong ") && !told.contains("hunter2"), "{told}");
    }
    world.remove().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_without_its_broker_says_so_and_takes_runs_all_the_same() {
    let Some(world) = World::servers("an_api_without_its_broker_says_so_and_takes_runs_all_the_same").await else {
        return;
    };
    let mut house = House::of(world).await;
    let right = house.world.settings["ACM2_BROKER__URL"].clone();
    house.world.set("ACM2_BROKER__URL", "redis://:hunter2@127.0.0.1:1/0");
    let doctor = house.world.run(&["doctor"]);
    let told = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert!(
        !doctor.status.success() && told.contains("the broker does not answer") && !told.contains("hunter2"),
        "{told}"
    );
    let api = house.world.start("api");
    let tenant = house.world.tenant("a");
    let client = Client::new(&api.url, &tenant.key);
    client.put("/api/v1/settings/provider-keys/sandbox", &json!({"key": "any"})).await.expect(200);
    let ready = Answer::of(client.bare(Method::GET, "/readyz")).await;
    ready.problem(503, "not_ready");
    assert!(ready.text.contains("the broker") && !ready.text.contains("the store"), "{}", ready.text);
    Answer::of(client.bare(Method::GET, "/healthz")).await.expect(200);
    let run = submit(&client, &json!({"prompt": "hi", "models": ["sandbox/echo"]})).await;
    let log = api.log();
    assert!(log.contains("broker") && !log.contains("hunter2") && !log.contains("panicked"), "{log}");
    api.kill();
    // With the broker back, what was taken is done.
    house.world.set("ACM2_BROKER__URL", &right);
    let (api, _worker) = (house.world.start("api"), house.world.start("worker"));
    let client = Client::new(&api.url, &tenant.key);
    let run = crate::house::ended(&client, &run, Duration::from_secs(40)).await;
    assert_eq!(run["status"], "completed", "{run}");
    house.world.remove().await;
}

#[test]
fn wrong_settings_are_named_all_at_once() {
    let world = World::files();
    for (name, value) in [
        ("ACM2_BROKER__URL", "amqp://:hunter2@127.0.0.1/"),
        ("ACM2_DATABASE__URL", "postgres//ann:hunter2@db/acm2"),
        ("ACM2_HTTP__BIND", "localhost"),
        ("ACM2_WORKER__RUNS", "many"),
    ] {
        let mut command = world.command(&["serve"]);
        command.env(name, value);
        let output = end_of(command);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(name) && !errors.contains("hunter2") && !errors.contains("panicked"), "{errors}");
    }
    let mut command = world.command(&["serve"]);
    command.env("ACM2_HTTP__BIND", "localhost").env("ACM2_WORKER__RUNS", "many");
    let output = end_of(command);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("ACM2_HTTP__BIND") && errors.contains("ACM2_WORKER__RUNS"), "{errors}");
}
