//! The images of a run: which of them the page holds. Their bytes come from the store, through whoever asks for a report.

use std::collections::BTreeMap;

use acm2_domain::artifact::Artifact;
use acm2_domain::ids::ArtifactId;
use acm2_domain::run::Task;

/// The most bytes of images that the page holds, 8 MiB, as much as one image may have: the page is a third larger for them.
pub const MOST_BYTES: u64 = 8 * 1_024 * 1_024;

/// The images that the page holds. What each is was found by its bytes: PNG, JPEG or WebP, and never a document such as SVG.
pub type Images = BTreeMap<ArtifactId, Artifact>;

/// The images that the page is to hold, in the order of the run; those that would make it too large are left out.
pub fn to_hold(tasks: &[Task]) -> Vec<ArtifactId> {
    let mut left = MOST_BYTES;
    let mut held = Vec::new();
    for artifact in tasks.iter().flat_map(|task| &task.artifacts) {
        if let Some(rest) = left.checked_sub(artifact.bytes) {
            left = rest;
            held.push(artifact.id);
        }
    }
    held
}
