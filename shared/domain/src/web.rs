//! What comes from the web, as it stands in a task's text: the results of a search and what was read of a page. `outbound` writes
//! the first, the worker the second, the research generator reads both. All of it is hostile: it is bounded here, and shown in
//! frames only. Pure.

use serde::{Deserialize, Serialize};
use url::Url;

/// The most results of one search: what every provider gives for the price of one request.
pub const MOST_RESULTS: usize = 10;
/// The most bytes of the text of one page.
pub const MOST_PAGE_BYTES: usize = 60_000;
const MOST_URL_BYTES: usize = 2_000;
const MOST_TITLE_BYTES: usize = 300;
const MOST_SNIPPET_BYTES: usize = 2_000;

/// One result of a search.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchResult {
    /// The page's title, on one line; may be empty.
    pub title: String,
    /// Where the page is: `http` or `https`.
    pub url: String,
    /// What the search says of it; may be empty.
    pub snippet: String,
}

impl SearchResult {
    /// A result within bounds; `None` where its URL is none that a page can be read from.
    pub fn new(title: &str, url: &str, snippet: &str) -> Option<Self> {
        let url = page_url(url)?;
        Some(Self {
            title: one_line(title, MOST_TITLE_BYTES),
            url: url.to_string(),
            snippet: one_line(snippet, MOST_SNIPPET_BYTES),
        })
    }
}

/// The results of one search, the best first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchResults {
    /// At most [`MOST_RESULTS`], each page once.
    pub results: Vec<SearchResult>,
}

impl SearchResults {
    /// The results in the order of the search, each page once.
    pub fn of(found: impl IntoIterator<Item = SearchResult>) -> Self {
        let mut results: Vec<SearchResult> = Vec::new();
        for result in found {
            if results.len() < MOST_RESULTS && results.iter().all(|earlier| earlier.url != result.url) {
                results.push(result);
            }
        }
        Self { results }
    }

    /// As it is stored.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What was stored; no results where it was something else.
    pub fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}

/// What became of reading a page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "page", rename_all = "snake_case")]
pub enum Page {
    /// It was read.
    Read {
        /// Where it stood, after redirects.
        url: String,
        /// Its text, at most [`MOST_PAGE_BYTES`].
        text: String,
    },
    /// It could not be read. No page is needed, so this is no failure of the task.
    Unavailable {
        /// Why, in words for the tenant.
        reason: String,
    },
    /// There was nothing to read in its place: the search found fewer pages.
    NotNeeded,
}

impl Page {
    /// A page that was read, within bounds.
    pub fn read(url: &str, text: &str) -> Self {
        let text = cut(text, MOST_PAGE_BYTES);
        if text.trim().is_empty() {
            return Self::Unavailable { reason: "the page holds no text".to_owned() };
        }
        Self::Read { url: url.to_owned(), text: text.to_owned() }
    }

    /// As it is stored.
    pub fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What was stored.
    pub fn of_text(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or(Self::NotNeeded)
    }
}

/// The URL of a page that may be asked for: `http` or `https` with a host, without user name and password; its fragment, which
/// no server sees, goes.
pub fn page_url(text: &str) -> Option<Url> {
    let mut url = Url::parse(text.trim()).ok()?;
    let plain = matches!(url.scheme(), "https" | "http") && url.username().is_empty() && url.password().is_none();
    url.set_fragment(None);
    (plain && url.host().is_some() && url.as_str().len() <= MOST_URL_BYTES).then_some(url)
}

/// The beginning of a text, at most so many bytes.
pub fn cut(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

/// A text as one line of at most so many bytes.
pub fn one_line(text: &str, most: usize) -> String {
    let words: Vec<&str> = text
        .split(|letter: char| letter.is_whitespace() || letter.is_control())
        .filter(|word| !word.is_empty())
        .collect();
    cut(&words.join(" "), most).to_owned()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn result(url: &str) -> Option<SearchResult> {
        SearchResult::new("A\r\ntitle", url, "said\u{0}so")
    }

    #[test]
    fn a_result_is_on_one_line_and_its_url_is_one_of_a_page() {
        let found = result(" https://a.example/b#c ").unwrap();
        assert_eq!(
            (found.url.as_str(), found.title.as_str(), found.snippet.as_str()),
            ("https://a.example/b", "A title", "said so")
        );
        for url in [
            "",
            "a.example",
            "ftp://a.example/",
            "javascript:alert(1)",
            "data:,x",
            "https://u:p@a.example/",
            "file:///x",
        ] {
            assert_eq!(result(url), None, "{url}");
        }
        assert_eq!(result(&format!("https://a.example/{}", "x".repeat(MOST_URL_BYTES))), None);
    }

    #[test]
    fn each_page_is_a_result_once_and_they_are_few() {
        let found = (0..40).filter_map(|number| result(&format!("https://a.example/{}", number / 2)));
        let results = SearchResults::of(found);
        assert_eq!(results.results.len(), MOST_RESULTS);
        assert_eq!(results.results[1].url, "https://a.example/1");
        assert_eq!(SearchResults::read(&results.to_text()), results);
        assert_eq!(SearchResults::read("Echo: hi"), SearchResults::default());
    }

    #[test]
    fn a_page_without_text_is_unavailable() {
        assert!(matches!(Page::read("https://a.example/", " \n"), Page::Unavailable { .. }));
        assert_eq!(Page::of_text("Echo: hi"), Page::NotNeeded);
    }

    proptest! {
        #[test]
        fn what_is_stored_of_a_page_is_read_again(text in "[\\s\\S]{1,300}") {
            let page = Page::read("https://a.example/", &text);
            prop_assert_eq!(Page::of_text(&page.to_text()), page);
        }

        #[test]
        fn any_text_is_cut_within_its_bound(text in "[\\s\\S]{0,100}", most in 0_usize..120) {
            prop_assert!(cut(&text, most).len() <= most);
            prop_assert!(one_line(&text, most).len() <= most);
            prop_assert!(!one_line(&text, most).contains(char::is_control));
        }
    }
}
