//! Where a model of a run stands in the request that it came from: stages take judges from other stages and from the run, and a
//! council is a shorthand. Called by the api for what is found wrong after the request was compiled.

use super::council::CHAIR;
use super::new_run::NewRun;
use super::spec::{ModelSpec, RunSpec};
use crate::error::FieldError;

impl NewRun {
    /// What is wrong with models of the specification that this request was compiled to, at their places in the request; what comes
    /// to be the same is told once.
    pub fn places_of(&self, spec: &RunSpec, wrong: Vec<FieldError>) -> Vec<FieldError> {
        let mut placed: Vec<FieldError> = Vec::with_capacity(wrong.len());
        for error in wrong {
            let pointer = self.place_of(spec, &error.pointer);
            let error = FieldError { pointer: pointer.unwrap_or(error.pointer), detail: error.detail };
            if !placed.contains(&error) {
                placed.push(error);
            }
        }
        placed
    }

    /// The place in the request of a place in the specification; `None` where it is the same.
    fn place_of(&self, spec: &RunSpec, place: &str) -> Option<String> {
        if let Some(rest) = place.strip_prefix("/research/provider/") {
            return Some(format!("/research/{rest}"));
        }
        if self.council.get().is_some()
            && let Some(rest) = below(place, CHAIR)
        {
            return Some(format!("/council/chair{rest}"));
        }
        let of_evaluate = [
            ("/stages/pairwise/judges", self.stages.pairwise.get().is_some_and(|stage| stage.judges.is_empty())),
            (
                "/stages/final_pairwise/judges",
                self.stages.final_pairwise.get().is_some_and(|stage| stage.judges.is_empty()),
            ),
        ];
        for (judges, are_of_evaluate) in of_evaluate {
            if are_of_evaluate && let Some(rest) = below(place, judges) {
                return Some(format!("/stages/evaluate/judges{rest}"));
            }
        }
        let named = self.stages.review.get().is_some_and(|review| !review.reviewers.is_empty());
        let rest = below(place, "/stages/review/reviewers").filter(|_| !named)?;
        let index = rest.split('/').nth(1)?;
        let reviewer = spec.stages.review.as_ref()?.reviewers.get(index.parse::<usize>().ok()?)?;
        if spec.answers_of.is_some() {
            // The models of the other run are not in this request.
            return Some(if self.council.get().is_some() { "/council" } else { "/stages/review" }.to_owned());
        }
        let is_it = |model: &ModelSpec| {
            ModelSpec { max_output_tokens: reviewer.max_output_tokens, ..model.clone() } == *reviewer
        };
        let model = spec.models.iter().position(is_it)?;
        Some(format!("/models/{model}{}", &rest[1 + index.len()..]))
    }
}

/// What follows in a place that is this one or below it.
fn below<'a>(place: &'a str, above: &str) -> Option<&'a str> {
    place.strip_prefix(above).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::ids::RunId;
    use crate::prices::Prices;
    use crate::run::Material;

    fn request(body: &Value) -> NewRun {
        serde_json::from_value(body.clone()).unwrap()
    }

    /// The places that are told if something is wrong with the key of every model.
    fn places(run: &NewRun, spec: &RunSpec) -> Vec<String> {
        let wrong = |(place, _): (String, &ModelSpec)| FieldError::new(format!("{place}/provider_key_id"), "is wrong");
        let wrong = spec.asked_models().into_iter().map(wrong).collect();
        run.places_of(spec, wrong).into_iter().map(|error| error.pointer).collect()
    }

    fn all_there(body: &Value, places: &[String]) {
        for place in places {
            let model = place.strip_suffix("/provider_key_id").unwrap();
            assert!(body.pointer(model).is_some(), "{place} is not in {body}");
        }
    }

    #[test]
    fn every_place_is_one_of_the_request() {
        let body = json!({
            "prompt": "hi", "models": ["sandbox/a", "sandbox/a", "sandbox/b"], "generator": "research",
            "research": {"provider": "exa"}, "council": {"chair": "sandbox/c"},
            "stages": {"evaluate": {"judges": ["sandbox/d", "sandbox/e"]}, "pairwise": {}, "final_pairwise": {},
                "title": {"model": "sandbox/f"}},
        });
        let run = request(&body);
        let spec = run.compile(&Prices::built_in()).unwrap();
        let found = places(&run, &spec);
        let keys = |place: &str| format!("{place}/provider_key_id");
        let models = ["/models/0", "/models/1", "/models/2", "/research", "/stages/evaluate/judges/0"];
        let others = ["/stages/evaluate/judges/1", "/council/chair", "/stages/title/model"];
        assert_eq!(found, models.into_iter().chain(others).map(keys).collect::<Vec<_>>());
        all_there(&body, &found);
        // Who is named for a stage is told there.
        let body = json!({
            "prompt": "hi", "models": ["sandbox/a", "sandbox/b"],
            "stages": {"evaluate": {"judges": ["sandbox/d"]}, "pairwise": {"judges": ["sandbox/e"]},
                "review": {"reviewers": ["sandbox/f"]}, "combine": {"models": ["sandbox/g"]},
                "final_pairwise": {"judges": ["sandbox/h"]}},
        });
        let run = request(&body);
        let found = places(&run, &run.compile(&Prices::built_in()).unwrap());
        assert_eq!(found.len(), 7);
        all_there(&body, &found);
    }

    #[test]
    fn the_models_of_another_run_are_told_where_they_are_asked_for() {
        let source = request(&json!({"prompt": "hi", "models": ["sandbox/a", "sandbox/b"]}));
        let source = source.compile(&Prices::built_in()).unwrap();
        for (stage, place) in [("council", "/council"), ("review", "/stages/review")] {
            let body = match stage {
                "council" => json!({"answers_of": RunId::generate(), "council": {"chair": "sandbox/c"}}),
                _ => json!({"answers_of": RunId::generate(), "stages": {"review": {}}}),
            };
            let run = request(&body);
            let spec = run.compile_over(&source, &Prices::built_in(), &Material::default()).unwrap();
            assert_eq!(places(&run, &spec)[0], place);
        }
    }
}
