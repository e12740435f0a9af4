//! Every setting with the value that holds and where it comes from, secrets redacted: what `acm2 config` prints.

use std::fmt;

use serde::Serialize;

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// Nothing was set.
    Default,
    /// This variable of the environment.
    Variable(String),
}

/// One setting as it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// The setting's name.
    pub name: String,
    /// Its value; a secret only as `(set)`, a URL with its password masked.
    pub value: String,
    /// Where it comes from.
    pub source: Source,
}

/// All settings as they hold. `Display` prints them in columns.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Listing(Vec<Listed>);

impl Listing {
    pub(super) fn push(&mut self, listed: Listed) {
        self.0.push(listed);
    }

    /// Replaces a value that depends on others and is known only at the end.
    pub(super) fn resolve(&mut self, name: &str, value: &str) {
        if let Some(listed) = self.0.iter_mut().find(|listed| listed.name == name) {
            value.clone_into(&mut listed.value);
        }
    }

    /// The settings, in the order of the table.
    pub fn settings(&self) -> &[Listed] {
        &self.0
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|listed| listed.name.len()).max().unwrap_or_default();
        let values = self.0.iter().map(|listed| listed.value.chars().count()).max().unwrap_or_default();
        for listed in &self.0 {
            let source = match &listed.source {
                Source::Default => "default",
                Source::Variable(name) if *name == listed.name => "set",
                Source::Variable(name) => name,
            };
            writeln!(f, "{:names$}  {:values$}  {source}", listed.name, listed.value)?;
        }
        Ok(())
    }
}
