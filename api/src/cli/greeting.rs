//! What `acm2 serve` says when it is ready: where it is, and at the first start everything that a newcomer needs.

use acm2_runtime::config::Role;
use secrecy::ExposeSecret;

use crate::first_start::FirstStart;

/// The greeting; `url` without a slash at its end.
pub(super) fn text(url: &str, role: Role, first: Option<&FirstStart>) -> String {
    let mut text = format!("ACM2 is ready at {url}\nAPI documentation: {url}/docs\n");
    match first {
        Some(first) => text.push_str(&first_steps(url, first)),
        None if role == Role::Serve => text.push_str("Another API key: acm2 api-keys create\n"),
        None => {}
    }
    text
}

fn first_steps(url: &str, first: &FirstStart) -> String {
    let key = first.key.expose_secret();
    let imported = if first.imported.is_empty() {
        String::new()
    } else {
        format!("Provider keys taken from your environment: {}\n", first.imported.join(", "))
    };
    format!(
        r#"{imported}
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
        let first = FirstStart { key: SecretString::from("acm2_x"), imported: vec!["openai".to_owned()] };
        let text = text("http://127.0.0.1:8080", Role::Serve, Some(&first));
        let body = text.split("-d '").nth(1).unwrap().split('\'').next().unwrap();
        let run: acm2_domain::run::NewRun = serde_json::from_str(body).unwrap();
        assert!(run.compile(&acm2_domain::prices::Prices::built_in()).is_ok());
        assert!(text.contains("taken from your environment: openai"));
    }
}
