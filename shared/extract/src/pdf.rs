//! The text of a PDF, page by page, in the order in which it stands there.

use pdf_extract::{ConvertToFmt, Document, OutputError, PlainTextOutput, output_doc};

use crate::bounded::Bounded;
use crate::words::Refusal;

const MAX_PAGES: usize = 2_000;

/// So that the library writes into a bounded text.
struct Into<'a>(&'a mut Bounded);

impl<'a> ConvertToFmt for Into<'a> {
    type Writer = &'a mut Bounded;

    fn convert(self) -> &'a mut Bounded {
        self.0
    }
}

pub(crate) fn read(bytes: &[u8], most: usize) -> Result<String, Refusal> {
    // The header may stand behind some other bytes (PDF 1.7, implementation note 13).
    if !bytes.windows(5).take(1_024).any(|window| window == b"%PDF-") {
        return Err(Refusal::Damaged);
    }
    let mut document = Document::load_mem(bytes).map_err(|_| Refusal::Damaged)?;
    // Many files are encrypted with an empty password, so that anyone may read and nobody print.
    if document.is_encrypted() && document.decrypt("").is_err() {
        return Err(Refusal::Encrypted);
    }
    if document.get_pages().len() > MAX_PAGES {
        return Err(Refusal::TooComplex);
    }
    let mut text = Bounded::new(most);
    let written: Result<(), OutputError> = output_doc(&document, &mut PlainTextOutput::new(Into(&mut text)));
    match written {
        Ok(()) => Ok(text.into_text()),
        Err(_) if text.is_full() => Err(Refusal::TooLong),
        Err(_) => Err(Refusal::Damaged),
    }
}
