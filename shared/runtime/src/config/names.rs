//! The names of settings: which are known, and what a misspelt one was meant to be.

use acm2_domain::providers::PROVIDERS;

use super::settings;

pub(super) const PREFIX: &str = "ACM2_";

/// `openai-compatible` as a part of a variable's name.
pub(super) fn in_variable(slug: &str) -> String {
    slug.replace('-', "_").to_ascii_uppercase()
}

/// The setting by which the operator puts another base URL in a provider's place.
pub(super) fn base_url(slug: &str) -> String {
    format!("ACM2_PROVIDERS__{}__BASE_URL", in_variable(slug))
}

/// The names of the settings that the table holds once for all providers, as slug and name.
pub(super) fn base_urls() -> impl Iterator<Item = (&'static str, String)> {
    PROVIDERS.iter().map(|provider| (provider.slug, base_url(provider.slug)))
}

fn known() -> impl Iterator<Item = String> {
    settings::all().map(|setting| setting.name.to_owned()).chain(base_urls().map(|(_, name)| name))
}

/// What is wrong with a name of ours that no setting has; None if one has it.
pub(super) fn complaint(name: &str) -> Option<String> {
    if !name.starts_with(PREFIX) {
        return None;
    }
    let nearest = known().map(|known| (distance(name, &known), known)).min()?;
    match nearest {
        (0, _) => None,
        (1..=4, meant) => Some(format!("is not a setting; did you mean {meant}?")),
        _ => Some("is not a setting; `acm2 config` lists them all".to_owned()),
    }
}

/// Levenshtein's distance; names are short, so the plain table in one row does.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, left) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(left != right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_misspelt_name_is_told_what_it_was_meant_to_be() {
        assert_eq!(complaint("ACM2_HTP__BIND").unwrap(), "is not a setting; did you mean ACM2_HTTP__BIND?");
        assert_eq!(complaint("ACM2_HTTP_BIND").unwrap(), "is not a setting; did you mean ACM2_HTTP__BIND?");
        let meant = "is not a setting; did you mean ACM2_PROVIDERS__OPENAI__BASE_URL?";
        assert_eq!(complaint("ACM2_PROVIDERS__OPENIA__BASE_URL").unwrap(), meant);
        assert_eq!(complaint("ACM2_SOMETHING_ELSE").unwrap(), "is not a setting; `acm2 config` lists them all");
    }

    #[test]
    fn known_names_and_other_peoples_names_are_left_alone() {
        for name in known() {
            assert_eq!(complaint(&name), None);
        }
        assert_eq!(complaint("PATH"), None);
        assert_eq!(complaint("ACM2"), None);
    }

    proptest! {
        #[test]
        fn a_distance_is_symmetric_and_zero_only_between_equals(one in "[A-Z_]{0,12}", other in "[A-Z_]{0,12}") {
            prop_assert_eq!(distance(&one, &other), distance(&other, &one));
            prop_assert_eq!(distance(&one, &other) == 0, one == other);
            prop_assert!(distance(&one, &other) <= one.len().max(other.len()));
        }
    }
}
