//! What `acm2 serve` says when it is ready: where it is, and at the first start everything that a newcomer needs.

use acm2_runtime::config::Role;
use secrecy::ExposeSecret;

use crate::first_start::Prepared;

/// The greeting; `url` without a slash at its end.
pub(super) fn text(url: &str, role: Role, prepared: &Prepared) -> String {
    let mut text = format!("ACM2 is ready at {url}\nAPI documentation: {url}/docs\n");
    if !prepared.imported.is_empty() {
        text.push_str("Provider keys taken from your environment: ");
        text.push_str(&prepared.imported.join(", "));
        text.push('\n');
    }
    match &prepared.key {
        Some(key) => text.push_str(&first_steps(url, key.expose_secret())),
        None if role == Role::Serve => {
            text.push_str("Another API key: ");
            text.push_str(&program());
            text.push_str(" api-keys create\n");
        }
        None => {}
    }
    text
}

/// How this program was called, so that the next command works when pasted.
fn program() -> String {
    std::env::args_os().next().map_or_else(|| "acm2".to_owned(), |path| path.to_string_lossy().into_owned())
}

fn first_steps(url: &str, key: &str) -> String {
    format!(
        r#"
Your API key, shown only this once:
  {key}

Ask two models of the built-in sandbox (no provider key needed):

curl -s {url}/api/v1/runs \
  -H 'X-ACM2-API-Key: {key}' -H 'Content-Type: application/json' -H 'Prefer: wait=10' \
  -d '{{"prompt": "Say hello", "models": ["sandbox/echo", "sandbox/slow-1s"]}}'

"#
    )
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;

    #[test]
    fn the_curl_is_a_body_that_the_api_takes() {
        let prepared = Prepared { key: Some(SecretString::from("acm2_x")), imported: vec!["openai".to_owned()] };
        let text = text("http://127.0.0.1:8080", Role::Serve, &prepared);
        let body = text.split("-d '").nth(1).unwrap().split('\'').next().unwrap();
        let run: acm2_domain::run::NewRun = serde_json::from_str(body).unwrap();
        assert!(run.compile(&acm2_domain::prices::Prices::built_in()).is_ok());
        assert!(text.contains("taken from your environment: openai"));
    }
}
