//! From the document that poem-openapi writes to a valid OpenAPI 3.0.3 document. What it gets wrong is measured in
//! poem-openapi 5.1.16: the version, `security` of public operations, formats that are not standard, `"default": null`.

use serde_json::{Map, Value, json};

use super::{errors, examples, schemas};
use crate::routes;

/// The whole document.
pub fn document() -> Value {
    let mut document: Value = serde_json::from_str(&routes::service().spec()).unwrap_or_default();
    document["openapi"] = json!("3.0.3");
    for operation in operations(&mut document) {
        let public = operation.object.get("security").is_none();
        if public {
            operation.object.insert("security".to_owned(), json!([]));
        }
        errors::describe(operation.path, operation.method, public, operation.object);
        examples::add(operation.object);
        plain_content_types(operation.object);
    }
    schemas::close_request_bodies(&mut document);
    schemas::allow_null_in_answers(&mut document);
    errors::add_components(&mut document);
    schemas::standard_formats(&mut document);
    document
}

/// One operation of the document.
pub(super) struct Operation<'a> {
    pub(super) path: &'a str,
    pub(super) method: &'a str,
    pub(super) object: &'a mut Map<String, Value>,
}

/// All operations.
pub(super) fn operations(document: &mut Value) -> impl Iterator<Item = Operation<'_>> {
    document["paths"].as_object_mut().into_iter().flatten().flat_map(|(path, item)| {
        item.as_object_mut().into_iter().flatten().filter_map(move |(method, operation)| {
            operation.as_object_mut().map(|object| Operation { path, method, object })
        })
    })
}

/// `application/json; charset=utf-8` is no other type than `application/json`, and several generators do not match it.
fn plain_content_types(operation: &mut Map<String, Value>) {
    let responses = operation.get_mut("responses").and_then(Value::as_object_mut).into_iter().flatten();
    for content in responses.filter_map(|(_, response)| response.get_mut("content")?.as_object_mut()) {
        let names: Vec<String> = content.keys().filter(|name| name.contains(';')).cloned().collect();
        for name in names {
            if let (Some(media), Some((plain, _))) = (content.remove(&name), name.split_once(';')) {
                content.insert(plain.trim().to_owned(), media);
            }
        }
    }
}
