//! compose.yaml and the Dockerfile name commands, ports and settings of this program. Where no container engine is at hand
//! nobody would see that one of them is gone; these tests do.

use std::collections::BTreeSet;

use acm2_runtime::config::{Config, settings};
use yaml_serde::Value;

use crate::tree;

/// The subcommands of `acm2`, by the variants of the command line: `ApiKeys` is `api-keys`.
fn commands() -> BTreeSet<String> {
    let source = tree::read("api/src/cli/mod.rs");
    let variants = source.split("enum Command {").nth(1).unwrap().split("\n}").next().unwrap();
    let name = |line: &str| {
        let variant: String = line.strip_prefix("    ")?.chars().take_while(char::is_ascii_alphanumeric).collect();
        let mut name = String::new();
        for letter in variant.chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push('-');
            }
            name.push(letter.to_ascii_lowercase());
        }
        Some(name).filter(|name| !name.is_empty())
    };
    variants.lines().filter_map(name).collect()
}

fn compose() -> Value {
    yaml_serde::from_str::<Value>(&tree::read("compose.yaml"))
        .and_then(|mut compose| compose.apply_merge().map(|()| compose))
        .unwrap()
}

fn services() -> Vec<(String, Value)> {
    let compose = compose();
    let services = compose["services"].as_mapping().unwrap();
    services.iter().map(|(name, service)| (name.as_str().unwrap().to_owned(), service.clone())).collect()
}

fn is_ours(service: &Value) -> bool {
    service["image"] == "acm2"
}

fn strings(value: &Value) -> Vec<String> {
    value.as_sequence().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
}

/// The words of a file that look like a setting of ours.
fn variables(text: &str) -> BTreeSet<String> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    words.filter(|word| word.starts_with("ACM2_")).map(str::to_owned).collect()
}

fn default_port() -> String {
    Config::read([]).unwrap().http.bind.port().to_string()
}

#[test]
fn the_services_of_the_documentation_are_there() {
    let names: BTreeSet<String> = services().into_iter().map(|(name, _)| name).collect();
    for name in ["api", "worker", "postgres", "redis", "sandbox"] {
        assert!(names.contains(name), "{name}");
    }
    for (name, service) in services() {
        assert_eq!(
            name == "sandbox",
            service["profiles"] == Value::from(vec!["dev"]),
            "only the sandbox is for development"
        );
    }
}

#[test]
fn commands_are_subcommands() {
    let ours: Vec<_> = services().into_iter().filter(|(_, service)| is_ours(service)).collect();
    let commands = commands();
    assert!(ours.len() >= 3 && commands.contains("api-keys"), "{commands:?}");
    for (name, service) in ours {
        let command = strings(&service["command"]);
        assert!(commands.contains(&command[0]), "{name}: {command:?}");
    }
    let dockerfile = tree::read("Dockerfile");
    let command = dockerfile.lines().find_map(|line| line.strip_prefix("CMD ")).unwrap();
    let command: Vec<String> = serde_json::from_str(command).unwrap();
    assert!(commands.contains(&command[0]), "{command:?}");
    assert!(dockerfile.contains("ENTRYPOINT [\"acm2\"]"));
}

#[test]
fn variables_are_settings() {
    let mut known: BTreeSet<String> = settings::all().map(|setting| setting.name.to_owned()).collect();
    known.insert("ACM2_PROVIDERS__SANDBOX__BASE_URL".to_owned());
    for file in ["compose.yaml", "Dockerfile"] {
        let unknown: Vec<_> = variables(&tree::read(file)).difference(&known).cloned().collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
}

#[test]
fn ports_are_those_of_the_settings() {
    let port = default_port();
    let (_, api) = services().into_iter().find(|(name, _)| name == "api").unwrap();
    assert_eq!(strings(&api["ports"]), [format!("127.0.0.1:{port}:{port}")]);
    let dockerfile = tree::read("Dockerfile");
    assert!(dockerfile.lines().any(|line| line == format!("EXPOSE {port}")));
    assert!(dockerfile.contains(&format!("ACM2_HTTP__BIND=0.0.0.0:{port}")));
}

/// The environment of the services, with the variables that compose wants filled in, is a configuration that starts.
#[test]
fn the_environment_of_each_service_is_a_configuration() {
    use acm2_runtime::config::Role;
    let dockerfile = tree::read("Dockerfile");
    let image = dockerfile
        .lines()
        .filter_map(|line| line.trim_start_matches("ENV ").trim_end_matches(" \\").trim().split_once('='));
    let image: Vec<(String, String)> = image
        .filter(|(name, _)| name.starts_with("ACM2_"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    for (name, role) in [("api", Role::Api), ("worker", Role::Worker)] {
        let (_, service) = services().into_iter().find(|(service, _)| service == name).unwrap();
        let environment = service["environment"].as_mapping().unwrap();
        let own = environment
            .iter()
            .map(|(name, value)| (name.as_str().unwrap().to_owned(), filled(value.as_str().unwrap())));
        let config = Config::read(image.iter().cloned().chain(own)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(config.check_role(role).is_ok(), "{name}");
        assert!(!config.http.bind.ip().is_loopback(), "{name} must be reachable from outside its container");
    }
}

/// `${NAME:?…}` becomes a value, `${NAME:-…}` its default.
fn filled(value: &str) -> String {
    let mut text = value.to_owned();
    while let Some((before, rest)) = text.split_once("${") {
        let (variable, after) = rest.split_once('}').unwrap();
        let fill = variable.split_once(":-").map_or("filled", |(_, default)| default);
        text = format!("{before}{fill}{after}");
    }
    text
}

#[test]
fn no_secret_has_a_default() {
    let text = tree::read("compose.yaml");
    for variable in ["ACM2_MASTER_KEYS", "POSTGRES_PASSWORD"] {
        let uses: Vec<&str> = text.match_indices(&format!("${{{variable}")).map(|(at, _)| &text[at..]).collect();
        assert!(!uses.is_empty(), "{variable}");
        assert!(uses.iter().all(|text| text.starts_with(&format!("${{{variable}:?"))), "{variable} must be required");
    }
}
