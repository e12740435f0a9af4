//! What the models are asked: a prompt, a conversation or a filled in template, and the documents that it is about. Called by
//! `compile`.

use std::collections::BTreeSet;

use super::document::{DocumentChoice, DocumentSpec, check_inline};
use super::material::Material;
use super::new_run::NewRun;
use crate::call::{Message, Role};
use crate::error::FieldError;
use crate::template::{check_variables, fill};

pub(super) const MAX_MESSAGES: usize = 200;
pub(super) const MAX_DOCUMENTS: usize = 100;

/// What the models are asked.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// The conversation, without a document.
    pub(super) messages: Vec<Message>,
    /// The documents; each is asked about by itself.
    pub(super) documents: Vec<DocumentSpec>,
    /// Where the document stands in the last turn, in bytes; after it where `None`.
    pub(super) document_at: Option<usize>,
}

impl NewRun {
    /// Puts it together. `material`: `None` where the library was not looked into. `open`: whether a preset may bring what is
    /// not here.
    pub(super) fn asked(&self, material: Option<&Material>, open: bool, errors: &mut Vec<FieldError>) -> Asked {
        if self.system.as_deref().is_some_and(has_nul) {
            errors.push(FieldError::new("/system", "must not contain the character U+0000"));
        }
        let mut asked = Asked::default();
        match (&self.prompt, &self.messages, &self.template_id) {
            (None, None, None) if open => {}
            (None, None, None) => {
                errors.push(FieldError::new("/prompt", "is missing: say what the models shall be asked"));
            }
            (Some(prompt), None, None) => asked.messages = one_turn(check_prompt(prompt, errors)),
            (None, Some(messages), None) => asked.messages.clone_from(check_messages(messages, errors)),
            (None, None, Some(_)) => self.fill_template(material, &mut asked, errors),
            (_, Some(_), _) => {
                errors.push(FieldError::new("/messages", "give one of prompt, messages and template_id"));
            }
            (Some(_), None, Some(_)) => {
                errors.push(FieldError::new("/template_id", "give one of prompt, messages and template_id"));
            }
        }
        self.put_history_before(material, &mut asked, errors);
        check_variables(errors, "/variables", &self.variables);
        if !self.variables.is_empty() && self.template_id.is_none() && !open {
            errors.push(FieldError::new("/variables", "go with a template_id"));
        }
        asked.documents = self.documents(material, errors);
        asked
    }

    /// What was said before, where the run goes on a conversation.
    fn put_history_before(&self, material: Option<&Material>, asked: &mut Asked, errors: &mut Vec<FieldError>) {
        if self.conversation_id.is_none() {
            return;
        }
        if self.messages.is_some() {
            errors.push(FieldError::new("/conversation_id", "goes with a prompt or a template_id, not with messages"));
            return;
        }
        if self.documents.len() > 1 {
            errors.push(FieldError::new("/conversation_id", "goes with one document at most: it is given one answer"));
        }
        let Some(material) = material else { return };
        let Some(history) = &material.history else {
            errors.push(FieldError::new("/conversation_id", "there is no such conversation"));
            return;
        };
        // Providers refuse an empty turn, and want one of the user first.
        let said: Vec<&Message> = history.iter().filter(|message| !message.content.trim().is_empty()).collect();
        let newest = &said[said.len().saturating_sub(MAX_MESSAGES - 1)..];
        let first = newest.iter().position(|message| message.role == Role::User).unwrap_or(newest.len());
        asked.messages.splice(0..0, newest[first..].iter().copied().cloned());
    }

    fn fill_template(&self, material: Option<&Material>, asked: &mut Asked, errors: &mut Vec<FieldError>) {
        let Some(material) = material else { return };
        let Some(template) = &material.template else {
            errors.push(FieldError::new("/template_id", "there is no such template"));
            return;
        };
        match fill(&template.text, &template.variables, &self.variables) {
            Ok(rendered) => {
                if rendered.document_at.is_some() && self.documents.is_empty() {
                    errors.push(FieldError::new("/documents", "the template has a place for a document: name one"));
                } else if rendered.document_at.is_none() && rendered.text.trim().is_empty() {
                    errors.push(FieldError::new("/template_id", "the template filled in is empty"));
                }
                asked.document_at = rendered.document_at;
                asked.messages = one_turn(&rendered.text);
            }
            Err(wrong) => errors.extend(wrong),
        }
    }

