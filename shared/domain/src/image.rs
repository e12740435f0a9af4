//! What an image is asked to be, in terms that every wire that makes images knows: three sizes, three qualities. Nothing here is
//! left to the provider (`auto`), so that what an image costs at most is known before it is made.

use serde::{Deserialize, Serialize};

use crate::providers::Wire;

/// The shape of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum ImageSize {
    /// 1024 × 1024 pixels, or about as many at 1:1.
    #[default]
    Square,
    /// 1024 × 1536 pixels, or about as many at 2:3.
    Portrait,
    /// 1536 × 1024 pixels, or about as many at 3:2.
    Landscape,
}

impl ImageSize {
    /// Width and height in pixels.
    pub const fn pixels(self) -> (u32, u32) {
        match self {
            Self::Square => (1_024, 1_024),
            Self::Portrait => (1_024, 1_536),
            Self::Landscape => (1_536, 1_024),
        }
    }

    /// Width and height in lowest terms.
    pub const fn aspect_ratio(self) -> (u32, u32) {
        match self {
            Self::Square => (1, 1),
            Self::Portrait => (2, 3),
            Self::Landscape => (3, 2),
        }
    }
}

/// How much work the model puts into an image, where it can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Enum), oai(rename_all = "snake_case"))]
pub enum ImageQuality {
    /// Quick and cheap.
    Low,
    /// In between.
    #[default]
    Medium,
    /// Slow and dear.
    High,
}

impl ImageQuality {
    /// The word that stands in JSON, and that OpenAI takes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// What an image is asked to be, with nothing left open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ImageSpec {
    /// Its shape.
    pub size: ImageSize,
    /// How much work goes into it.
    pub quality: ImageQuality,
}

impl ImageSpec {
    /// More output tokens than one such image takes, by the wire that makes it. OpenAI cannot be told a limit: its published
    /// numbers go, by quality, up to 408, 1,756 and 7,024 tokens (guide "Image generation", cost table, and the calculator of
    /// gpt-image-2, read in November 2026). Gemini is told this one as its limit: an image takes up to 2,520 tokens there (4K,
    /// which is not asked for), and what it thinks before comes on top (ai.google.dev/gemini-api/docs/pricing, November 2026).
    pub const fn output_tokens_at_most(self, wire: Wire) -> u32 {
        match (wire, self.quality) {
            (Wire::OpenaiImages, ImageQuality::Low) => 512,
            (Wire::OpenaiImages, ImageQuality::Medium) => 2_048,
            _ => 8_192,
        }
    }

    /// Fewer output tokens than one such image takes: of all models that are priced, the least published number of the quality.
    pub const fn output_tokens_at_least(self) -> u64 {
        match self.quality {
            ImageQuality::Low => 158,
            ImageQuality::Medium => 1_056,
            ImageQuality::High => 1_120,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_has_the_ratio_that_it_says() {
        for size in [ImageSize::Square, ImageSize::Portrait, ImageSize::Landscape] {
            let ((width, height), (across, down)) = (size.pixels(), size.aspect_ratio());
            assert_eq!(width * down, height * across, "{size:?}");
        }
        assert_eq!(serde_json::to_value(ImageQuality::High).unwrap(), ImageQuality::High.as_str());
    }

    #[test]
    fn no_image_takes_fewer_tokens_than_the_least_or_more_than_the_most() {
        // OpenAI's table of gpt-image-1 and its successors: square, portrait, landscape; and gpt-image-2, square.
        let published = [
            (ImageQuality::Low, [272, 408, 400, 196]),
            (ImageQuality::Medium, [1_056, 1_584, 1_568, 1_756]),
            (ImageQuality::High, [4_160, 6_240, 6_208, 7_024]),
        ];
        for (quality, tokens) in published {
            let spec = ImageSpec { quality, ..ImageSpec::default() };
            for tokens in tokens {
                assert!(
                    (spec.output_tokens_at_least()..=u64::from(spec.output_tokens_at_most(Wire::OpenaiImages)))
                        .contains(&tokens)
                );
            }
        }
    }
}
