//! The only place that prints: tables and progress on standard output.

/// Prints a text and a line feed.
#[expect(clippy::print_stdout, reason = "the table is what this program is for")]
pub(crate) fn line(text: &str) {
    println!("{text}");
}
