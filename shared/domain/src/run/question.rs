//! What a run asks, in short: the turn that a conversation keeps of it, and what those are told who only take notes.

use std::borrow::Cow;

use super::document::DocumentSpec;
use super::frame::{frame, framed_bytes};
use super::spec::RunSpec;
use crate::web::cut;

impl RunSpec {
    /// What the user said, for a conversation to keep, without the documents. Where that is nothing but the place of one, their
    /// names stand for it: providers refuse an empty turn.
    pub fn question(&self) -> Option<Cow<'_, str>> {
        let said = &self.messages.last()?.content;
        if !said.trim().is_empty() {
            return Some(Cow::Borrowed(said));
        }
        let names: Vec<&str> = self.documents.iter().map(|document| document.name.as_str()).collect();
        let names = names.join(", ");
        (!names.trim().is_empty()).then_some(Cow::Owned(names))
    }

    /// The task in so many bytes at most: all of it, or else its last turn, with as much of the document as the turn leaves room
    /// for, which is about half of the bytes at least.
    pub(crate) fn task_within(&self, document: Option<(&DocumentSpec, &str)>, most: usize) -> String {
        // A document of more than that is too much whatever stands around it.
        let whole = self.task(document.map(|(document, text)| (document, cut(text, most))));
        if whole.len() <= most {
            return whole;
        }
        let said = self.messages.last().map_or("", |message| message.content.as_str());
        let Some((document, text)) = document else { return cut(said, most).to_owned() };
        let said = cut(said, most / 2);
        let around = self.with_document(said, "").len() + framed_bytes(&document.name, 0) as usize;
        let text = cut(text, most.saturating_sub(around));
        cut(&self.with_document(said, &frame(&document.name, text)), most).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::call::{Message, Role};
    use crate::prices::Prices;
    use crate::run::NewRun;

    fn spec(prompt: &str, at: Option<usize>, document: Option<(&str, &str)>) -> RunSpec {
        let documents: Vec<_> = document.iter().map(|(name, text)| json!({"name": name, "text": text})).collect();
        let body = json!({"prompt": "x", "models": ["sandbox/echo"], "documents": documents});
        let mut spec = serde_json::from_value::<NewRun>(body).unwrap().compile(&Prices::built_in()).unwrap();
        prompt.clone_into(&mut spec.messages[0].content);
        RunSpec { document_at: at, ..spec }
    }

    fn within(spec: &RunSpec, text: &str, most: usize) -> String {
        spec.task_within(spec.documents.first().map(|document| (document, text)), most)
    }

    #[test]
    fn a_document_alone_is_called_by_its_name() {
        let document = Some(("report.pdf", "text"));
        assert_eq!(spec("why", None, document).question().as_deref(), Some("why"));
        assert_eq!(spec(" \n", Some(1), document).question().as_deref(), Some("report.pdf"));
        assert_eq!(spec("", None, None).question(), None);
    }

    #[test]
    fn what_is_too_long_is_cut_and_the_question_and_its_document_stay() {
        let text = "x".repeat(50_000);
        let long = spec("Sum it up", Some(0), Some(("a", &text)));
        let shown = within(&long, &text, 4_000);
        assert!(shown.contains("xxx") && shown.ends_with("-----\n\nSum it up"), "{shown}");
        assert_eq!(shown.len(), 4_000);
        // A long question leaves half of the room.
        let question = "why ".repeat(2_000);
        let shown = within(&spec(&question, None, Some(("a", &text))), &text, 4_000);
        assert!(shown.starts_with("why why") && shown.contains("xxx") && shown.ends_with("-----\n"), "{shown}");
        // Of a conversation the newest turn, where there is no room for more.
        let mut later = long;
        later.messages.insert(0, Message { role: Role::User, content: "before".to_owned() });
        assert!(within(&later, "short", 4_000).contains("before"));
        let shown = within(&later, &text, 4_000);
        assert!(!shown.contains("before") && shown.contains("Sum it up"), "{shown}");
    }

    proptest! {
        #[test]
        fn no_more_is_told_than_there_is_room_for(
            prompt in "[a-zé]{0,300}", name in "[aé]{1,40}", text in "[xé]{1,600}", at in prop::option::of(0_usize..300),
            has_document in any::<bool>(), most in 0_usize..1_000,
        ) {
            let spec = spec(&prompt, at, has_document.then_some((&name, &text)));
            let shown = within(&spec, &text, most);
            prop_assert!(shown.len() <= most);
            let whole = spec.task(spec.documents.first().map(|document| (document, text.as_str())));
            prop_assert!(whole.len() > most || shown == whole);
        }
    }
}
