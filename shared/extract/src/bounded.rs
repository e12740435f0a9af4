//! A text that does not grow beyond a limit.

use std::fmt;

use crate::words::Refusal;

/// A text of at most so many bytes.
#[derive(Debug)]
pub(crate) struct Bounded {
    text: String,
    most: usize,
    is_full: bool,
}

impl Bounded {
    /// An empty one.
    pub(crate) fn new(most: usize) -> Self {
        Self { text: String::new(), most, is_full: false }
    }

    /// Adds text, where it fits.
    pub(crate) fn push(&mut self, text: &str) -> Result<(), Refusal> {
        if self.text.len() + text.len() > self.most {
            self.is_full = true;
            return Err(Refusal::TooLong);
        }
        self.text.push_str(text);
        Ok(())
    }

    /// Whether something did not fit.
    pub(crate) fn is_full(&self) -> bool {
        self.is_full
    }

    /// The text.
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text).map_err(|_| fmt::Error)
    }
}
