//! From several answers to one: what models are asked that merge answers or speak for a council, and the two ways that need no
//! model. Pure, and the same at every resume; the stage `combine` uses it.

pub mod prompt;
mod sections;

pub use sections::assemble;

/// What stands between two texts.
const RULE: &str = "\n\n---\n\n";

/// The bytes that putting so many texts together adds to theirs at most, whichever way.
pub const fn added_bytes(texts: u64) -> u64 {
    texts.saturating_sub(1).saturating_mul(RULE.len() as u64)
}

/// The texts one after the other, with a rule between them. Who wrote them is not told: whoever judges the whole shall not know.
pub fn concatenate<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<&str> = texts.into_iter().map(|text| text.trim_matches(['\r', '\n'])).collect();
    texts.join(RULE)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_whole_is_no_longer_than_its_texts_and_what_stands_between_them(
            texts in prop::collection::vec("([ab]|# |## |\n|\r|```|é){0,12}", 0..6),
        ) {
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            let most = texts.iter().map(|text| text.len()).sum::<usize>() + added_bytes(texts.len() as u64) as usize;
            prop_assert!(concatenate(texts.iter().copied()).len() <= most);
            prop_assert!(assemble(&texts).len() <= most);
        }
    }

    #[test]
    fn texts_stand_one_after_the_other() {
        assert_eq!(concatenate(["\n  one\n\n", "two"]), "  one\n\n---\n\ntwo");
        assert_eq!(concatenate(["one"]), "one");
    }
}
