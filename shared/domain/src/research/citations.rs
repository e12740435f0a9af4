//! Citations in a text that a model wrote: `[1]`, `[1][2]`, `[1, 2]`, `[1-3]`, `[^1]`. A number that no source has becomes `[?]`.
//! Where a number leads is said by the list of sources alone, which is ours: whatever else in Markdown makes a link of one is undone,
//! so that no citation leads to a page that was not read. Called by `sources`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// What is cited is numbered by at most three digits: larger numbers in brackets are years and the like.
const HIGHEST_NUMBER: u32 = 999;
/// The number of no source: of a citation that was found to lead nowhere before.
const NO_SOURCE: u32 = 0;
/// As many numbers at most stand in one pair of brackets.
const MOST_IN_BRACKETS: u32 = 50;

/// A text with its citations.
pub(super) struct Checked {
    /// The text.
    pub(super) text: String,
    /// The sources that it cites.
    pub(super) cited: BTreeSet<u32>,
}

/// The text, in which only these numbers are cited.
pub(super) fn check(text: &str, allowed: &BTreeSet<u32>) -> Checked {
    let mut checked = Checked { text: String::with_capacity(text.len()), cited: BTreeSet::new() };
    let mut brackets = Brackets::default();
    let mut rest = text;
    while let Some(at) = rest.find(['[', ']', '<', '\n']) {
        let (before, found) = rest.split_at(at);
        checked.text.push_str(before);
        if let Some((numbers, after)) = citation(found) {
            let may_define = begins_line(&checked.text);
            checked.write(&numbers, allowed);
            brackets.cite();
            rest = checked.cut_off(without_targets(after), may_define);
            continue;
        }
        // What was looked for is one byte.
        let (mark, after) = found.split_at(1);
        rest = after;
        checked.text.push_str(if mark == "<" && is_anchor(after) { "&lt;" } else { mark });
        match mark {
            "[" => brackets.open(),
            "]" if brackets.close() => rest = checked.cut_off(rest, true),
            "\n" if is_blank(rest) => brackets = Brackets::default(),
            _ => {}
        }
    }
    checked.text.push_str(rest);
    checked
}

impl Checked {
    /// Cuts what was written off from what follows, where that would make a link of it; what then follows.
    fn cut_off<'a>(&mut self, rest: &'a str, may_define: bool) -> &'a str {
        if rest.starts_with('(') || may_define && rest.starts_with(':') {
            self.text.push('\\');
        }
        // Some readers take a bracket behind a backslash for the label of a link all the same.
        let label = rest.strip_prefix('\\').unwrap_or(rest);
        match label.strip_prefix('[') {
            Some(label_rest) if citation(label).is_none() => {
                self.text.push_str("&#91;");
                label_rest
            }
            _ => rest,
        }
    }

    fn write(&mut self, numbers: &[u32], allowed: &BTreeSet<u32>) {
        for number in numbers {
            if allowed.contains(number) {
                self.cited.insert(*number);
                // Writing to a text never fails.
                let _ = write!(self.text, "[{number}]");
            } else {
                self.text.push_str("[?]");
            }
        }
    }
}

/// The brackets of a paragraph that are open, to know whether a citation stands inside of a link. Brackets that are none to Markdown,
/// such as those in code, count too; so in doubt a citation is taken to stand inside.
#[derive(Debug, Default)]
struct Brackets {
    open: usize,
    /// As many of them, the outermost, were open at the last citation.
    around_citation: usize,
    has_citation: bool,
}

impl Brackets {
    fn open(&mut self) {
        self.open += 1;
    }

    fn cite(&mut self) {
        self.around_citation = self.open;
        self.has_citation = true;
    }

    /// Whether a citation may stand between the bracket that is closed and the one that opened it.
    fn close(&mut self) -> bool {
        let is_around = self.around_citation > 0 || self.open == 0 && self.has_citation;
        self.open = self.open.saturating_sub(1);
        self.around_citation = self.around_citation.min(self.open);
        is_around
    }
}

/// The numbers of the citation that a text begins with, and what follows it.
fn citation(text: &str) -> Option<(Vec<u32>, &str)> {
    let inside = text.strip_prefix('[')?;
    let end = inside.find(']')?;
    let (inside, after) = (&inside[..end], &inside[end + 1..]);
    let inside = &*undisguised(inside);
    if inside.len() > 100 {
        return None;
    }
    // `\[1\]` is shown as `[1]`, and `[^1]` is a number that leads somewhere as well.
    let inside = inside.trim_start_matches('^').trim_end_matches('\\');
    if inside.trim() == "?" {
        return Some((vec![NO_SOURCE], after));
    }
    let mut numbers = Vec::new();
    for part in inside.split([',', ';']) {
        let mut ends = part.splitn(2, ['-', '–']).map(number);
        let first = ends.next()??;
        let last = match ends.next() {
            Some(last) => last.filter(|last| (first..first + MOST_IN_BRACKETS).contains(last))?,
            None => first,
        };
        numbers.extend(first..=last);
    }
    Some((numbers, after))
}

