//! The images that the run made, each with who made it and where it can be had.

use std::fmt;

use acm2_domain::artifact::Artifact;
use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;

use super::words;
use crate::Reported;
use crate::archive::{ImageFile, images};

/// How much of what a provider said to an image is shown, in characters.
const LONGEST_SAID: usize = 600;

/// An image.
#[derive(Debug)]
pub(super) struct Picture<'a> {
    /// The image itself; none where the page does not hold it.
    pub(super) source: Option<Source<'a>>,
    /// Who made it.
    pub(super) model: &'a str,
    /// The same in words, for those who do not see it.
    pub(super) alt: String,
    /// What it is about, which time it was made, what it is and how large.
    pub(super) facts: Vec<String>,
    /// What the provider said to it; often nothing.
    pub(super) said: String,
    /// Where it is downloaded from.
    pub(super) path: &'a str,
    /// Its name in the export.
    pub(super) file: String,
}

/// An address that holds the whole image.
#[derive(Debug)]
pub(super) struct Source<'a>(&'a Artifact);

impl fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(image) = self;
        write!(f, "data:{};base64,{}", image.content_type().as_str(), Base64Display::new(image.data(), &STANDARD))
    }
}

/// Every image, in the order of the run.
pub(super) fn all(reported: Reported<'_>) -> Vec<Picture<'_>> {
    images(reported.run).map(|image| picture(reported, image)).collect()
}

fn picture<'a>(reported: Reported<'a>, ImageFile { name, task, artifact }: ImageFile<'a>) -> Picture<'a> {
    let about = task.document.as_ref().map(|document| &*document.name);
    let again = format!("iteration {}", task.iteration);
    let size = format!("{}, {}", artifact.content_type.as_str(), words::size(artifact.bytes));
    let mut alt = format!("Image by {}, {again}", task.model);
    if let Some(name) = about {
        alt = format!("{alt}, about {name}");
    }
    let (said, is_cut) = words::cut(task.text.as_deref().unwrap_or_default().trim(), LONGEST_SAID);
    Picture {
        source: reported.images.get(&artifact.id).map(Source),
        model: &task.model,
        alt,
        facts: about.map(str::to_owned).into_iter().chain([again, size]).collect(),
        said: if is_cut { format!("{said}…") } else { said.to_owned() },
        path: &artifact.path,
        file: name,
    }
}
