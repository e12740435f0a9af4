//! Forms with files, written out by hand, so that tests can also send what no client library would.

use reqwest::Method;

use crate::harness::{Answer, Client};

const BOUNDARY: &str = "----acm2-test-boundary";

/// A part of a form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part<'a> {
    /// The field.
    pub(crate) field: &'a str,
    /// The file's name and content type.
    pub(crate) file: Option<(&'a str, &'a str)>,
    /// What is in it.
    pub(crate) bytes: &'a [u8],
}

/// A file in the field `file`.
pub(crate) const fn file<'a>(name: &'a str, content_type: &'a str, bytes: &'a [u8]) -> Part<'a> {
    Part { field: "file", file: Some((name, content_type)), bytes }
}

/// A text in the field `name`.
pub(crate) const fn name(text: &str) -> Part<'_> {
    Part { field: "name", file: None, bytes: text.as_bytes() }
}

/// Sends a form as an upload.
pub(crate) async fn upload(client: &Client, parts: &[Part<'_>]) -> Answer {
    let mut body = Vec::new();
    for part in parts {
        body.extend(format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{}\"", part.field).as_bytes());
        if let Some((name, content_type)) = part.file {
            body.extend(format!("; filename=\"{name}\"").as_bytes());
            if !content_type.is_empty() {
                body.extend(format!("\r\nContent-Type: {content_type}").as_bytes());
            }
        }
        body.extend(b"\r\n\r\n");
        body.extend(part.bytes);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").as_bytes());
    let request = client.request(Method::POST, "/api/v1/documents");
    Answer::of(request.header("Content-Type", format!("multipart/form-data; boundary={BOUNDARY}")).body(body)).await
}
