//! Takes settings out of the environment one by one, remembers every problem and lists what it took.

use std::collections::BTreeMap;

use secrecy::SecretString;

use super::error::Problem;
use super::listing::{Listed, Listing, Source};
use super::names;
use super::secret_url::SecretUrl;
use super::settings::{Setting, Shown};

/// Takes settings out of the environment one by one.
pub(super) struct Reader {
    variables: BTreeMap<String, String>,
    pub(super) problems: Vec<Problem>,
    pub(super) listing: Listing,
}

impl Reader {
    /// A variable that is empty counts as not set: compose files and CI systems pass those on.
    pub(super) fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let variables: BTreeMap<String, String> = variables
            .into_iter()
            .map(|(name, value)| (name, value.trim().to_owned()))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        let problems = variables
            .keys()
            .filter_map(|name| names::complaint(name).map(|complaint| Problem::new(name.as_str(), complaint)))
            .collect();
        Self { variables, problems, listing: Listing::default() }
    }

    pub(super) fn complain(&mut self, setting: &str, message: impl Into<String>) {
        self.problems.push(Problem::new(setting, message));
    }

    /// The value of a setting that has a default. A wrong one is a problem, and the default stands in, so that the other
    /// checks can go on.
    pub(super) fn value<T>(&mut self, setting: &Setting, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        match self.optional(setting, &parse) {
            Some(value) => Some(value),
            None => parse(setting.default).ok(),
        }
    }

    /// The value of a setting that need not be set.
    pub(super) fn optional<T>(
        &mut self,
        setting: &Setting,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (name, text) = self.take(setting);
        self.list(setting, name.as_deref(), text.as_deref());
        match parse(&text?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.complain(&name.unwrap_or_default(), message);
                None
            }
        }
    }

    /// A base URL of a provider; these settings stand in the table once for all.
    pub(super) fn named<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Result<T, String>) -> Option<T> {
        let text = self.variables.get(name)?.clone();
        match parse(&text) {
            Ok(value) => {
                let source = Source::Variable(name.to_owned());
                self.listing.push(Listed { name: name.to_owned(), value: text, source });
                Some(value)
            }
            Err(message) => {
                self.complain(name, message);
                None
            }
        }
    }

    /// A variable of someone else's that holds a secret.
    pub(super) fn foreign_secret(&mut self, name: &str) -> Option<SecretString> {
        let text = self.variables.get(name)?.as_str();
        let secret = text.into();
        let source = Source::Variable(name.to_owned());
        self.listing.push(Listed { name: name.to_owned(), value: "(set)".to_owned(), source });
        Some(secret)
    }

    /// The variable that is set, and its value. Two names with different values leave open which one is meant.
    fn take(&mut self, setting: &Setting) -> (Option<String>, Option<String>) {
        let own = self.variables.get(setting.name).cloned();
        let alias = setting.alias.and_then(|alias| Some((alias, self.variables.get(alias)?.clone())));
        match (own, alias) {
            (Some(own), Some((alias, other))) if own != other => {
                self.complain(setting.name, format!("differs from {alias}; set only one of the two"));
                (Some(setting.name.to_owned()), Some(own))
            }
            (Some(own), _) => (Some(setting.name.to_owned()), Some(own)),
            (None, Some((alias, other))) => (Some(alias.to_owned()), Some(other)),
            (None, None) => (None, None),
        }
    }

    fn list(&mut self, setting: &Setting, name: Option<&str>, text: Option<&str>) {
        let value = match (text, setting.shown) {
            (Some(_), Shown::Never) => "(set)".to_owned(),
            (Some(text), Shown::Plain) => text.to_owned(),
            // A word such as `sqlite` is no URL; anything else that is none is not shown, since it may be a password.
            (Some(text), Shown::Url) if text == setting.default => text.to_owned(),
            (Some(text), Shown::Url) => SecretUrl::new(text).map_or_else(|| "(set)".to_owned(), |url| url.to_string()),
            (None, _) if setting.default.is_empty() => "(not set)".to_owned(),
            (None, _) => setting.default.to_owned(),
        };
        let source = name.map_or(Source::Default, |name| Source::Variable(name.to_owned()));
        self.listing.push(Listed { name: setting.name.to_owned(), value, source });
    }
}