/// What a label shows: without tags, letters without width and blanks around it, and with the characters that numbers stand for. A
/// bracket that a name stands for is a blank.
fn undisguised(label: &str) -> Cow<'_, str> {
    // Lines of a quote begin with its mark.
    let label = label.trim_start_matches(|letter: char| letter.is_whitespace() || letter == '>').trim_end();
    let is_hidden = |letter: char| matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}');
    if !label.contains(['<', '&']) && !label.contains(is_hidden) {
        return Cow::Borrowed(label);
    }
    let mut shown = String::with_capacity(label.len());
    let mut rest = label;
    while let Some(letter) = rest.chars().next() {
        let after = &rest[letter.len_utf8()..];
        let ended_by = |mark| after.split_once(mark).filter(|(inside, _)| inside.len() <= 100);
        rest = match letter {
            '<' if let Some((_, behind)) = ended_by('>') => behind,
            '&' if let Some((name, behind)) = ended_by(';')
                && let Some(letter) = named(name) =>
            {
                shown.push(letter);
                behind
            }
            _ if is_hidden(letter) => after,
            _ => {
                shown.push(letter);
                after
            }
        };
    }
    Cow::Owned(shown.trim().to_owned())
}

/// The character that a name between `&` and `;` stands for, if it may be part of a number in brackets.
fn named(name: &str) -> Option<char> {
    let letter = match name.strip_prefix('#') {
        Some(number) => match number.strip_prefix(['x', 'X']) {
            Some(hex) => char::from_u32(u32::from_str_radix(hex, 16).ok()?)?,
            None => char::from_u32(number.parse().ok()?)?,
        },
        None if matches!(name, "lsqb" | "lbrack" | "rsqb" | "rbrack" | "nbsp" | "ZeroWidthSpace" | "shy") => ' ',
        None => return None,
    };
    Some(if letter.is_ascii_digit() { letter } else { ' ' })
}

/// A number, which may be set off, as in `**1**`.
fn number(digits: &str) -> Option<u32> {
    let digits = digits.trim_matches(|letter: char| letter.is_whitespace() || "*_~`>".contains(letter));
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|number| plain && (1..=HIGHEST_NUMBER).contains(number))
}

/// What follows a citation, without the targets that make a link of it.
fn without_targets(mut text: &str) -> &str {
    while text.starts_with('(') {
        let line = text.lines().next().unwrap_or_default();
        let Some(end) = line.find(')') else { break };
        text = &text[end + 1..];
    }
    text
}

/// Whether what comes next may define where a number leads: before it stand only marks of quotes and lists.
fn begins_line(text: &str) -> bool {
    let mut line = text.rfind(['\n', '\r']).map_or(text, |end| &text[end + 1..]);
    // A note begins a line of its own.
    while let Some((_, behind)) = line.split_once("]:").filter(|(label, _)| label.contains("[^")) {
        line = behind;
    }
    line.chars().all(|letter| letter.is_whitespace() || letter.is_ascii_digit() || ">-*+.)".contains(letter))
}

/// Whether a paragraph ends before this.
fn is_blank(text: &str) -> bool {
    text.split('\n').next().is_some_and(|line| line.trim_matches([' ', '\t', '\r']).is_empty())
}

