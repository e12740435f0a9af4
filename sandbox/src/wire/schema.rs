//! The schema that a request holds its answer to (structured output): where each wire has it, and what the providers refuse.
//! Used by the wires. Only judges obey it.

use serde_json::Value;

use crate::fault::Fault;

/// The schema of OpenAI's two wires: `{name, schema, strict}`, beside or below the type `json_schema`.
pub(super) fn named(format: &Value, field: &'static str) -> Result<Value, Fault> {
    let name = format["name"].as_str().unwrap_or_default();
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
        return Err(Fault::invalid(format!("Missing or invalid parameter: '{field}.name'."), field));
    }
    let schema = object(&format["schema"], field)?;
    if format["strict"] == true {
        closed(schema, Properties::Required, field)?;
    }
    Ok(schema.clone())
}

/// The schema of Anthropic's wire: always strict.
pub(super) fn strict(format: &Value, field: &'static str) -> Result<Value, Fault> {
    if format["type"] != "json_schema" {
        return Err(Fault::invalid(format!("{field}.type: Input should be 'json_schema'"), field));
    }
    let schema = object(&format["schema"], field)?;
    closed(schema, Properties::Optional, field)?;
    Ok(schema.clone())
}

/// The schema of Gemini's wire, which also wants the MIME type.
pub(super) fn with_mime_type(config: &Value) -> Result<Option<Value>, Fault> {
    const FIELD: &str = "generationConfig.responseJsonSchema";
    let schema = &config["responseJsonSchema"];
    if schema.is_null() {
        return Ok(None);
    }
    if config["responseMimeType"] != "application/json" {
        return Err(Fault::invalid("A response schema needs the response MIME type 'application/json'.", FIELD));
    }
    object(schema, FIELD).map(|schema| Some(schema.clone()))
}

fn object<'a>(schema: &'a Value, field: &'static str) -> Result<&'a Value, Fault> {
    if schema.is_object() {
        return Ok(schema);
    }
    Err(Fault::invalid(format!("Missing required parameter: '{field}.schema'."), field))
}

/// Whether an object must have the properties that its schema names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Properties {
    Required,
    Optional,
}

/// Every object in the schema allows no other properties.
fn closed(schema: &Value, properties: Properties, field: &'static str) -> Result<(), Fault> {
    if schema["type"] == "object" {
        if schema["additionalProperties"] != false {
            let message = "Invalid schema: 'additionalProperties' is required to be supplied and to be false.";
            return Err(Fault::invalid(message, field));
        }
        let required = schema["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            if properties == Properties::Required && !required.iter().any(|one| one == name) {
                let message = "Invalid schema: 'required' is to be an array with every key in properties.";
                return Err(Fault::invalid(message, field));
            }
            closed(property, properties, field)?;
        }
    }
    if schema["items"].is_object() {
        closed(&schema["items"], properties, field)?;
    }
    Ok(())
}
