//! What goes in and what is wrong with it, in words that can stand on a command line and in an exit code.

use std::str::FromStr;

/// A type of file whose text can be extracted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileType {
    /// PDF.
    Pdf,
    /// Word's format since 2007 (ECMA-376).
    Docx,
    /// HTML.
    Html,
}

impl FileType {
    /// All types.
    pub const ALL: [Self; 3] = [Self::Pdf, Self::Docx, Self::Html];

    /// As a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pdf => "pdf",
            Self::Docx => "docx",
            Self::Html => "html",
        }
    }
}

impl FromStr for FileType {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, &'static str> {
        Self::ALL.into_iter().find(|known| known.as_str() == word).ok_or("must be one of pdf, docx, html")
    }
}

/// What is wrong with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// It is not what its type says, or it is damaged.
    #[error("it is damaged, or it is not of the type that it is said to be")]
    Damaged,
    /// It asks for a password.
    #[error("it is protected by a password")]
    Encrypted,
    /// It has more pages, parts or levels than are read.
    #[error("it has too many pages, parts or levels")]
    TooComplex,
    /// It holds more than is unpacked.
    #[error("it holds too much when it is unpacked")]
    TooLarge,
    /// Its text is longer than asked for.
    #[error("its text is longer than a document may be")]
    TooLong,
    /// There is no text in it.
    #[error("there is no text in it; a scanned page is a picture")]
    NoText,
}

impl Refusal {
    const ALL: [Self; 6] =
        [Self::Damaged, Self::Encrypted, Self::TooComplex, Self::TooLarge, Self::TooLong, Self::NoText];

    /// As the exit code of a process; apart from those that shells, panics and signals give.
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Damaged => 10,
            Self::Encrypted => 11,
            Self::TooComplex => 12,
            Self::TooLarge => 13,
            Self::TooLong => 14,
            Self::NoText => 15,
        }
    }

    /// The refusal that an exit code says, if it says one.
    pub fn of_exit_code(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|refusal| i32::from(refusal.exit_code()) == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_codes_read_back() {
        for file_type in FileType::ALL {
            assert_eq!(file_type.as_str().parse(), Ok(file_type));
        }
        for refusal in Refusal::ALL {
            assert_eq!(Refusal::of_exit_code(refusal.exit_code().into()), Some(refusal));
        }
        for other in [0, 1, 2, 101, 134, 137, 139] {
            assert_eq!(Refusal::of_exit_code(other), None);
        }
    }
}
