//! One of everything that a tenant can have, and the routes of the specification with these ids in them. A new kind of thing is
//! added here; the tests of isolation do the rest.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Client, Process};
use crate::house::{House, run};

/// Stands in everything that the owner has, so that a list that shows any of it is caught.
pub(crate) const MARK: &str = "owners-own-mark";

/// One of everything that has an id, by the prefix of its id.
pub(crate) struct Owned {
    pub(crate) client: Client,
    pub(crate) ids: Vec<(&'static str, String)>,
}

impl Owned {
    pub(crate) async fn of(house: &House, process: &Process) -> Self {
        let client = house.tenant(process, "owner").await;
        let endpoint = json!({"url": format!("https://{MARK}.invalid/"), "description": MARK});
        let endpoint =
            client.post("/api/v1/webhook-endpoints", &endpoint).await.expect(201)["webhook_endpoint"].clone();
        let key = json!({"name": MARK, "scopes": ["runs:read"]});
        let api_key = client.post("/api/v1/api-keys", &key).await.expect(201)["api_key"].clone();
        let key = json!({"provider": "openai", "key": "sk-another-0123456789", "label": MARK});
        let provider_key = client.post("/api/v1/settings/provider-keys", &key).await.expect(201);
        let budget = json!({"api_key_id": api_key["id"], "period": "day", "limit_usd": "1"});
        let budget = client.post("/api/v1/budgets", &budget).await.expect(201);
        let document = client.post("/api/v1/documents", &json!({"name": MARK, "text": MARK})).await.expect(201);
        let template = client.post("/api/v1/templates", &json!({"name": MARK, "text": MARK})).await.expect(201);
        let set = json!({"name": MARK, "criteria": [MARK]});
        let set = client.post("/api/v1/criteria-sets", &set).await.expect(201);
        let preset = json!({"name": MARK, "spec": {"prompt": MARK, "models": ["sandbox/echo"]}});
        let preset = client.post("/api/v1/presets", &preset).await.expect(201);
        let talk = json!({"title": MARK, "messages": [{"role": "user", "content": MARK}]});
        let talk = client.post("/api/v1/conversations", &talk).await.expect(201);
        let run = json!({"prompt": MARK, "models": ["sandbox/image"], "generator": "image", "tags": [MARK]});
        let run = self::run(&client, &run).await;
        let deliveries = client.get("/api/v1/deliveries").await.expect(200);
        let text = |value: &Value| value["id"].as_str().unwrap().to_owned();
        let ids = vec![
            ("whe", text(&endpoint)),
            ("key", text(&api_key)),
            ("pkey", text(&provider_key)),
            ("bud", text(&budget)),
            ("doc", text(&document)),
            ("tpl", text(&template)),
            ("crs", text(&set)),
            ("pre", text(&preset)),
            ("con", text(&talk)),
            ("run", text(&run)),
            ("art", text(&run["results"][0]["artifacts"][0])),
            ("msg", text(&deliveries["items"][0])),
        ];
        Self { client, ids }
    }

    pub(crate) fn id(&self, prefix: &str) -> &str {
        let found = self.ids.iter().find(|(known, _)| *known == prefix);
        &found.unwrap_or_else(|| panic!("there is a route with an id {prefix}_… that this test has no example of")).1
    }
}

/// A route of the specification that has an id, with the owner's id in it.
pub(crate) struct Route {
    pub(crate) path: String,
    /// Method and body of each operation; and whether the id in it is one of the kind that it takes.
    pub(crate) operations: Vec<(Method, Option<Value>, bool)>,
}

pub(crate) fn routes_with_an_id(specification: &Value, owned: &Owned) -> Vec<Route> {
    let all = specification["paths"].as_object().unwrap().iter();
    all.filter(|(path, _)| path.contains('{'))
        .map(|(template, item)| {
            let in_path = |operation: &Value| -> Vec<Value> {
                let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
                let found: Vec<_> = parameters.into_iter().filter(|parameter| parameter["in"] == "path").collect();
                assert!(!found.is_empty(), "{template} has no parameter in its path");
                found
            };
            let operations: Vec<(&String, &Value)> = item.as_object().unwrap().iter().collect();
            let id_of = |parameter: &Value| {
                let prefix = parameter["schema"]["format"].as_str()?;
                Some((parameter["name"].as_str().unwrap().to_owned(), owned.id(prefix).to_owned()))
            };
            let ids_of = |operation: &Value| in_path(operation).iter().map(id_of).collect::<Option<Vec<_>>>();
            let named = operations.iter().find_map(|(_, operation)| ids_of(operation));
            let ids = named.unwrap_or_else(|| panic!("{template} takes no id that this test knows"));
            let operations = operations.into_iter().map(|(method, operation)| {
                let body = &operation["requestBody"]["content"]["application/json"]["example"];
                let takes_id = in_path(operation).iter().all(|parameter| parameter["schema"]["format"].is_string());
                (method.to_uppercase().parse().unwrap(), (!body.is_null()).then(|| body.clone()), takes_id)
            });
            let path = |path: String, (name, id): &(String, String)| path.replace(&format!("{{{name}}}"), id);
            Route { operations: operations.collect(), path: ids.iter().fold(template.clone(), path) }
        })
        .collect()
}
