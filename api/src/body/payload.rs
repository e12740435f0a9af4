//! A JSON body as an argument of a handler. Everything that is wrong with it is told at once: what cannot be read and what
//! can be read and is not allowed. poem-openapi only gives the schema; its own validation shows values and stops early.

use acm2_domain::error::{Error, FieldError};
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::de::DeserializeOwned;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{collect, json};
use crate::app::App;
use crate::problem::Failure;

/// What can be said about a body that was read.
pub trait Check {
    /// Every wrong place; called also on a body with stand-ins for what could not be read.
    fn check(&self, app: &App) -> Vec<FieldError>;
}

/// A body that was read and checked.
#[derive(Debug)]
pub struct Body<T> {
    /// What it says.
    pub value: T,
    /// SHA-256 of its canonical form: the same for every order of names and all white space.
    pub digest: [u8; 32],
}

impl<'a, T: Type + DeserializeOwned + Check + Send> ApiExtractor<'a> for Body<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let content = vec![MetaMediaType { content_type: "application/json", schema: T::schema_ref() }];
        Some(MetaRequest { description: None, content, required: true })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        require_json(request.content_type())?;
        let bytes = body.take()?.into_bytes().await?;
        let app = request.data::<App>().ok_or_else(|| poem::Error::from(crate::app::missing()))?;
        Ok(read(&bytes, app).map_err(Failure::from)?)
    }
}

pub(super) fn require_json(content_type: Option<&str>) -> Result<(), Failure> {
    let essence = content_type.and_then(|text| text.split(';').next()).map(str::trim);
    match essence {
        Some(essence) if essence.eq_ignore_ascii_case("application/json") => Ok(()),
        _ => {
            Err(Failure::UnsupportedMediaType("send the body as JSON, with the header Content-Type: application/json"))
        }
    }
}

pub(super) fn read<T: DeserializeOwned + Check>(bytes: &[u8], app: &App) -> Result<Body<T>, Error> {
    read_parsed(json::parse(bytes)?, bytes.len(), app)
}

/// Reads values that came as `size` bytes.
pub(super) fn read_parsed<T: DeserializeOwned + Check>(
    parsed: Value,
    size: usize,
    app: &App,
) -> Result<Body<T>, Error> {
    // serde_json keeps the names of an object sorted.
    let digest = Sha256::digest(parsed.to_string()).into();
    let reading = collect::read::<T>(parsed, size);
    let mut errors = reading.errors;
    if let Some(value) = &reading.value {
        let unread: Vec<String> = errors.iter().map(|error| error.pointer.clone()).collect();
        // What a check says about a stand-in is not about the caller's body.
        let about_stand_in = |place: &FieldError| {
            unread.iter().any(|wrong| {
                place.pointer.strip_prefix(wrong.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            })
        };
        errors.extend(value.check(app).into_iter().filter(|place| !about_stand_in(place)));
    }
    // However many a check finds: an answer must not be many times larger than the request.
    errors.truncate(collect::MAX_ERRORS);
    match reading.value {
        Some(value) if errors.is_empty() => Ok(Body { value, digest }),
        _ => Err(Error::invalid(errors)),
    }
}
