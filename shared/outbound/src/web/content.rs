//! What a page is by its content type. Pure.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::providers::text_header;

/// What pages are asked for as.
pub(super) const ACCEPT: &str =
    "text/html, application/xhtml+xml, text/plain;q=0.9, text/markdown;q=0.9, application/pdf;q=0.8";

/// What a page is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PageKind {
    /// HTML; its text must be found.
    Html,
    /// Plain text or Markdown.
    Text,
    /// A PDF; its text must be found.
    Pdf,
}

impl PageKind {
    /// `None` for what is not read: images, archives, programs, and what has no type.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let told = text_header(headers, CONTENT_TYPE.as_str())?;
        let essence = told.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "text/html" | "application/xhtml+xml" => Some(Self::Html),
            "text/plain" | "text/markdown" | "text/x-markdown" => Some(Self::Text),
            "application/pdf" => Some(Self::Pdf),
            _ => None,
        }
    }

    /// Whether the beginning of one is of use without its end.
    pub(super) const fn can_be_cut(self) -> bool {
        matches!(self, Self::Html | Self::Text)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_type_is_known_by_its_name_alone() {
        let kind =
            |text: &'static str| PageKind::of(&HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(text))]));
        assert_eq!(kind("Text/HTML; charset=utf-8"), Some(PageKind::Html));
        assert_eq!(kind("text/markdown"), Some(PageKind::Text));
        assert_eq!(kind("application/pdf"), Some(PageKind::Pdf));
        for other in ["image/png", "application/octet-stream", "text/html-but-not", "application/zip; text/html"] {
            assert_eq!(kind(other), None, "{other}");
        }
        assert_eq!(PageKind::of(&HeaderMap::new()), None);
    }
}
