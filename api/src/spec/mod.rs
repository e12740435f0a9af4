//! The specification: what poem-openapi derives, mended to a valid OpenAPI 3.0.3 document (`mend`, `schemas`), with every
//! error (`errors`) and examples (`examples`). Printed by `acm2 openapi`, committed as `api/openapi.json`, served at
//! `/openapi.json`, and shown by the docs page (`docs`).

mod docs;
mod errors;
mod examples;
mod mend;
mod schemas;

pub use docs::DocsPage;
pub use mend::document;

/// The document as it is committed and served: pretty, with a line feed at its end.
pub fn text() -> String {
    let mut text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    text.push('\n');
    text
}
