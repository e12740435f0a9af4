//! A body that is JSON or a file in a form (`multipart/form-data`). The whole body is in memory already, within its limit.

use acm2_domain::error::{Error, FieldError, Kind};
use poem::web::Multipart;
use poem::{FromRequest, Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, MetaSchema, MetaSchemaRef, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::payload::{self, Body, Check};
use crate::app::App;
use crate::problem::Failure;

const FORM: &str = "multipart/form-data";
/// A name in a form is as long as one in JSON may be, in bytes.
const LONGEST_NAME: usize = 4_096;

/// A body that is JSON, or a form with a file.
#[derive(Debug)]
pub enum JsonOrFile<T> {
    /// JSON.
    Json(Body<T>),
    /// A form.
    File(File),
}

/// A file that came in a form.
#[derive(Debug)]
pub struct File {
    /// What the form's field `name` says.
    pub name: Option<String>,
    /// What the client calls the file; it may hold anything.
    pub file_name: Option<String>,
    /// What the client says of its type.
    pub content_type: Option<String>,
    /// What is in it.
    pub bytes: Vec<u8>,
    /// SHA-256 of all of these: the same whatever stands between the parts of the form.
    pub digest: [u8; 32],
}

impl<T> JsonOrFile<T> {
    /// The digest of the body.
    pub fn digest(&self) -> &[u8; 32] {
        match self {
            Self::Json(body) => &body.digest,
            Self::File(file) => &file.digest,
        }
    }
}

impl<'a, T: Type + DeserializeOwned + Check + Send> ApiExtractor<'a> for JsonOrFile<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let json = MetaMediaType { content_type: "application/json", schema: T::schema_ref() };
        let form = MetaMediaType { content_type: FORM, schema: MetaSchemaRef::Inline(Box::new(form_schema())) };
        Some(MetaRequest { description: None, content: vec![json, form], required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        if is_form(request.content_type()) {
            return Ok(Self::File(read_form(request, body).await?));
        }
        if payload::require_json(request.content_type()).is_err() {
            let detail = "send JSON, with the header Content-Type: application/json, or a form with a file, with \
                          Content-Type: multipart/form-data";
            return Err(Failure::UnsupportedMediaType(detail).into());
        }
        let bytes = body.take()?.into_bytes().await?;
        let app = request.data::<App>().ok_or_else(|| poem::Error::from(crate::app::missing()))?;
        Ok(Self::Json(payload::read(&bytes, app).map_err(Failure::from)?))
    }
}

/// Whether a content type is that of a form.
pub(crate) fn is_form(content_type: Option<&str>) -> bool {
    let essence = content_type.and_then(|text| text.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case(FORM))
}

fn form_schema() -> MetaSchema {
    let text = |description, format: Option<&'static str>| {
        let plain = MetaSchema { description: Some(description), ..MetaSchema::new("string") };
        MetaSchemaRef::Inline(Box::new(MetaSchema { format, ..plain }))
    };
    MetaSchema {
        required: vec!["file"],
        properties: vec![
            ("file", text("the file, with its name and its type", Some("binary"))),
            ("name", text("what it shall be called; the file's own name where absent", None)),
        ],
        ..MetaSchema::new("object")
    }
}

async fn read_form(request: &Request, body: &mut RequestBody) -> Result<File, Failure> {
    let mut form = <Multipart as FromRequest>::from_request(request, body).await.map_err(|_| broken())?;
    let (mut name, mut file) = (None, None);
    while let Some(field) = form.next_field().await.map_err(|_| broken())? {
        let (file_name, content_type) = (field.file_name().map(str::to_owned), field.content_type().map(str::to_owned));
        match field.name().unwrap_or_default() {
            "file" if file.is_none() => {
                file = Some((file_name, content_type, field.bytes().await.map_err(|_| broken())?));
            }
            "name" if name.is_none() => {
                let bytes = field.bytes().await.map_err(|_| broken())?;
                let text = String::from_utf8(bytes).ok().filter(|text| text.len() <= LONGEST_NAME);
                name = Some(text.ok_or_else(|| wrong("/name", "must be a short text in UTF-8"))?);
            }
            known @ ("file" | "name") => return Err(wrong(&format!("/{known}"), "stands there twice")),
            _ => return Err(wrong("", "the form has a field that is not known here; known are file, name")),
        }
    }
    let (file_name, content_type, bytes) = file.ok_or_else(|| wrong("/file", "is missing"))?;
    let mut digest = Sha256::new();
    for part in [name.as_deref(), file_name.as_deref(), content_type.as_deref()] {
        digest.update(part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
        digest.update(part.unwrap_or_default());
    }
    digest.update(&bytes);
    Ok(File { name, file_name, content_type, bytes, digest: digest.finalize().into() })
}

fn broken() -> Failure {
    Error::new(Kind::Malformed, "malformed_body", "the body is not a form as its Content-Type says").into()
}

fn wrong(pointer: &str, detail: &str) -> Failure {
    Error::invalid(vec![FieldError::new(pointer, detail)]).into()
}
