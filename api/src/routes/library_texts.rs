//! Checks of texts that the library's resources share: descriptions and bodies.

use acm2_domain::error::FieldError;

const MAX_DESCRIPTION: usize = 2_000;

/// A description: it may be empty, and has several lines if need be.
pub(super) fn check_description(errors: &mut Vec<FieldError>, pointer: &str, description: &str) {
    if description.chars().count() > MAX_DESCRIPTION || description.contains('\0') {
        let detail = format!("must have at most {MAX_DESCRIPTION} characters, none of them U+0000");
        errors.push(FieldError::new(pointer, detail));
    }
}

/// What is wrong with a text that must say something, if anything.
pub(super) fn no_text(text: &str, most: usize) -> Option<String> {
    let wrong = text.trim().is_empty() || text.len() > most || text.contains('\0');
    wrong.then(|| format!("must have 1 to {most} bytes, not only blanks, and no U+0000"))
}
