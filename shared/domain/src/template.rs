//! Templates: text with `{{variables}}`, filled in a single pass. What a value says is never looked at again, so that a value
//! (or a document) that contains `{{x}}` or `{criteria}` cannot rewrite a prompt. Pure; called by `run` and by the api's preview.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::FieldError;

/// The longest text of a template, in bytes.
pub const MAX_TEXT_BYTES: usize = 256 * 1024;
/// The most values that are given for a template's variables, and the most variables that a template may name.
pub const MAX_VARIABLES: usize = 100;
/// The longest value of a variable, in bytes.
pub const MAX_VALUE_BYTES: usize = 256 * 1024;
/// The longest text that a template may be filled in to, in bytes.
pub const MAX_RENDERED_BYTES: usize = 1024 * 1024;
/// The name that stands for the run's document, and is given no value.
pub const DOCUMENT: &str = "document";

/// The most errors of one `fill`: whoever mends these sees the rest.
const MAX_ERRORS: usize = 20;
const LONGEST_NAME: usize = 64;
const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// A part of a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Piece<'a> {
    /// Text that stands for itself.
    Text(&'a str),
    /// A variable's name.
    Variable(&'a str),
}

/// A template that was read. Every text is one: what does not have the form of a variable stands for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template<'a> {
    pieces: Vec<Piece<'a>>,
}

/// A template that was filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The text, without the document.
    pub text: String,
    /// Where in the text the document belongs, in bytes; `None` where the template does not say.
    pub document_at: Option<usize>,
}

/// Why a template could not be filled in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// These variables have no value; sorted, each once.
    #[error("the template has variables without a value")]
    Unresolved(Vec<String>),
    /// The document is mentioned more than once.
    #[error("the template names the document more than once")]
    DocumentTwice,
    /// The text would be longer than `MAX_RENDERED_BYTES`.
    #[error("the filled in template would be too long")]
    TooLong,
}

/// Whether this is the form of a variable's name: a letter or `_`, then letters, digits, `_`, `-` and `.`, all ASCII, at most 64.
pub fn is_name(text: &str) -> bool {
    let mut letters = text.bytes();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == b'_')
        && text.len() <= LONGEST_NAME
        && letters.all(|letter| letter.is_ascii_alphanumeric() || b"_-.".contains(&letter))
}

impl<'a> Template<'a> {
    /// Reads a text. `{{name}}` is a variable, blanks around the name are allowed, and `\{{` is `{{` itself.
    pub fn parse(text: &'a str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find(OPEN) {
            let (before, from) = rest.split_at(at);
            if let Some(before) = before.strip_suffix('\\') {
                pieces.extend([Piece::Text(before), Piece::Text(OPEN)]);
                rest = &from[OPEN.len()..];
                continue;
            }
            pieces.push(Piece::Text(before));
            if let Some((name, after)) = variable(from) {
                pieces.push(Piece::Variable(name));
                rest = after;
            } else {
                // One brace only: the next one may open a variable.
                pieces.push(Piece::Text(&from[..1]));
                rest = &from[1..];
            }
        }
        pieces.push(Piece::Text(rest));
        pieces.retain(|piece| *piece != Piece::Text(""));
        Self { pieces }
    }

    /// The variables that it names, sorted, each once; the document is not among them.
    pub fn names(&self) -> Vec<&'a str> {
        let names: BTreeSet<&str> = self.variables().filter(|name| *name != DOCUMENT).collect();
        names.into_iter().collect()
    }

    /// Whether it says where the document belongs.
    pub fn names_document(&self) -> bool {
        self.variables().any(|name| name == DOCUMENT)
    }

    /// Fills it in, in one pass: values are copied as they are.
    ///
    /// # Errors
    /// Where a variable has no value, the document is named twice, or the text would be too long. Nothing large is made before
    /// that is known.
    pub fn render<'v>(&self, value_of: impl Fn(&str) -> Option<&'v str>) -> Result<Rendered, RenderError> {
        let unresolved: Vec<String> =
            self.names().into_iter().filter(|name| value_of(name).is_none()).map(str::to_owned).collect();
        if !unresolved.is_empty() {
            return Err(RenderError::Unresolved(unresolved));
        }
        if self.variables().filter(|name| *name == DOCUMENT).count() > 1 {
            return Err(RenderError::DocumentTwice);
        }
        let written = |piece: &Piece<'a>| match *piece {
            Piece::Text(text) => text,
            Piece::Variable(DOCUMENT) => "",
            Piece::Variable(name) => value_of(name).unwrap_or_default(),
        };
        let length = self.pieces.iter().fold(0_usize, |sum, piece| sum.saturating_add(written(piece).len()));
        if length > MAX_RENDERED_BYTES {
            return Err(RenderError::TooLong);
        }
        let mut rendered = Rendered { text: String::with_capacity(length), document_at: None };
        for piece in &self.pieces {
            if *piece == Piece::Variable(DOCUMENT) {
                rendered.document_at = Some(rendered.text.len());
            }
            rendered.text.push_str(written(piece));
        }
        Ok(rendered)
    }

    fn variables(&self) -> impl Iterator<Item = &'a str> {
        self.pieces.iter().filter_map(|piece| match *piece {
            Piece::Variable(name) => Some(name),
            Piece::Text(_) => None,
        })
    }
}

