//! A body that is JSON or YAML. YAML is read into the same strict values as JSON, and no larger than it is written: aliases that
//! would repeat a part again and again are refused before they cost anything.

use acm2_domain::error::{Error, FieldError, Kind};
use poem::{Request, RequestBody};
use poem_openapi::registry::{MetaMediaType, MetaRequest, Registry};
use poem_openapi::types::Type;
use poem_openapi::{ApiExtractor, ApiExtractorType, ExtractParamOptions};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::json;
use super::payload::{self, Body, Check};
use crate::app::App;
use crate::problem::Failure;

/// The names of YAML: RFC 9512's, and those that were used before.
const NAMES: [&str; 3] = ["application/yaml", "application/x-yaml", "text/yaml"];
/// A document that people write is far smaller.
const MAX_BYTES: usize = 256 * 1024;
/// Brackets that may be opened, and signs of a list or a key that may begin a line: the parser takes time by the product of how deep
/// a text nests and how long it is.
const MOST_BRACKETS: usize = 1_000;
const MOST_SIGNS: usize = 200;

/// A body that is JSON or YAML.
#[derive(Debug)]
pub struct JsonOrYaml<T>(pub Body<T>);

impl<'a, T: Type + DeserializeOwned + Check + Send> ApiExtractor<'a> for JsonOrYaml<T> {
    const TYPES: &'static [ApiExtractorType] = &[ApiExtractorType::RequestObject];

    type ParamType = ();
    type ParamRawType = ();

    fn register(registry: &mut Registry) {
        T::register(registry);
    }

    fn request_meta() -> Option<MetaRequest> {
        let media = |content_type| MetaMediaType { content_type, schema: T::schema_ref() };
        Some(MetaRequest {
            description: None,
            content: vec![media("application/json"), media(NAMES[0])],
            required: true,
        })
    }

    async fn from_request(
        request: &'a Request,
        body: &mut RequestBody,
        _options: ExtractParamOptions<()>,
    ) -> poem::Result<Self> {
        let essence = request.content_type().and_then(|text| text.split(';').next()).map(str::trim);
        let is_yaml = essence.is_some_and(|essence| NAMES.iter().any(|name| essence.eq_ignore_ascii_case(name)));
        if !is_yaml && payload::require_json(request.content_type()).is_err() {
            let detail = "send the body as JSON, with the header Content-Type: application/json, or as YAML, with \
                          Content-Type: application/yaml";
            return Err(Failure::UnsupportedMediaType(detail).into());
        }
        let bytes = body.take()?.into_bytes().await?;
        let app = request.data::<App>().ok_or_else(|| poem::Error::from(crate::app::missing()))?;
        let read = if is_yaml {
            let size = bytes.len();
            // Reading YAML is slow for its size, and others wait for this thread.
            let parsed = tokio::task::spawn_blocking(move || parse(&bytes)).await.map_err(|error| {
                Failure::from(Error::new(Kind::Internal, "internal", format!("reading YAML ended: {error}")))
            })?;
            parsed.and_then(|parsed| payload::read_parsed(parsed, size, app))
        } else {
            payload::read(&bytes, app)
        };
        Ok(Self(read.map_err(Failure::from)?))
    }
}

/// A YAML text as strict values.
fn parse(bytes: &[u8]) -> Result<Value, Error> {
    let malformed = |detail: &str| Error {
        fields: vec![FieldError::new("", detail)],
        ..Error::new(Kind::Malformed, "malformed_yaml", "the body is not YAML that is taken here; see errors")
    };
    if bytes.len() > MAX_BYTES {
        return Err(malformed(&format!("has more than {MAX_BYTES} bytes")));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| malformed("is not UTF-8"))?;
    if may_be_deep(text) {
        return Err(malformed(&format!("has more than {MOST_BRACKETS} brackets, or nests too deeply")));
    }
    json::parse_with(bytes.len(), |node| node.read(yaml_serde::Deserializer::from_str(text))).map_err(|refusal| {
        match refusal {
            json::Refusal::Duplicates(places) => Error::invalid(places),
            json::Refusal::TooDeep(place) => malformed(&format!("nests too deeply at {place}")),
            json::Refusal::TooMany(error) => error,
            json::Refusal::TooMuch => malformed("says more than it is long: write it without aliases"),
            json::Refusal::Syntax(error) => match error.location() {
                Some(place) => malformed(&format!("is not YAML: see line {} column {}", place.line(), place.column())),
                None => malformed("is not YAML"),
            },
        }
    })
}

/// Whether a text may nest far deeper than is read. All brackets count, those in quotes too, and none that closes takes one away: what
/// is quoted and what is not, only the parser knows.
fn may_be_deep(text: &str) -> bool {
    let deep = |line: &str| {
        let begins = line.chars().take_while(|sign| matches!(sign, '-' | '?' | ':') || sign.is_whitespace());
        begins.filter(|sign| !sign.is_whitespace()).nth(MOST_SIGNS).is_some()
    };
    text.matches(['[', '{']).nth(MOST_BRACKETS).is_some()
        || text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).any(deep)
}

