//! Money: USD as an exact number of picodollars (10⁻¹² USD) in storage, decimal strings in JSON.
//!
//! A price of 0.005 USD per million tokens is 5,000 picodollars per token, so that every price in use is a whole number.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Sub};
use std::str::FromStr;

use rust_decimal::Decimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An amount of US dollars, exact to 10⁻¹² USD; at most about 9.2 million USD.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Usd(i64);

const PICO_DIGITS: u32 = 12;

impl Usd {
    /// Nothing.
    pub const ZERO: Self = Self(0);
    /// The most that can be said.
    pub const MAX: Self = Self(i64::MAX);

    /// From storage.
    pub const fn from_pico(pico: i64) -> Self {
        Self(pico)
    }

    /// To storage.
    pub const fn pico(self) -> i64 {
        self.0
    }

    /// The amount as a decimal number of USD.
    pub fn decimal(self) -> Decimal {
        Decimal::new(self.0, PICO_DIGITS).normalize()
    }

    /// Rounds up to a whole picodollar; `None` where the amount is too large or negative.
    pub fn from_decimal(usd: Decimal) -> Option<Self> {
        if usd.is_sign_negative() && !usd.is_zero() {
            return None;
        }
        let pico = usd.checked_mul(Decimal::from(1_000_000_000_000_i64))?.ceil();
        i64::try_from(pico).ok().map(Self)
    }

    /// `tokens` at `per_million` USD each million; saturates.
    pub fn of_tokens(tokens: u64, per_million: Decimal) -> Self {
        let total = per_million.checked_mul(Decimal::from(tokens)).map(|usd| usd / Decimal::from(1_000_000));
        total.and_then(Self::from_decimal).unwrap_or(Self::MAX)
    }

    /// Like `+`, which saturates too, for use in folds.
    #[must_use]
    pub const fn saturating_add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Add for Usd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        self.saturating_add(other)
    }
}

impl AddAssign for Usd {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Usd {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl Sum for Usd {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::ZERO, Self::saturating_add)
    }
}

impl fmt::Display for Usd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.decimal(), f)
    }
}

/// A text that is not a sum of money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an amount in USD such as \"1.50\"")]
pub struct ParseUsdError;

impl FromStr for Usd {
    type Err = ParseUsdError;
    fn from_str(text: &str) -> Result<Self, ParseUsdError> {
        Decimal::from_str_exact(text).ok().and_then(Self::from_decimal).ok_or(ParseUsdError)
    }
}

impl Serialize for Usd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Usd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(feature = "openapi")]
crate::openapi::string_schema!(Usd, "usd", "0.0123");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn tokens_are_charged_exactly() {
        let per_million = Decimal::from_str_exact("0.15").unwrap();
        assert_eq!(Usd::of_tokens(1_234, per_million).to_string(), "0.0001851");
    }

    #[test]
    fn a_negative_amount_is_refused() {
        assert_eq!("-1".parse::<Usd>(), Err(ParseUsdError));
        assert_eq!("1e3".parse::<Usd>(), Err(ParseUsdError));
    }

    proptest! {
        #[test]
        fn any_amount_survives_json(pico in 0..i64::MAX) {
            let amount = Usd::from_pico(pico);
            let json = serde_json::to_string(&amount).unwrap();
            prop_assert_eq!(serde_json::from_str::<Usd>(&json).unwrap(), amount);
        }
    }
}