/// The variable that a text begins with, and what follows it.
fn variable(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix(OPEN)?;
    // A name is short: a text full of braces is not searched to its end again and again.
    let end = inside.char_indices().take(LONGEST_NAME + 16).find(|(at, _)| inside[*at..].starts_with(CLOSE))?.0;
    let name = inside[..end].trim_matches([' ', '\t']);
    is_name(name).then(|| (name, &inside[end + CLOSE.len()..]))
}

/// Fills in a template with what is kept with it and what is given for this time, which goes first.
///
/// # Errors
/// Variables that have no value, and given ones that the template does not name, 20 at most; places are told under `/variables`.
pub fn fill(
    text: &str,
    kept: &BTreeMap<String, String>,
    given: &BTreeMap<String, String>,
) -> Result<Rendered, Vec<FieldError>> {
    let template = Template::parse(text);
    let names: BTreeSet<&str> = template.names().into_iter().collect();
    let mut errors: Vec<FieldError> = given
        .keys()
        .filter(|name| !names.contains(name.as_str()))
        .take(MAX_ERRORS)
        .map(|name| FieldError::new(place(name), "the template has no such variable"))
        .collect();
    match template.render(|name| given.get(name).or_else(|| kept.get(name)).map(String::as_str)) {
        Ok(rendered) if errors.is_empty() => return Ok(rendered),
        Ok(_) => {}
        Err(RenderError::Unresolved(names)) => {
            let missing = |name: &String| FieldError::new(place(name), "is missing: the template needs this variable");
            errors.extend(names.iter().take(MAX_ERRORS - errors.len()).map(missing));
        }
        Err(RenderError::DocumentTwice) => {
            errors.push(FieldError::new("/template_id", "the template names the document more than once"));
        }
        Err(RenderError::TooLong) => {
            let detail = format!("the template filled in has more than {MAX_RENDERED_BYTES} bytes");
            errors.push(FieldError::new("/variables", detail));
        }
    }
    Err(errors)
}

/// Checks the values of variables; `pointer` is their place.
pub fn check_variables(errors: &mut Vec<FieldError>, pointer: &str, variables: &BTreeMap<String, String>) {
    if variables.len() > MAX_VARIABLES {
        errors.push(FieldError::new(pointer, format!("must have at most {MAX_VARIABLES} entries")));
    }
    for (name, value) in variables.iter().take(MAX_VARIABLES) {
        let place = format!("{pointer}/{}", shown(name));
        if name == DOCUMENT {
            errors.push(FieldError::new(place, "stands for the run's document and takes no value"));
        } else if !is_name(name) {
            let detail = "a name is a letter or _, then letters, digits, _, - and . without accents, at most 64";
            errors.push(FieldError::new(place, detail));
        } else if value.len() > MAX_VALUE_BYTES || value.contains('\0') {
            let detail = format!("must have at most {MAX_VALUE_BYTES} bytes, none of them U+0000");
            errors.push(FieldError::new(place, detail));
        }
    }
}

fn place(name: &str) -> String {
    format!("/variables/{}", shown(name))
}

