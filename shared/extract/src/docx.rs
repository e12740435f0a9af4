//! The text of a DOCX: its main part only, paragraph by paragraph; text that was deleted and is only tracked is left out. Entities
//! that a file declares itself are never expanded.

use std::io::{Cursor, Read};

use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, Event};
use zip::ZipArchive;
use zip::result::ZipError;

use crate::bounded::Bounded;
use crate::words::Refusal;

const MAX_PARTS: usize = 10_000;
/// Bytes of the main part, unpacked. Markup is many times as long as the text.
const MAX_UNPACKED: u64 = 64 << 20;
const MAX_DEPTH: usize = 256;
const MAIN: &str = "word/document.xml";

pub(crate) fn read(bytes: &[u8], most: usize) -> Result<String, Refusal> {
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|error| of_zip(&error))?;
    if archive.len() > MAX_PARTS {
        return Err(Refusal::TooComplex);
    }
    let part = archive.by_name(MAIN).map_err(|error| of_zip(&error))?;
    let mut markup = Vec::new();
    // What the part says of its own size is not believed.
    part.take(MAX_UNPACKED + 1).read_to_end(&mut markup).map_err(|_| Refusal::Damaged)?;
    if markup.len() as u64 > MAX_UNPACKED {
        return Err(Refusal::TooLarge);
    }
    let markup = String::from_utf8(markup).map_err(|_| Refusal::Damaged)?;
    text_of(&markup, most)
}

fn of_zip(error: &ZipError) -> Refusal {
    match error {
        ZipError::UnsupportedArchive(reason) if *reason == ZipError::PASSWORD_REQUIRED => Refusal::Encrypted,
        _ => Refusal::Damaged,
    }
}

/// Walks over the markup once. Names are taken without their prefix, which a file may choose.
fn text_of(markup: &str, most: usize) -> Result<String, Refusal> {
    let mut reader = Reader::from_str(markup);
    let mut text = Bounded::new(most);
    let mut depth = 0_usize;
    let mut in_text = false;
    // A part that is there a second time for older programs.
    let mut fallback = 0_usize;
    loop {
        match reader.read_event().map_err(|_| Refusal::Damaged)? {
            Event::Start(start) => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(Refusal::TooComplex);
                }
                match start.local_name().as_ref() {
                    _ if fallback > 0 => fallback += 1,
                    "Fallback" => fallback = 1,
                    "t" => in_text = true,
                    _ => {}
                }
            }
            Event::End(_) if fallback > 0 => {
                depth = depth.saturating_sub(1);
                fallback -= 1;
            }
            Event::End(end) => {
                depth = depth.saturating_sub(1);
                match end.local_name().as_ref() {
                    "t" => in_text = false,
                    "p" | "tr" => text.push("\n")?,
                    "tc" => text.push("\t")?,
                    _ => {}
                }
            }
            Event::Empty(empty) if fallback == 0 => match empty.local_name().as_ref() {
                "tab" => text.push("\t")?,
                "br" | "cr" | "p" => text.push("\n")?,
                "noBreakHyphen" => text.push("-")?,
                _ => {}
            },
            Event::Text(part) if in_text && fallback == 0 => {
                text.push(&part.xml10_content())?;
            }
            Event::CData(part) if in_text && fallback == 0 => {
                text.push(&part.xml10_content())?;
            }
            Event::GeneralRef(reference) if in_text && fallback == 0 => push_reference(&mut text, &reference)?,
            Event::Eof => break,
            _ => {}
        }
    }
    // An element that never ends is a file that was cut.
    if depth == 0 { Ok(text.into_text()) } else { Err(Refusal::Damaged) }
}

/// A character by its number, or one of XML's own five entities; any other is left out.
fn push_reference(text: &mut Bounded, reference: &BytesRef<'_>) -> Result<(), Refusal> {
    if let Some(letter) = reference.resolve_char_ref().map_err(|_| Refusal::Damaged)? {
        return text.push(letter.encode_utf8(&mut [0; 4]));
    }
    resolve_predefined_entity(reference).map_or(Ok(()), |known| text.push(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(inside: &str) -> Result<String, Refusal> {
        text_of(&format!("<w:document><w:body>{inside}</w:body></w:document>"), 10_000)
    }

    #[test]
    fn paragraphs_tables_and_breaks_become_lines_and_tabs() {
        let text = body(
            "<w:p><w:r><w:t>a &lt;b&gt; &amp;amp; &#228;</w:t><w:tab/><w:t xml:space=\"preserve\"> c</w:t><w:br/><w:t>d</w:t></w:r></w:p>\
             <w:p/><w:tbl><w:tr><w:tc><w:p><w:r><w:t>1</w:t></w:r></w:p></w:tc><w:tc><w:p><w:r><w:t>2</w:t></w:r></w:p></w:tc></w:tr></w:tbl>",
        );
        assert_eq!(text.unwrap(), "a <b> &amp; ä\t c\nd\n\n1\n\t2\n\t\n");
    }

    #[test]
    fn deleted_text_instructions_and_repetitions_are_left_out() {
        let text = body(
            "<w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:r><w:instrText>PAGE</w:instrText></w:r>\
             <mc:AlternateContent><mc:Choice><w:t>once</w:t></mc:Choice><mc:Fallback><w:p><w:t>twice</w:t></w:p></mc:Fallback></mc:AlternateContent></w:p>",
        );
        assert_eq!(text.unwrap(), "once\n");
    }

    #[test]
    fn entities_of_the_file_are_not_expanded() {
        let markup = "<!DOCTYPE d [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\"><!ENTITY c SYSTEM \"file:///etc/passwd\">]>\
                      <d><t>x&b;&c;y</t></d>";
        assert_eq!(text_of(markup, 100).unwrap(), "xy");
    }

    #[test]
    fn what_is_too_deep_too_long_or_cut_is_refused() {
        assert_eq!(body(&"<a>".repeat(1_000)), Err(Refusal::TooComplex));
        assert_eq!(text_of("<t>12345</t>", 4), Err(Refusal::TooLong));
        assert_eq!(text_of("<a><t>1", 4), Err(Refusal::Damaged));
        assert_eq!(text_of("<a><t>1</b>", 4), Err(Refusal::Damaged));
    }
}
