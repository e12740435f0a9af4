//! The text of PDF, DOCX and HTML files. Called by the api's command `extract`, in a process of its own: such a file may make a
//! parser loop, eat memory or overflow its stack, and then only that process ends. It knows no HTTP, no store and no secret.
//!
//! - [`FileType`], [`Refusal`]: what goes in and what is wrong with it, as words for the command line
//! - [`extract`]: the text
//! - [`confine`]: takes from the process what a parser does not need

mod bounded;
mod confine;
mod docx;
mod html;
mod pdf;
mod words;

pub use confine::confine;
pub use words::{FileType, Refusal};

/// The text of a file, of at most `most` bytes.
///
/// # Errors
/// What is wrong with the file. A hostile one may also end the process: call this where that does no harm.
pub fn extract(file_type: FileType, bytes: &[u8], most: usize) -> Result<String, Refusal> {
    let text = match file_type {
        FileType::Pdf => pdf::read(bytes, most),
        FileType::Docx => docx::read(bytes, most),
        FileType::Html => html::read(bytes, most),
    }?;
    let text = tidy(&text);
    if text.trim().is_empty() { Err(Refusal::NoText) } else { Ok(text) }
}

/// Layout leaves blanks at the ends of lines and many empty lines: none of the former stay, and of the latter one.
fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    let mut empty = 0;
    for line in text.lines().map(str::trim_end) {
        empty = if line.is_empty() { empty + 1 } else { 0 };
        if empty < 2 && !(tidied.is_empty() && line.is_empty()) {
            tidied.push_str(line);
            tidied.push('\n');
        }
    }
    tidied
}