/// Reads a YAML text, for tests.
#[cfg(test)]
pub(crate) fn read_yaml<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let parsed = parse(bytes).map_err(|error| format!("{error:?}"))?;
    serde_json::from_value(parsed).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;

    fn detail(yaml: &str) -> String {
        parse(yaml.as_bytes()).unwrap_err().fields.remove(0).detail
    }

    #[test]
    fn yaml_is_read_as_json_is() {
        let read = parse(b"name: a\ncriteria:\n  - clarity\n  - {name: depth, weight: 2.5}\nempty:\n").unwrap();
        let expected =
            serde_json::json!({"name": "a", "criteria": ["clarity", {"name": "depth", "weight": 2.5}], "empty": null});
        assert_eq!(read, expected);
    }

    #[test]
    fn what_is_not_taken_tells_the_place_and_no_value() {
        for broken in
            ["a: [canary", "a: b: canary", "\u{0}canary", "? {a: canary}\n: b", "!tag canary", "--- a\n--- canary"]
        {
            let error = parse(broken.as_bytes()).unwrap_err();
            assert_eq!(error.code, "malformed_yaml", "{broken}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
        assert_eq!(parse(b"a: 1\nb: 2\na: 3\n").unwrap_err().fields[0].pointer, "/a");
        assert!(detail(&"[".repeat(100_000)).contains("YAML") || detail(&"[".repeat(100_000)).contains("deep"));
        assert!(detail(&"x".repeat(MAX_BYTES + 1)).contains("bytes"));
    }

    #[test]
    fn what_nests_deeply_is_refused_before_it_costs_time() {
        let fill = |part: &str| part.repeat(MAX_BYTES / part.len());
        let halves = |open: &str, close: &str| format!("{}{}", open.repeat(100_000), close.repeat(100_000));
        let deeper = (0..700).map(|level| format!("{}a:\n", " ".repeat(level))).collect::<Vec<String>>().concat();
        for deep in [
            fill("["),
            fill("{"),
            fill("- "),
            fill("? "),
            fill("-\t"),
            fill("{a: ["),
            fill("{\"}\":"),
            fill("[\"]\","),
            halves("[", "]"),
            deeper,
        ] {
            assert!(detail(&deep).contains("deep") || detail(&deep).contains("YAML"), "{}", detail(&deep));
        }
        for wide in [
            fill("[],"),
            fill("- []\n"),
            fill("a: {}\n"),
            fill("!!str "),
            fill("&a "),
            fill("\"\\n\" "),
            fill("- - - -\n"),
        ] {
            let _ = parse(wide.as_bytes());
        }
        let rule = format!("{}\nname: a\n", "-".repeat(3));
        assert!(
            parse(rule.as_bytes()).is_ok() && parse(format!("a: |\n  {}\n", "[x] ".repeat(500)).as_bytes()).is_ok()
        );
    }

    #[test]
    fn aliases_cannot_make_much_of_little() {
        let mut laughs = String::from("a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
        for level in 1..9 {
            let names = vec![format!("*a{}", level - 1); 9].join(", ");
            writeln!(laughs, "a{level}: &a{level} [{names}]").unwrap();
        }
        let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(100_000), vec!["*a"; 10_000].join(","));
        // Each says much with values that have no bytes of their own.
        let repeated = |value: &str| vec![format!("\"\": {value}"); 3_000].join(", ");
        let twice = format!("x: &a {{{}}}\ny: &b {{{}}}\nz: {{{}}}\n", repeated("0"), repeated("*a"), repeated("*b"));
        assert_eq!(parse(twice.as_bytes()).unwrap_err().fields.len(), 20);
        let entries = |value: &str| (0..3_000).map(|at| format!("{at:x}: {value}")).collect::<Vec<_>>().join(", ");
        let maps = format!("x: &a {{{}}}\ny: &b {{{}}}\nz: {{{}}}\n", entries("0"), entries("*a"), entries("*b"));
        let only = |value: &str| format!("{{\"\": {value}}}");
        let single = format!("x: &a {}\ny: [{}]\n", only(&only(&only(&only("~")))), vec!["*a"; 20_000].join(","));
        let nothing = format!("x: &a []\ny: &b [{}]\nz: [{}]\n", vec!["*a"; 300].join(","), vec!["*b"; 300].join(","));
        for many in [&maps, &single] {
            assert!(parse(many.as_bytes()).is_err());
        }
        assert!(detail(&nothing).contains("alias"));
        for bomb in [laughs, long] {
            let began = std::time::Instant::now();
            assert!(detail(&bomb).contains("alias") || detail(&bomb).contains("YAML"), "{}", detail(&bomb));
            assert!(began.elapsed() < std::time::Duration::from_secs(5));
        }
    }
}