/// A name as a part of a JSON pointer; one that is too long is cut.
fn shown(name: &str) -> String {
    let cut: String = name.chars().take(LONGEST_NAME).collect();
    cut.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn map(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
        entries.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn filled(text: &str, given: &[(&str, &str)]) -> String {
        fill(text, &BTreeMap::new(), &map(given)).unwrap().text
    }

    #[test]
    fn variables_are_filled_in() {
        assert_eq!(
            filled("Dear {{name}}, {{ name }}: {{ what-1.x }}", &[("name", "Ada"), ("what-1.x", "hi")]),
            "Dear Ada, Ada: hi"
        );
    }

    #[test]
    fn a_value_is_never_looked_at_again() {
        let values = [("a", "{{b}} {criteria} {{document}}"), ("b", "{{a}}")];
        assert_eq!(filled("{{a}}{{b}}", &values), "{{b}} {criteria} {{document}}{{a}}");
        // Not even together with what stands beside it.
        assert_eq!(filled("{{{a}}b}}", &[("a", "{")]), "{{b}}");
    }

    #[test]
    fn what_is_no_variable_stands_for_itself() {
        for text in ["{criteria}", "{{}}", "{{ }}", "{{1x}}", "{{a b}}", "{{a", "}}", "{{é}}", "{{\na}}", "{ {a} }", ""]
        {
            assert_eq!(filled(text, &[]), text);
        }
        assert_eq!(filled("{{{x}}}", &[("x", "1")]), "{1}");
        assert_eq!(filled(r"\{{x}} \\{{x}}", &[]), r"{{x}} \{{x}}");
    }

    #[test]
    fn given_values_go_before_kept_ones_and_what_is_missing_or_too_much_is_told() {
        let kept = map(&[("a", "kept"), ("b", "kept"), ("unused", "kept")]);
        assert_eq!(fill("{{a}} {{b}}", &kept, &map(&[("b", "given")])).unwrap().text, "kept given");
        let errors = fill("{{z}} {{a}} {{y}} {{z}}", &kept, &map(&[("tpyo/", "x")])).unwrap_err();
        let pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/variables/tpyo~1", "/variables/y", "/variables/z"]);
    }

    #[test]
    fn the_document_has_a_place_and_only_one() {
        let rendered = fill("{{a}}: {{document}}!", &map(&[("a", "12")]), &BTreeMap::new()).unwrap();
        assert_eq!(rendered, Rendered { text: "12: !".to_owned(), document_at: Some(4) });
        let errors = fill("{{document}}{{document}}", &BTreeMap::new(), &BTreeMap::new()).unwrap_err();
        assert_eq!(errors[0].pointer, "/template_id");
    }

    #[test]
    fn a_template_cannot_grow_without_bounds() {
        let text = "{{a}}".repeat(MAX_TEXT_BYTES / 5);
        let errors = fill(&text, &BTreeMap::new(), &map(&[("a", &"x".repeat(MAX_VALUE_BYTES))])).unwrap_err();
        assert_eq!(errors[0].pointer, "/variables");
    }

    #[test]
    fn a_template_full_of_variables_leads_to_few_errors() {
        let text = (0..10_000).map(|number| format!("{{{{v{number}}}}}")).collect::<Vec<_>>().concat();
        let given: BTreeMap<String, String> = (0..5).map(|number| (format!("g{number}"), String::new())).collect();
        let errors = fill(&text, &BTreeMap::new(), &given).unwrap_err();
        assert_eq!(errors.len(), MAX_ERRORS);
        assert_eq!((errors[4].pointer.as_str(), errors[5].pointer.as_str()), ("/variables/g4", "/variables/v0"));
    }

    #[test]
    fn names_and_values_have_limits() {
        let mut errors = Vec::new();
        let long = "x".repeat(MAX_VALUE_BYTES + 1);
        let values =
            map(&[("document", ""), ("a b", ""), ("nul", "\0"), ("long", &long), ("fine", "\u{202e}<script>")]);
        check_variables(&mut errors, "/variables", &values);
        let mut pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
        pointers.sort_unstable();
        assert_eq!(pointers, ["/variables/a b", "/variables/document", "/variables/long", "/variables/nul"]);
    }

    /// Text that is likely to look like a template.
    fn braces() -> impl Strategy<Value = String> {
        prop::collection::vec(
            prop::sample::select(vec!["{", "{{", "}}", "}", "a", "b", " ", "\\", "{{a}}", "{{b}}", "é"]),
            0..30,
        )
        .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn texts_and_values_come_out_as_they_went_in(
            parts in prop::collection::vec(("[^{}\\\\]{0,8}", prop::sample::select(vec!["a", "b", "c"])), 0..8),
            end in "[^{}\\\\]{0,8}",
            values in prop::array::uniform3(braces()),
        ) {
            let value_of = |name: &str| &values[usize::from(name.as_bytes()[0] - b'a')];
            let (mut text, mut expected) = (String::new(), String::new());
            for (before, name) in &parts {
                text.extend([before, "{{", name, "}}"]);
                expected.extend([before, value_of(name).as_str()]);
            }
            let rendered = Template::parse(&format!("{text}{end}")).render(|name| Some(value_of(name))).unwrap();
            prop_assert_eq!(rendered.text, format!("{expected}{end}"));
        }

        #[test]
        fn any_text_is_a_template_and_loses_nothing(text in braces()) {
            let template = Template::parse(&text);
            let kept: String = template.pieces.iter().map(|piece| match piece {
                Piece::Text(text) => (*text).to_owned(),
                Piece::Variable(name) => format!("{{{{{name}}}}}"),
            }).collect();
            let without = |text: &str| text.replace(['\\', ' '], "");
            prop_assert_eq!(without(&kept), without(&text));
            let given: BTreeMap<String, String> = template.names().into_iter().map(|name| (name.to_owned(), "v".to_owned())).collect();
            prop_assert!(fill(&text, &BTreeMap::new(), &given).is_ok());
        }
    }
}