    fn documents(&self, material: Option<&Material>, errors: &mut Vec<FieldError>) -> Vec<DocumentSpec> {
        if self.documents.len() > MAX_DOCUMENTS {
            errors.push(FieldError::new("/documents", format!("must have at most {MAX_DOCUMENTS} entries")));
        }
        let mut compiled = Vec::with_capacity(self.documents.len().min(MAX_DOCUMENTS));
        let mut named = BTreeSet::new();
        for (index, document) in self.documents.iter().enumerate().take(MAX_DOCUMENTS) {
            let pointer = format!("/documents/{index}");
            match document {
                DocumentChoice::Inline(document) => {
                    check_inline(errors, &pointer, document);
                    compiled.push(document.compile(index));
                }
                DocumentChoice::Stored(id) if !named.insert(*id) => {
                    errors.push(FieldError::new(pointer, "stands there twice"));
                }
                DocumentChoice::Stored(id) => match material.map(|material| material.documents.get(id)) {
                    Some(Some(found)) => compiled.push(DocumentSpec {
                        id: *id,
                        name: found.name.clone(),
                        hash: found.hash,
                        bytes: found.bytes,
                    }),
                    Some(None) => errors.push(FieldError::new(pointer, "there is no such document")),
                    None => {}
                },
            }
        }
        compiled
    }
}

fn one_turn(text: &str) -> Vec<Message> {
    vec![Message { role: Role::User, content: text.to_owned() }]
}

fn check_prompt<'a>(prompt: &'a str, errors: &mut Vec<FieldError>) -> &'a str {
    if prompt.trim().is_empty() {
        errors.push(FieldError::new("/prompt", "must not be empty"));
    } else if has_nul(prompt) {
        errors.push(FieldError::new("/prompt", "must not contain the character U+0000"));
    }
    prompt
}

fn check_messages<'a>(messages: &'a Vec<Message>, errors: &mut Vec<FieldError>) -> &'a Vec<Message> {
    if messages.is_empty() || messages.len() > MAX_MESSAGES {
        errors.push(FieldError::new("/messages", format!("must have 1 to {MAX_MESSAGES} turns")));
    } else if messages.last().is_some_and(|last| last.role != Role::User) {
        errors.push(FieldError::new("/messages", "must end with a turn of the user"));
    }
    for (index, message) in messages.iter().enumerate().take(MAX_MESSAGES) {
        if message.content.trim().is_empty() || has_nul(&message.content) {
            let pointer = format!("/messages/{index}/content");
            errors.push(FieldError::new(pointer, "must not be empty nor contain the character U+0000"));
        }
    }
    messages
}

