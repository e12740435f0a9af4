//! One text of the sections of several Markdown texts: for each heading the section of the best text that has one.

use std::collections::BTreeMap;

/// Puts the texts' sections together; the best text comes first. No model is asked.
///
/// A text is cut at its headings (`#` lines outside of code fences) of the highest level that it has more than once, else of its
/// highest level. Sections with the same heading, whatever its case, numbers and punctuation, are the same section: it is taken from
/// the first text in which it says something. The order is that of the first text; what only a later text has comes behind what it
/// follows there. What stands before the first heading is taken from the first text alone. Texts without headings have no
/// sections and are left aside; if none has any, the first text is the whole.
pub fn assemble(texts: &[&str]) -> String {
    let cut: Vec<Parts<'_>> =
        texts.iter().map(|text| Parts::of(text)).filter(|parts| !parts.sections.is_empty()).collect();
    let Some(first) = cut.first() else { return texts.first().copied().unwrap_or_default().to_owned() };
    // A chain, so that a text of nothing but headings costs no more than it is long: which link stands for a heading, and for each
    // link its section and the link behind it. The first one stands for what is before all sections.
    let mut links: BTreeMap<&Key, usize> = BTreeMap::new();
    let mut chain: Vec<(Option<&Section<'_>>, Option<usize>)> = vec![(None, None)];
    for parts in &cut {
        let mut behind = 0;
        for section in &parts.sections {
            let link = *links.entry(&section.key).or_insert(chain.len());
            if link == chain.len() {
                chain.push((Some(section), chain[behind].1));
                chain[behind].1 = Some(link);
            } else if !section.is_empty() && chain[link].0.is_some_and(Section::is_empty) {
                chain[link].0 = Some(section);
            }
            behind = link;
        }
    }
    let sections = std::iter::successors(chain[0].1, |link| chain[*link].1).filter_map(|link| chain[link].0);
    let mut whole = first.lead.to_owned();
    for section in sections {
        if !whole.is_empty() && !whole.ends_with('\n') {
            whole.push_str("\n\n");
        }
        whole.push_str(section.text);
    }
    whole
}

/// What a section is known by: its heading without what does not tell sections apart, and which one of that heading it is.
type Key = (String, usize);

struct Section<'a> {
    key: Key,
    /// With its heading.
    text: &'a str,
}

impl Section<'_> {
    /// Whether there is nothing below its heading.
    fn is_empty(&self) -> bool {
        self.text.split_once('\n').is_none_or(|(_, below)| below.trim().is_empty())
    }
}

/// A text, cut at its headings.
struct Parts<'a> {
    lead: &'a str,
    sections: Vec<Section<'a>>,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Self {
        let headings = headings(text);
        let times = |level: usize| headings.iter().filter(|heading| heading.level == level).count();
        let level = (1..=6).find(|level| times(*level) > 1).or_else(|| (1..=6).find(|level| times(*level) > 0));
        let Some(level) = level else { return Self { lead: text, sections: Vec::new() } };
        let begins = headings.iter().position(|heading| heading.level == level).unwrap_or_default();
        let cuts: Vec<&Heading<'_>> = headings[begins..].iter().filter(|heading| heading.level <= level).collect();
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut sections = Vec::with_capacity(cuts.len());
        for (index, heading) in cuts.iter().enumerate() {
            let end = cuts.get(index + 1).map_or(text.len(), |next| next.at);
            let name = bare(heading.title);
            let time = seen.entry(name.clone()).or_default();
            sections.push(Section { key: (name, *time), text: &text[heading.at..end] });
            *time += 1;
        }
        Self { lead: &text[..cuts.first().map_or(0, |heading| heading.at)], sections }
    }
}

struct Heading<'a> {
    /// Where its line begins, in bytes.
    at: usize,
    level: usize,
    title: &'a str,
}

/// The headings outside of code fences.
fn headings(text: &str) -> Vec<Heading<'_>> {
    let (mut headings, mut at) = (Vec::new(), 0);
    let mut fence: Option<(char, usize)> = None;
    for line in text.split_inclusive('\n') {
        let bare = line.trim_start_matches(' ').trim_end();
        // Four spaces make code of a line.
        let is_text = line.len() - line.trim_start_matches(' ').len() < 4;
        let marks = |mark: char| bare.chars().take_while(|letter| *letter == mark).count();
        match fence {
            Some((mark, count)) if is_text && marks(mark) >= count && bare.chars().all(|letter| letter == mark) => {
                fence = None;
            }
            None if is_text => {
                let level = marks('#');
                let title = &bare[level..];
                if (1..=6).contains(&level) && (title.is_empty() || title.starts_with([' ', '\t'])) {
                    headings.push(Heading { at, level, title });
                }
                fence = ['`', '~'].into_iter().map(|mark| (mark, marks(mark))).find(|(_, count)| *count >= 3);
            }
            Some(_) | None => {}
        }
        at += line.len();
    }
    headings
}

/// A title without case, punctuation, and a number before it.
fn bare(title: &str) -> String {
    let words: Vec<String> = title
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let numbers = words.iter().take_while(|word| word.chars().all(|letter| letter.is_ascii_digit())).count();
    // A title that is nothing but a number is known by it.
    words[if numbers < words.len() { numbers } else { 0 }..].join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_section_comes_from_the_best_text_that_has_it() {
        let best = "# Title\nlead\n## 1. Causes\nbest causes\n## Effects\n\n## End\nbest end\n";
        let other = "## Effects!\nother effects\n## Costs\nother costs\n## causes\nother causes";
        let expected = "# Title\nlead\n## 1. Causes\nbest causes\n## Effects!\nother effects\n## Costs\nother costs\n\
            ## End\nbest end\n";
        assert_eq!(assemble(&[best, other]), expected);
    }

    #[test]
    fn texts_without_headings_are_left_aside_and_code_has_none() {
        let with = "## A\na\n```sh\n# no heading\n```\n    ## no heading\n## B\nb";
        assert_eq!(assemble(&["plain", with]), with);
        assert_eq!(assemble(&["plain", "other"]), "plain");
        assert_eq!(assemble(&[]), "");
        let titles: Vec<&str> = headings(with).iter().map(|heading| heading.title.trim()).collect();
        assert_eq!(titles, ["A", "B"]);
    }

    #[test]
    fn equal_headings_of_one_text_are_sections_of_their_own() {
        let best = "## Step\none\n## Step\ntwo\n";
        assert_eq!(
            assemble(&[best, "## Step\nx\n## Step\ny\n## Step\nthree\n"]),
            "## Step\none\n## Step\ntwo\n## Step\nthree\n"
        );
    }

    #[test]
    fn a_text_of_nothing_but_headings_is_put_together_in_time() {
        let many = |from: usize| {
            let lines: Vec<String> = (from..from + 100_000).map(|number| format!("# x{number}\n")).collect();
            lines.concat()
        };
        let whole = assemble(&[&many(0), &many(50_000)]);
        assert_eq!(whole.lines().count(), 150_000);
    }

    proptest! {
        #[test]
        fn one_text_is_itself(text in "(#{0,3} ?[ab]?\n|```\n|[a-c é]{0,5}\n?){0,12}") {
            prop_assert_eq!(assemble(&[&text]), text);
        }

        #[test]
        fn any_texts_are_borne(one in "[\\s\\S]{0,100}", other in "(#{0,7} ?[ab]{0,2}\n|~~~\n){0,12}") {
            let whole = assemble(&[&one, &other]);
            prop_assert!(whole.len() <= one.len() + other.len() + 2 * (one.len() + other.len()));
        }
    }
}
