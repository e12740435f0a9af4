//! A mean and how sure it is, as callers see it.

use serde::{Deserialize, Serialize};

use crate::ranking::{Interval, Summary};

/// A mean with its spread.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(poem_openapi::Object))]
pub struct Spread {
    /// The mean.
    pub mean: f64,
    /// The standard deviation of the values; null for a single one.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub sd: Option<f64>,
    /// How many values it is the mean of.
    pub n: usize,
    /// The 95 % interval of the mean; null for a single value. It is not cut to the range of the values.
    #[cfg_attr(feature = "openapi", oai(skip_serializing_if_is_none))]
    pub interval: Option<Interval>,
}

impl From<Summary> for Spread {
    fn from(summary: Summary) -> Self {
        Self { mean: summary.mean, sd: summary.sd, n: summary.n, interval: summary.interval }
    }
}
