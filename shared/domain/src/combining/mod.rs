//! From several answers to one: what models are asked that merge answers or speak for a council, and the two ways that need no
//! model. Pure, and the same at every resume; the stage `combine` uses it.

pub mod prompt;
mod sections;

pub use sections::assemble;

/// The texts one after the other, with a rule between them. Who wrote them is not told: whoever judges the whole shall not know.
pub fn concatenate<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let texts: Vec<&str> = texts.into_iter().map(|text| text.trim_matches(['\r', '\n'])).collect();
    texts.join("\n\n---\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_stand_one_after_the_other() {
        assert_eq!(concatenate(["\n  one\n\n", "two"]), "  one\n\n---\n\ntwo");
        assert_eq!(concatenate(["one"]), "one");
    }
}
