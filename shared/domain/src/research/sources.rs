//! Sources by number, and the citations that name them: `[1]`, `[1][2]`, `[1, 2]`, `[1-3]`. A number that no source has becomes
//! `[?]`, so that every citation that is left leads to a page that was read.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::judging::Defect;
use crate::web::one_line;

/// What is cited is numbered by at most three digits: larger numbers in brackets are years and the like.
const HIGHEST_NUMBER: u32 = 999;
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

struct Checked {
    text: String,
    cited: BTreeSet<u32>,
}

fn check(text: &str, allowed: &BTreeSet<u32>) -> Checked {
    let mut checked = Checked { text: String::with_capacity(text.len()), cited: BTreeSet::new() };
    let mut rest = text;
    while let Some(start) = rest.find('[') {
        checked.text.push_str(&rest[..start]);
        let Some((numbers, after)) = citation(&rest[start..]) else {
            checked.text.push('[');
            rest = &rest[start + 1..];
            continue;
        };
        for number in numbers {
            if allowed.contains(&number) {
                checked.cited.insert(number);
                // Writing to a text never fails.
                let _ = write!(checked.text, "[{number}]");
            } else {
                checked.text.push_str("[?]");
            }
        }
        // A link that a model made of a citation leads where it likes.
        rest = without_link(after);
    }
    checked.text.push_str(rest);
    checked
}

/// The numbers of the citation that a text begins with, and what follows it.
fn citation(text: &str) -> Option<(Vec<u32>, &str)> {
    let end = text.find(']')?;
    let inside = text.get(1..end).filter(|inside| inside.len() <= 100)?;
    let mut numbers = Vec::new();
    for part in inside.split([',', ';']) {
        let mut ends = part.splitn(2, ['-', '–']).map(|digits| number(digits.trim()));
        let first = ends.next()??;
        let last = match ends.next() {
            Some(last) => last.filter(|last| (first..first + 50).contains(last))?,
            None => first,
        };
        numbers.extend(first..=last);
    }
    Some((numbers, &text[end + 1..]))
}

fn number(digits: &str) -> Option<u32> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|number| plain && (1..=HIGHEST_NUMBER).contains(number))
}

fn without_link(text: &str) -> &str {
    if !text.starts_with('(') {
        return text;
    }
    let line = text.lines().next().unwrap_or_default();
    line.find(')').map_or(text, |end| &text[end + 1..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn every_citation_that_is_left_is_of_a_source(text in "[\\[\\]0-9,; a()\\-]{0,60}", count in 0_u32..12) {
            let allowed: Vec<u32> = (1..=count).collect();
            let kept = only(&text, &allowed);
            prop_assert_eq!(&only(&kept, &allowed), &kept, "what was checked stays as it is");
            let again = check(&kept, &(1..=HIGHEST_NUMBER).collect());
            prop_assert!(again.cited.iter().all(|number| *number <= count), "{}", kept);
        }

        #[test]
        fn any_text_is_borne(text in "[\\s\\S]{0,200}") {
            only(&text, &[1, 2]);
        }
    }
}