/// Whether these letters behind a `<` make an HTML link of what follows.
fn is_anchor(text: &str) -> bool {
    let mut letters = text.chars();
    let name = letters.next().is_some_and(|letter| letter.eq_ignore_ascii_case(&'a'));
    name && letters.next().is_some_and(|letter| letter.is_whitespace() || letter == '/')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

    use super::*;

    fn checked(text: &str) -> String {
        check(text, &(1..=3).collect()).text
    }

    /// The links of a text as a reader of Markdown sees them: what is shown, and where it leads.
    fn links(markdown: &str) -> Vec<(String, String)> {
        let (mut open, mut links): (Vec<(String, String)>, _) = (Vec::new(), Vec::new());
        for event in Parser::new_ext(markdown, Options::ENABLE_GFM | Options::ENABLE_FOOTNOTES) {
            match event {
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                    open.push((String::new(), dest_url.into_string()));
                }
                Event::End(TagEnd::Link | TagEnd::Image) => links.extend(open.pop()),
                Event::FootnoteReference(label) => links.push((format!("[{label}]"), "a note".to_owned())),
                Event::Text(text) | Event::Code(text) => {
                    for (shown, _) in &mut open {
                        shown.push_str(&text);
                    }
                }
                Event::InlineHtml(html) | Event::Html(html) if is_anchor(&html[1..]) => {
                    links.push(("[1]".to_owned(), html.into_string()));
                }
                _ => {}
            }
        }
        links
    }

    /// Those that are shown as a number: alone, or in brackets within other words.
    fn numbered(markdown: &str) -> Vec<(String, String)> {
        let is_number = |shown: &String| {
            citation(&format!("[{}]", shown.trim_matches(['[', ']', ' ']))).is_some()
                || shown.match_indices('[').any(|(at, _)| citation(&shown[at..]).is_some())
        };
        links(markdown).into_iter().filter(|(shown, _)| is_number(shown)).collect()
    }

    /// Ways to have a number lead to a page that was not read.
    const FORGED: [&str; 34] = [
        "So [1].\n\n[1]: http://evil.example",
        "So [1].\n\n   [ 1 ]: <http://evil.example> 'title'",
        "So [2].\n\n> - [2]:\n> http://evil.example",
        "So [2].\n\n1. [2]: http://evil.example",
        "So [1].\n\n[\n1]: http://evil.example",
        "So [?].\n\n[?]: http://evil.example",
        "So [^1].\n\n[^1]: http://evil.example",
        "So [1](http://evil.example).",
        "So [1](a)(http://evil.example).",
        "So [1](\nhttp://evil.example\n).",
        "So [9](<\\)>\n\"title\").",
        "So [**1**](http://evil.example).",
        "So [1][evil].\n\n[evil]: http://evil.example",
        "So [1](a)[evil].\n\n[evil]: http://evil.example",
        "So [[1]](http://evil.example).",
        "So [\\[1\\]](http://evil.example).",
        "So [see [1] there](http://evil.example).",
        "So [[1]][evil].\n\n[evil]: http://evil.example",
        "So [![1](a.png)](http://evil.example).",
        "So ![see [1]](http://evil.example).",
        "So [ `]` [1] ](http://evil.example).",
        "So [ [1] `[` ](http://evil.example).",
        "So [ \\] [1] ](http://evil.example).",
        "So [a\n[1]\nb](http://evil.example).",
        "So [1].\n\n> [\n> 1]: http://evil.example",
        "So [1].\n\n[ \t                                                                                                      1]: \
         http://evil.example",
        "So [                                                                                                        1](http://evil.example)",
        "So [1].\n\n[^x]: [1]: http://evil.example",
        "So [&#49;](http://evil.example).",
        "So [&#91;&#x31;&#93;](http://evil.example).",
        "So [<b>1</b>](http://evil.example).",
        "So [\u{200b}1](http://evil.example).",
        "So <a href=\"http://evil.example\">[1]</a>.",
        "So <A\nHREF=http://evil.example>[1]</A>.",
    ];

    #[test]
    fn no_way_to_write_a_link_makes_a_number_lead_elsewhere() {
        for forged in FORGED {
            assert!(!numbered(forged).is_empty(), "this is no link to begin with: {forged}");
            let checked = checked(forged);
            assert_eq!(numbered(&checked), [], "{forged} became {checked}");
        }
    }

    #[test]
    fn what_is_no_link_of_a_number_stays_as_it_is() {
        for text in [
            "Cats purr [1][2]: so they do. [see below] [x](y) `a[0](b)`",
            "- [ ] to do\n- [x] done: [page](https://a.example) \"[3]\"",
            "[note]: https://a.example\n\nsee [note] and [text][note]\n",
            "an interval [0, 1) [1]\n\n[link](https://a.example)",
            "a < b, <b>bold</b>, <https://a.example>",
        ] {
            assert_eq!(checked(text), text);
        }
    }

    #[test]
    fn a_line_may_begin_with_a_citation() {
        assert_eq!(checked("[1] says so:\n[2]: this"), "[1] says so:\n[2]\\: this");
    }

    proptest! {
        #[test]
        fn every_citation_that_is_left_is_of_a_source(text in "[\\[\\]0-9,; a()\\-]{0,60}", count in 0_u32..12) {
            let allowed: BTreeSet<u32> = (1..=count).collect();
            let kept = check(&text, &allowed).text;
            prop_assert_eq!(&check(&kept, &allowed).text, &kept, "what was checked stays as it is");
            let again = check(&kept, &(1..=HIGHEST_NUMBER).collect());
            prop_assert!(again.cited.iter().all(|number| *number <= count), "{}", kept);
        }

        #[test]
        fn no_citation_is_a_link(parts in prop::collection::vec(
            prop::sample::select(vec![
                "[", "]", "[", "]", "(", ")", "[1]", "[1]", "[x]", "[?]", "[^2]", ":", ": http://e.example", "(http://e.example)",
                "1]", "> [\n", "&#49;", "[x]: http://f.example", "\n", "\n\n", " ", "> ", "- ", "!", "\\", "`", "<", ">", "a", "<a href=x>", "**",
            ]), 0..24,
        )) {
            let text = parts.concat();
            let checked = checked(&text);
            prop_assert_eq!(numbered(&checked), vec![], "{:?} became {:?}", text, &checked);
            let again = self::checked(&checked);
            prop_assert_eq!(&again, &checked, "what was checked stays as it is");
        }

        #[test]
        fn any_text_is_borne(text in "[\\s\\S]{0,200}") {
            checked(&text);
        }
    }
}
