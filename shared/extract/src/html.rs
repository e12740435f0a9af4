//! The text of an HTML page, without scripts, styles and addresses of links.

use html2text::config;

use crate::words::Refusal;

/// Lines are broken there; wide, so that few sentences are.
const WIDTH: usize = 200;

pub(crate) fn read(bytes: &[u8], most: usize) -> Result<String, Refusal> {
    std::str::from_utf8(bytes).map_err(|_| Refusal::Damaged)?;
    let rendered = config::plain_no_decorate().no_table_borders().string_from_read(bytes, WIDTH);
    let text = rendered.map_err(|_| Refusal::TooComplex)?;
    if text.len() > most { Err(Refusal::TooLong) } else { Ok(text) }
}
