//! What a site's robots.txt allows (RFC 9309). Pure; the file is hostile, so reading it and asking it take time in proportion to
//! its length.

use std::fmt::Write as _;
use std::time::Duration;

/// The name by which a robots.txt may address us; the user agent begins with it.
pub(super) const PRODUCT: &str = "acm2-research";
/// The most bytes of a robots.txt that count: as many as the RFC wants.
pub(super) const MOST_BYTES: usize = 500 * 1024;
const MOST_RULES: usize = 1_000;
/// No address that is read is as long.
const LONGEST_PATTERN: usize = 2_000;
/// Bytes of patterns that are kept of a site: the files of a thousand sites are kept at a time.
const MOST_PATTERNS: usize = 64 * 1024;
/// The longest pause between two pages of a site; a longer one is not kept, for whoever waits holds a place meanwhile.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The rules for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Robots {
    /// The site could not say: nothing may be read.
    Unreachable,
    /// What the file says.
    Rules {
        /// Without any, all may be read.
        rules: Vec<Rule>,
        /// What it wants between two pages (`Crawl-delay`), or the longest pause that is kept.
        pause: Duration,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Rule {
    allows: bool,
    pattern: String,
}

impl Robots {
    /// A site without a robots.txt.
    pub(super) const fn absent() -> Self {
        Self::Rules { rules: Vec::new(), pause: Duration::ZERO }
    }

    /// Reads a file: the groups that name us, else those for all.
    pub(super) fn parse(file: &[u8]) -> Self {
        let file = String::from_utf8_lossy(&file[..file.len().min(MOST_BYTES)]);
        let (mut named, mut general) = (None::<Vec<Rule>>, Vec::new());
        let (mut named_pause, mut general_pause) = (Duration::ZERO, Duration::ZERO);
        // Whom the group at hand is for, and whether its rules have begun.
        let (mut for_us, mut for_all, mut in_rules) = (false, false, false);
        // The same for pauses, which are not of the RFC and must not end a group of its rules.
        let (mut pauses_us, mut pauses_all, mut in_pauses) = (false, false, false);
        for line in file.trim_start_matches('\u{feff}').lines() {
            let line = line.split('#').next().unwrap_or_default();
            let Some((name, value)) = line.split_once(':') else { continue };
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            match name.as_str() {
                "user-agent" => {
                    if in_rules || in_pauses {
                        (pauses_us, pauses_all, in_pauses) = (false, false, false);
                    }
                    if in_rules {
                        (for_us, for_all, in_rules) = (false, false, false);
                    }
                    let product = value.split('/').next().unwrap_or_default().trim();
                    let (is_us, is_all) = (product.eq_ignore_ascii_case(PRODUCT), value == "*");
                    (for_us, for_all) = (for_us || is_us, for_all || is_all);
                    (pauses_us, pauses_all) = (pauses_us || is_us, pauses_all || is_all);
                    if for_us {
                        named.get_or_insert_default();
                    }
                }
                "allow" | "disallow" => {
                    in_rules = true;
                    let rule = || Rule { allows: name == "allow", pattern: encoded(value) };
                    if for_us && !value.is_empty() {
                        push(named.get_or_insert_default(), rule());
                    }
                    if for_all && !value.is_empty() {
                        push(&mut general, rule());
                    }
                }
                "crawl-delay" => {
                    in_pauses = true;
                    let pause = pause_of(value);
                    if pauses_us {
                        named_pause = pause;
                    }
                    if pauses_all {
                        general_pause = pause;
                    }
                }
                _ => {}
            }
        }
        match named {
            Some(rules) => Self::Rules { rules, pause: named_pause },
            None => Self::Rules { rules: general, pause: general_pause },
        }
    }

    /// How long to wait between two pages.
    pub(super) const fn pause(&self) -> Duration {
        match self {
            Self::Unreachable => Duration::ZERO,
            Self::Rules { pause, .. } => *pause,
        }
    }

    /// Whether a path, with its query, may be read: the longest rule that fits it decides, and of two that are as long the one
    /// that allows.
    pub(super) fn allow(&self, path: &str) -> bool {
        match self {
            Self::Unreachable => false,
            Self::Rules { rules, .. } => {
                let fitting = rules.iter().filter(|rule| fits(&rule.pattern, path));
                fitting.max_by_key(|rule| (rule.pattern.len(), rule.allows)).is_none_or(|rule| rule.allows)
            }
        }
    }
}

fn push(rules: &mut Vec<Rule>, rule: Rule) {
    let held: usize = rules.iter().map(|rule| rule.pattern.len()).sum();
    if rules.len() < MOST_RULES && rule.pattern.len() <= LONGEST_PATTERN && held + rule.pattern.len() <= MOST_PATTERNS {
        rules.push(rule);
    }
}

/// Seconds, which may be broken; what is no number is no pause.
fn pause_of(seconds: &str) -> Duration {
    let seconds = seconds.parse::<f64>().unwrap_or(0.0);
    Duration::try_from_secs_f64(seconds.clamp(0.0, LONGEST_PAUSE.as_secs_f64())).unwrap_or_default()
}

/// The pattern as URLs are written: what is not ASCII in percent signs.
fn encoded(pattern: &str) -> String {
    let mut text = String::with_capacity(pattern.len());
    for letter in pattern.chars() {
        if letter.is_ascii() {
            text.push(letter);
        } else {
            let mut bytes = [0; 4];
            for byte in letter.encode_utf8(&mut bytes).bytes() {
                let _ = write!(text, "%{byte:02X}");
            }
        }
    }
    text
}

/// Whether a path begins as the pattern says, in which `*` is any text and `$` at the end is the end.
fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, to_the_end) = match pattern.strip_suffix('$') {
        Some(pattern) => (pattern, true),
        None => (pattern, false),
    };
    let mut pieces = pattern.split('*');
    let Some(mut rest) = path.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let last = if to_the_end { pieces.pop() } else { None };
    for piece in pieces {
        // The first place leaves the most for what follows.
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    match last {
        Some(last) => rest.ends_with(last),
        None => !to_the_end || rest.is_empty(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_longest_rule_that_fits_decides() {
        let robots = Robots::parse(
            b"User-agent: *\nDisallow: /private\nAllow: /private/open\nDisallow: /*.gif$\nAllow: /a\nDisallow: /a\n",
        );
        for (path, allowed) in [
            ("/", true),
            ("/private", false),
            ("/privateer?x=1", false),
            ("/private/open/1", true),
            ("/x.gif", false),
            ("/x.gif?y", true),
            ("/x.gift", true),
            ("/a", true),
        ] {
            assert_eq!(robots.allow(path), allowed, "{path}");
        }
    }

    #[test]
    fn a_group_that_names_us_is_the_only_one_that_counts() {
        let file = b"\xef\xbb\xbfuser-agent: other\nuser-agent: ACM2-Research/1.0 # us\ncrawl-delay: 5\nallow: /x\n\
            disallow: /\n\nUser-agent: *\nDisallow: /x\n\nUser-agent: acm2-research\nDisallow: /x/y\n";
        let robots = Robots::parse(file);
        assert!(robots.allow("/x"));
        assert!(!robots.allow("/x/y"));
        assert!(!robots.allow("/z"));
        assert!(Robots::parse(b"User-agent: acm2-research\nDisallow:\n\nUser-agent: *\nDisallow: /").allow("/z"));
        assert!(Robots::parse(b"User-agent: acm\nDisallow: /").allow("/z"));
    }

    #[test]
    fn a_pause_is_kept_up_to_a_length() {
        for (file, millis) in [
            ("User-agent: *\nCrawl-delay: 0.5\nDisallow: /x", 500),
            ("User-agent: *\nCrawl-delay: 3600", 2_000),
            ("User-agent: *\nCrawl-delay: 1\n\nUser-agent: acm2-research\nDisallow:", 0),
            ("User-agent: acm2-research\nCrawl-delay: 1\n\nUser-agent: *\nCrawl-delay: 2", 1_000),
            ("User-agent: *\nCrawl-delay: -1", 0),
            ("User-agent: *\nCrawl-delay: NaN", 0),
            ("User-agent: *\nCrawl-delay: soon", 0),
            ("Crawl-delay: 1", 0),
        ] {
            assert_eq!(Robots::parse(file.as_bytes()).pause(), Duration::from_millis(millis), "{file}");
        }
    }

    #[test]
    fn patterns_are_compared_as_urls_are_written() {
        assert!(!Robots::parse("User-agent: *\nDisallow: /caf\u{e9}".as_bytes()).allow("/caf%C3%A9/menu"));
        assert!(!Robots::parse(b"User-agent: *\nDisallow: *secret*key$").allow("/a/secret/b/key"));
        assert!(Robots::parse(b"User-agent: *\nDisallow: *secret*key$").allow("/a/secret/b/keys"));
        assert!(Robots::parse(b"User-agent: *\nDisallow: /ab*ba$").allow("/aba"), "the two pieces do not overlap");
        assert!(Robots::parse(b"User-agent: *\nDisallow: /exact$").allow("/exact/not"));
    }

    #[test]
    fn a_page_in_place_of_the_file_forbids_nothing_and_a_site_that_cannot_say_all() {
        assert!(Robots::parse(b"<!DOCTYPE html><html>User-agent: * Disallow: /</html>").allow("/"));
        assert!(Robots::absent().allow("/"));
        assert!(!Robots::Unreachable.allow("/"));
    }

    #[test]
    fn a_file_that_is_meant_to_take_time_takes_little() {
        let rule = format!("Disallow: /{}\n", "*a".repeat(400));
        let file = format!("User-agent: *\n{}", rule.repeat(10_000));
        let started = std::time::Instant::now();
        let path = format!("/{}b", "a".repeat(1_900));
        assert!(Robots::parse(file.as_bytes()).allow(&format!("/{}", "b".repeat(1_900))));
        Robots::parse(file.as_bytes()).allow(&path);
        assert!(started.elapsed() < std::time::Duration::from_secs(5));
    }

    proptest! {
        #[test]
        fn any_file_is_read(file: Vec<u8>, path in "/[a-z*$%]{0,20}") {
            Robots::parse(&file).allow(&path);
        }

        /// A slow matcher says the same.
        #[test]
        fn a_pattern_fits_what_the_rfc_says(pattern in "/[ab*]{0,8}\\$?", path in "/[ab]{0,8}") {
            fn slow(pattern: &[u8], path: &[u8]) -> bool {
                match pattern {
                    [] => true,
                    [b'$'] => path.is_empty(),
                    [b'*', rest @ ..] => (0..=path.len()).any(|skip| slow(rest, &path[skip..])),
                    [byte, rest @ ..] => path.first() == Some(byte) && slow(rest, &path[1..]),
                }
            }
            prop_assert_eq!(fits(&pattern, &path), slow(pattern.as_bytes(), path.as_bytes()));
        }
    }
}
