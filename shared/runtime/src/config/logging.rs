//! What is logged and how: the two settings of logs, parsed.

use tracing_subscriber::EnvFilter;

/// How a line of the log looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// For people.
    Text,
}

/// What is logged: a level, and exceptions for parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLevel(String);

impl LogLevel {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match EnvFilter::try_new(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => {
                Err("is none of error, warn, info, debug, trace, nor a list such as info,acm2_outbound=debug"
                    .to_owned())
            }
        }
    }

    pub(crate) fn filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

impl LogFormat {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "text" => Ok(Self::Text),
            _ => Err("is neither json nor text".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_may_have_exceptions_and_must_be_one() {
        assert!(LogLevel::parse("info,acm2_outbound=debug").is_ok());
        assert!(LogLevel::parse("acm2_outbound=loud").is_err());
    }
}
