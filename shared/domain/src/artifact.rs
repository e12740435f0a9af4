//! A file that a provider made: its bytes, and what they are by what stands in them. What a provider says that they are is never
//! believed: a page of HTML under the name of an image would be shown by a browser.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The most bytes of an artifact, 8 MiB: the largest image that is asked for has 1,572,864 pixels, which take 6 MiB where
/// nothing is compressed.
pub const MOST_ARTIFACT_BYTES: usize = 8 * 1_024 * 1_024;

/// What sort of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum))]
pub enum ArtifactType {
    /// A PNG image.
    #[serde(rename = "image/png")]
    #[cfg_attr(feature = "openapi", oai(rename = "image/png"))]
    Png,
    /// A JPEG image.
    #[serde(rename = "image/jpeg")]
    #[cfg_attr(feature = "openapi", oai(rename = "image/jpeg"))]
    Jpeg,
    /// A WebP image.
    #[serde(rename = "image/webp")]
    #[cfg_attr(feature = "openapi", oai(rename = "image/webp"))]
    Webp,
}

impl ArtifactType {
    /// By the first bytes; `None` where they begin no image that is known here. (PNG, third edition, 5.2 and 11.2.1; JPEG, ITU-T
    /// T.81, B.1.1.3; WebP, RFC 9649, 2.4.)
    pub fn of(data: &[u8]) -> Option<Self> {
        let is_png = data.starts_with(b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR");
        let is_jpeg = data.starts_with(b"\xff\xd8\xff");
        let is_webp = data.starts_with(b"RIFF") && data.get(8..15) == Some(b"WEBPVP8".as_slice());
        match (is_png, is_jpeg, is_webp) {
            (true, ..) => Some(Self::Png),
            (_, true, _) => Some(Self::Jpeg),
            (_, _, true) => Some(Self::Webp),
            _ => None,
        }
    }

    /// As a `Content-Type` says it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }

    /// What the name of such a file ends with.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::Webp => "webp",
        }
    }
}

/// Bytes that cannot be an artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoArtifact {
    /// More than [`MOST_ARTIFACT_BYTES`].
    #[error("is larger than {MOST_ARTIFACT_BYTES} bytes")]
    TooLarge,
    /// Neither of the types.
    #[error("is neither PNG nor JPEG nor WebP, whatever it says")]
    UnknownType,
}

/// A file that a provider made. Cloning it copies no bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Artifact {
    content_type: ArtifactType,
    data: Arc<[u8]>,
}

impl Artifact {
    /// An artifact of these bytes.
    ///
    /// # Errors
    /// Where they are too many, or no image of a known type.
    pub fn new(data: impl Into<Arc<[u8]>>) -> Result<Self, NoArtifact> {
        let data = data.into();
        if data.len() > MOST_ARTIFACT_BYTES {
            return Err(NoArtifact::TooLarge);
        }
        let content_type = ArtifactType::of(&data).ok_or(NoArtifact::UnknownType)?;
        Ok(Self { content_type, data })
    }

    /// What it is.
    pub const fn content_type(&self) -> ArtifactType {
        self.content_type
    }

    /// Its bytes.
    pub const fn data(&self) -> &Arc<[u8]> {
        &self.data
    }
}

/// Without the bytes.
impl fmt::Debug for Artifact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Artifact")
            .field("content_type", &self.content_type)
            .field("bytes", &self.data.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x00\x01";

    #[test]
    fn a_type_is_that_of_the_bytes() {
        for (data, content_type) in [
            (PNG, Some(ArtifactType::Png)),
            (b"\xff\xd8\xff\xe0\x00\x10JFIF", Some(ArtifactType::Jpeg)),
            (b"RIFF\x24\x00\x00\x00WEBPVP8 ", Some(ArtifactType::Webp)),
            (b"RIFF\x24\x00\x00\x00WAVEfmt ", None),
            (b"\x89PNG\r\n\x1a\n<script>", None),
            (b"<svg xmlns=\"http://www.w3.org/2000/svg\">", None),
            (b"<!DOCTYPE html>", None),
            (b"GIF89a", None),
            (b"", None),
        ] {
            assert_eq!(ArtifactType::of(data), content_type, "{data:?}");
        }
    }

    #[test]
    fn what_is_too_large_or_unknown_is_no_artifact() {
        let mut data = PNG.to_vec();
        data.resize(MOST_ARTIFACT_BYTES, 0);
        assert_eq!(Artifact::new(data.clone()).unwrap().data().len(), MOST_ARTIFACT_BYTES);
        data.push(0);
        assert_eq!(Artifact::new(data), Err(NoArtifact::TooLarge));
        assert_eq!(Artifact::new(*b"<html>"), Err(NoArtifact::UnknownType));
        for content_type in [ArtifactType::Png, ArtifactType::Jpeg, ArtifactType::Webp] {
            assert_eq!(serde_json::to_value(content_type).unwrap(), content_type.as_str());
        }
    }

    #[test]
    fn the_bytes_are_not_in_the_debug_text() {
        let text = format!("{:?}", Artifact::new(PNG).unwrap());
        assert_eq!(text, "Artifact { content_type: Png, bytes: 20, .. }");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(data: Vec<u8>) {
            let known = ArtifactType::of(&data).is_some();
            prop_assert_eq!(Artifact::new(data).is_ok(), known);
        }
    }
}
