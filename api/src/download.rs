//! Answers that are files: text and YAML, as attachments that no browser shows or guesses at, for what is in them is the
//! tenant's own or a stranger's.

use std::marker::PhantomData;

use poem::http::{HeaderValue, StatusCode, header};
use poem::{IntoResponse, Response, ResponseBuilder};
use poem_openapi::ApiResponse;
use poem_openapi::registry::{MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry};

/// What sort of file it is.
pub(crate) trait Format: Send {
    /// As the header says it.
    const CONTENT_TYPE: &'static str;
    /// As the specification says it.
    const ESSENCE: &'static str;
    /// The file's name for whoever saves it.
    const FILE_NAME: &'static str;
}

/// Plain text.
#[derive(Debug)]
pub(crate) struct PlainText;

impl Format for PlainText {
    const CONTENT_TYPE: &'static str = "text/plain; charset=utf-8";
    const ESSENCE: &'static str = "text/plain";
    const FILE_NAME: &'static str = "document.txt";
}

/// YAML.
#[derive(Debug)]
pub(crate) struct Yaml;

impl Format for Yaml {
    const CONTENT_TYPE: &'static str = "application/yaml";
    const ESSENCE: &'static str = "application/yaml";
    const FILE_NAME: &'static str = "criteria-set.yaml";
}

/// A text to be saved as a file.
#[derive(Debug)]
pub(crate) struct Download<F> {
    text: String,
    format: PhantomData<F>,
}

impl<F> Download<F> {
    /// A file of this text.
    pub(crate) fn new(text: String) -> Self {
        Self { text, format: PhantomData }
    }
}

/// The beginning of an answer that is a file to be saved: no browser shows it, guesses at it or runs what is in it.
pub(crate) fn as_file(content_type: &str, name: &str) -> ResponseBuilder {
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    Response::builder()
        .status(StatusCode::OK)
        .content_type(content_type)
        .header(header::CONTENT_DISPOSITION, disposition.unwrap_or(HeaderValue::from_static("attachment")))
        .header(header::X_CONTENT_TYPE_OPTIONS, "nosniff")
        .header(header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox")
}

impl<F: Format> IntoResponse for Download<F> {
    fn into_response(self) -> Response {
        as_file(F::CONTENT_TYPE, F::FILE_NAME).body(self.text)
    }
}

impl<F: Format> ApiResponse for Download<F> {
    fn meta() -> MetaResponses {
        let schema = MetaSchemaRef::Inline(Box::new(MetaSchema::new("string")));
        let content = vec![MetaMediaType { content_type: F::ESSENCE, schema }];
        let response = MetaResponse {
            description: "the file",
            status: Some(200),
            status_range: None,
            content,
            headers: Vec::new(),
        };
        MetaResponses { responses: vec![response] }
    }

    fn register(_registry: &mut Registry) {}
}