fn has_nul(text: &str) -> bool {
    text.contains('\0')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::content_hash::ContentHash;
    use crate::ids::{DocumentId, TemplateId};
    use crate::prices::Prices;
    use crate::run::{RunSpec, StoredDocument, StoredTemplate};

    fn material(text: &str, documents: &[DocumentId]) -> Material {
        let found = |id: &DocumentId| {
            (*id, StoredDocument { name: "stored".to_owned(), hash: ContentHash::of("text"), bytes: 4 })
        };
        Material {
            documents: documents.iter().map(found).collect(),
            template: Some(StoredTemplate {
                text: text.to_owned(),
                variables: [("a".to_owned(), "kept".to_owned())].into(),
            }),
            ..Material::default()
        }
    }

    fn compile(body: serde_json::Value, material: &Material) -> Result<RunSpec, Vec<String>> {
        let body: NewRun = serde_json::from_value(body).unwrap();
        let compiled = body.compile_with(&Prices::built_in(), material);
        compiled.map_err(|errors| errors.into_iter().map(|error| error.pointer).collect())
    }

    #[test]
    fn a_document_stands_after_the_prompt_or_where_the_template_says() {
        let id = DocumentId::generate();
        let found = material("Read {{document}} and {{b}} {{a}}", &[id]);
        let prompt = json!({"prompt": "Read {{document}}", "models": ["sandbox/echo"], "documents": [id]});
        let spec = compile(prompt, &found).unwrap();
        let call = spec.call(&spec.models[0], Some((&spec.documents[0], "text")));
        // A prompt is no template.
        assert!(call.messages[0].content.starts_with("Read {{document}}\n\nThe document \"stored\" stands"));
        let template = TemplateId::generate();
        let filled = json!({"template_id": template, "variables": {"b": "{{a}}"}, "models": ["sandbox/echo"], "documents": [id]});
        let spec = compile(filled, &found).unwrap();
        let content = spec.call(&spec.models[0], Some((&spec.documents[0], "text"))).messages[0].content.clone();
        assert!(
            content.starts_with("Read \n\nThe document") && content.ends_with("-----\n\n and {{a}} kept"),
            "{content}"
        );
    }

    #[test]
    fn what_the_library_does_not_have_is_told_with_its_place() {
        let (id, gone) = (DocumentId::generate(), DocumentId::generate());
        let body = json!({
            "template_id": TemplateId::generate(), "models": ["sandbox/echo"], "variables": {"x": "1"},
            "documents": [id, gone, id, {"name": "a\nb", "text": " "}],
        });
        let wrong = compile(body.clone(), &material("{{y}}{{document}}", &[id])).unwrap_err();
        let expected =
            ["/variables/x", "/variables/y", "/documents/1", "/documents/2", "/documents/3/name", "/documents/3/text"];
        assert_eq!(wrong, expected);
        let without = compile(body, &Material::default()).unwrap_err();
        assert_eq!(without[..2], ["/template_id", "/documents/0"]);
        let check =
            |body: serde_json::Value| serde_json::from_value::<NewRun>(body).unwrap().check(&Prices::built_in());
        assert_eq!(
            check(json!({"template_id": TemplateId::generate(), "models": ["sandbox/echo"], "documents": [id]})),
            []
        );
    }

    #[test]
    fn one_thing_is_asked() {
        let template = TemplateId::generate();
        let turn = json!([{"role": "user", "content": "hi"}]);
        for (body, wrong) in [
            (json!({"prompt": "hi", "messages": turn, "models": ["sandbox/echo"]}), "/messages"),
            (json!({"messages": turn, "template_id": template, "models": ["sandbox/echo"]}), "/messages"),
            (json!({"prompt": "hi", "template_id": template, "models": ["sandbox/echo"]}), "/template_id"),
            (json!({"prompt": "hi", "variables": {"a": "b"}, "models": ["sandbox/echo"]}), "/variables"),
            (json!({"template_id": template, "models": ["sandbox/echo"]}), "/documents"),
        ] {
            assert_eq!(compile(body, &material("{{document}}", &[])).unwrap_err(), [wrong]);
        }
    }

    #[test]
    fn what_was_said_before_comes_before_the_prompt() {
        let said = |role, content: &str| Message { role, content: content.to_owned() };
        let id = crate::ids::ConversationId::generate();
        let going_on = |history: Option<Vec<Message>>, asks: &str, asked: serde_json::Value| {
            let mut body = json!({"conversation_id": id, "models": ["sandbox/echo"]});
            body[asks] = asked;
            compile(body, &Material { history, ..Material::default() })
        };
        let history = vec![said(Role::Assistant, "cut off"), said(Role::User, "one"), said(Role::Assistant, "two")];
        let spec = going_on(Some(history), "prompt", json!("three")).unwrap();
        let contents: Vec<&str> = spec.messages.iter().map(|message| &*message.content).collect();
        assert_eq!((contents, spec.conversation), (vec!["one", "two", "three"], Some(id)));
        // A blank turn is left out, and the first one that is not is the user's.
        let blank =
            [said(Role::User, ""), said(Role::Assistant, "one"), said(Role::User, "two"), said(Role::User, " \n")];
        let spec = going_on(Some(blank.into()), "prompt", json!("three")).unwrap();
        let contents: Vec<&str> = spec.messages.iter().map(|message| &*message.content).collect();
        assert_eq!(contents, ["two", "three"]);
        let long = vec![said(Role::User, "x"); 1_000];
        assert_eq!(going_on(Some(long), "prompt", json!("y")).unwrap().messages.len(), MAX_MESSAGES);
        assert_eq!(going_on(Some(Vec::new()), "prompt", json!("y")).unwrap().messages.len(), 1);
        assert_eq!(going_on(None, "prompt", json!("y")).unwrap_err(), ["/conversation_id"]);
        let turns = json!([{"role": "user", "content": "y"}]);
        assert_eq!(going_on(Some(Vec::new()), "messages", turns).unwrap_err(), ["/conversation_id"]);
    }

    #[test]
    fn documents_models_and_iterations_are_bounded_together() {
        let document = json!({"name": "a", "text": "b"});
        let body = |documents: usize, models: usize| {
            json!({"prompt": "hi", "models": vec!["sandbox/echo"; models], "iterations": 10,
                "documents": vec![&document; documents]})
        };
        assert!(compile(body(10, 5), &Material::default()).is_ok());
        assert_eq!(compile(body(11, 5), &Material::default()).unwrap_err(), ["/documents"]);
        assert_eq!(compile(body(101, 1), &Material::default()).unwrap_err(), ["/documents"]);
    }
}
