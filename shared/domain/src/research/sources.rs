//! Sources by number. A report whose citations were checked ends with the list of those that it cites.

use std::collections::BTreeSet;

use super::citations::{Checked, check};
use crate::judging::Defect;
use crate::web::one_line;

const MOST_TITLE_BYTES: usize = 200;

/// A page that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Counted from 1.
    pub number: u32,
    /// Where it stands.
    pub url: String,
    /// What the search calls it; may be empty.
    pub title: String,
}

/// All pages that were read, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// The number of a page: a new one, or the one that it has.
    pub fn add(&mut self, url: &str, title: &str) -> u32 {
        if let Some(known) = self.0.iter().find(|source| source.url == url) {
            return known.number;
        }
        let number = u32::try_from(self.0.len() + 1).unwrap_or(u32::MAX);
        self.0.push(Source { number, url: url.to_owned(), title: title.to_owned() });
        number
    }

    /// The numbers that can be cited.
    pub fn numbers(&self) -> Vec<u32> {
        self.0.iter().map(|source| source.number).collect()
    }

    /// Whether a report cites at least one of the sources of these numbers.
    ///
    /// # Errors
    /// It does not.
    pub(crate) fn check(report: &str, numbers: &[u32]) -> Result<(), Defect> {
        let cited = check(report, &numbers.iter().copied().collect()).cited;
        if cited.is_empty() { Err(uncited()) } else { Ok(()) }
    }

    /// A report whose every citation leads to a source, with the list of those that it cites.
    ///
    /// # Errors
    /// The report cites no source.
    pub fn finish(&self, report: &str) -> Result<String, Defect> {
        let all: BTreeSet<u32> = self.numbers().into_iter().collect();
        let Checked { text, cited } = check(report, &all);
        if cited.is_empty() {
            return Err(uncited());
        }
        let list = self.0.iter().filter(|source| cited.contains(&source.number)).map(line);
        Ok(format!("{}\n\n## Sources\n\n{}", text.trim_end(), list.collect::<String>()))
    }
}

fn uncited() -> Defect {
    Defect("it cites none of the sources by its number in square brackets, such as [1]".to_owned())
}

/// Notes in which only these numbers are cited.
pub(crate) fn only(text: &str, numbers: &[u32]) -> String {
    check(text, &numbers.iter().copied().collect()).text
}

/// A line of the list: nothing in it is markup but the link.
fn line(source: &Source) -> String {
    let title: String = source.title.chars().filter(|letter| !"[]<>`*_\\|".contains(*letter)).collect();
    let title = one_line(&title, MOST_TITLE_BYTES);
    let title = if title.is_empty() { String::new() } else { format!("{title}: ") };
    format!("- [{}] {title}<{}>\n", source.number, source.url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(count: u32) -> Sources {
        let mut sources = Sources::default();
        for number in 1..=count {
            sources.add(&format!("https://a.example/{number}"), &format!("Page {number}"));
        }
        sources
    }

    #[test]
    fn a_page_has_one_number_however_often_it_was_found() {
        let mut sources = sources(2);
        assert_eq!(sources.add("https://a.example/1", "other"), 1);
        assert_eq!(sources.add("https://b.example/", "new"), 3);
        assert_eq!(sources.numbers(), [1, 2, 3]);
    }

    #[test]
    fn only_what_is_cited_is_listed_and_what_is_no_source_is_told() {
        let report = "Cats purr [1], they do[2, 9] [3–4] at 25 Hz [2024] in `a[0]`. [see below] [x](y) [3](https://evil.example) ok.\n";
        let finished = sources(3).finish(report).unwrap();
        assert_eq!(
            finished,
            "Cats purr [1], they do[2][?] [3][?] at 25 Hz [2024] in `a[0]`. [see below] [x](y) [3] ok.\n\n## Sources\n\n\
             - [1] Page 1: <https://a.example/1>\n- [2] Page 2: <https://a.example/2>\n- [3] Page 3: <https://a.example/3>\n"
        );
        assert!(!sources(3).finish("One [1].").unwrap().contains("a.example/2"));
    }

    #[test]
    fn a_report_that_cites_nothing_is_none() {
        for report in ["", "no citation", "[4]", "[0]", "[1"] {
            assert!(sources(3).finish(report).is_err(), "{report}");
        }
    }

    #[test]
    fn a_title_is_no_markup() {
        let mut sources = Sources::default();
        sources.add("https://a.example/", "A\n[1](javascript:x) <script> `code`");
        let finished = sources.finish("[1]").unwrap();
        assert!(finished.ends_with("- [1] A 1(javascript:x) script code: <https://a.example/>\n"), "{finished}");
    }
}
