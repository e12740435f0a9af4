//! The rights of an API key: `resource:read` and `resource:write`, or `*` for all, also those that later versions add.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! scopes {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal;)+) => {
        /// A right of an API key.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, poem_openapi::Enum)]
        pub enum Scope {
            /// Every right.
            #[serde(rename = "*")]
            #[oai(rename = "*")]
            All,
            $($(#[doc = $doc])+ #[serde(rename = $word)] #[oai(rename = $word)] $name,)+
        }

        impl Scope {
            /// Every scope.
            pub const EVERY: &[Self] = &[Self::All, $(Self::$name),+];

            /// The word that stands in databases and JSON.
            pub const fn as_str(self) -> &'static str {
                match self { Self::All => "*", $(Self::$name => $word),+ }
            }
        }

        $(
            $(#[doc = $doc])+
            #[derive(Debug, Clone, Copy)]
            pub struct $name;

            impl Needs for $name {
                const SCOPE: Scope = Scope::$name;
            }
        )+
    };
}

/// A scope as a type: `Allowed<RunsRead>` in a handler's arguments is the check.
pub trait Needs: Send + Sync + 'static {
    /// The scope.
    const SCOPE: Scope;
}

scopes! {
    /// See runs, their tasks, events and estimates.
    RunsRead = "runs:read";
    /// Submit, pause, resume, cancel, retry and delete runs, and skip tasks of them.
    RunsWrite = "runs:write";
    /// See documents, templates, criteria sets and presets, and use them in runs.
    LibraryRead = "library:read";
    /// Make, change and delete documents, templates, criteria sets and presets.
    LibraryWrite = "library:write";
    /// See conversations and their messages.
    ConversationsRead = "conversations:read";
    /// Begin, continue, rename and delete conversations.
    ConversationsWrite = "conversations:write";
    /// See provider keys, masked.
    ProviderKeysRead = "provider-keys:read";
    /// Store, change, test and delete provider keys.
    ProviderKeysWrite = "provider-keys:write";
    /// See API keys, masked.
    ApiKeysRead = "api-keys:read";
    /// Make, change and revoke API keys.
    ApiKeysWrite = "api-keys:write";
    /// See budgets and how they stand.
    BudgetsRead = "budgets:read";
    /// Make, change and delete budgets, also that of the key itself.
    BudgetsWrite = "budgets:write";
    /// See webhook endpoints and deliveries.
    WebhooksRead = "webhooks:read";
    /// Make, change and delete webhook endpoints, redeliver, see signing secrets.
    WebhooksWrite = "webhooks:write";
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        Self::EVERY.iter().copied().find(|scope| scope.as_str() == word).ok_or_else(|| {
            let words: Vec<&str> = Self::EVERY.iter().map(|scope| scope.as_str()).collect();
            format!("must be one of {}", words.join(", "))
        })
    }
}

/// The rights of one API key.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// From words; those that this version does not know give no right.
    pub fn from_words<S: AsRef<str>>(words: &[S]) -> Self {
        Self(words.iter().filter_map(|word| word.as_ref().parse().ok()).collect())
    }

    /// Whether this right is among them.
    pub fn allow(&self, scope: Scope) -> bool {
        self.0.contains(&scope) || self.0.contains(&Scope::All)
    }

    /// Whether exactly this word is among them.
    pub fn holds(&self, scope: Scope) -> bool {
        self.0.contains(&scope)
    }

    /// The first of `wanted` that is not among these: a key cannot make one that may do more than itself.
    pub fn first_beyond<'a>(&self, wanted: &'a [Scope]) -> Option<&'a Scope> {
        wanted.iter().find(|scope| !self.allow(**scope))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_gives_away_only_what_it_has() {
        let some = Scopes::from_words(&["runs:read", "api-keys:write", "made:up"]);
        assert!(some.allow(Scope::RunsRead));
        assert!(!some.allow(Scope::RunsWrite));
        assert_eq!(some.first_beyond(&[Scope::RunsRead]), None);
        assert_eq!(some.first_beyond(&[Scope::RunsRead, Scope::All]), Some(&Scope::All));
        let all = Scopes::from_words(&["*"]);
        assert_eq!(all.first_beyond(Scope::EVERY), None);
    }

    #[test]
    fn every_word_reads_back() {
        for scope in Scope::EVERY {
            assert_eq!(scope.as_str().parse(), Ok(*scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
        }
    }
}
