//! Names of files in the archive: a number and what is left of a name when only letters, digits, `-` and `_` of ASCII are. Such a
//! name leaves no folder, hides no ending, is no device on any system, and no two are the same.

use acm2_domain::run::{ArtifactRef, Run, Task};

/// The longest part that comes from a name.
const LONGEST: usize = 60;

/// The file of an answer; `at` is the place of its task among the results. None where there is no text, and where there is nothing
/// but an image.
pub(crate) fn answer_name(at: usize, task: &Task) -> Option<String> {
    let text = task.text.as_ref()?;
    let is_one = !text.is_empty() || task.artifacts.is_empty();
    is_one.then(|| format!("answers/{:04}-{}.txt", at + 1, readable(&task.key)))
}

/// An image and its file.
#[derive(Debug, Clone)]
pub(crate) struct ImageFile<'a> {
    /// The path of the file in the archive.
    pub(crate) name: String,
    /// Who made it.
    pub(crate) task: &'a Task,
    /// What it is.
    pub(crate) artifact: &'a ArtifactRef,
}

/// Every image of a run, in its own order. Names begin with the number that the answer of the same task has.
pub(crate) fn images(run: &Run) -> impl Iterator<Item = ImageFile<'_>> {
    let tasks = run.results.iter().flatten().enumerate();
    tasks.flat_map(|(at, task)| {
        (1..).zip(&task.artifacts).map(move |(number, artifact)| {
            let again = if number > 1 { format!("-{number}") } else { String::new() };
            let ending = artifact.content_type.extension();
            ImageFile { name: format!("images/{:04}-{}{again}.{ending}", at + 1, readable(&task.key)), task, artifact }
        })
    })
}

/// The file of a document; `at` is its place among the run's.
pub(super) fn document_name(at: usize, name: &str) -> String {
    format!("documents/{:03}-{}.txt", at + 1, readable(name))
}

/// What is left of a name.
fn readable(name: &str) -> String {
    let mut left = String::new();
    for letter in name.chars() {
        if left.len() == LONGEST {
            break;
        }
        if letter.is_ascii_alphanumeric() || letter == '_' {
            left.push(letter);
        } else if !left.ends_with('-') && !left.is_empty() {
            left.push('-');
        }
    }
    let left = left.trim_end_matches('-');
    if left.is_empty() { "untitled".to_owned() } else { left.to_owned() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hostile_names_become_readable_ones() {
        assert_eq!(document_name(0, "../../etc/passwd"), "documents/001-etc-passwd.txt");
        assert_eq!(document_name(1, "C:\\con.exe\u{202e}txt.\0"), "documents/002-C-con-exe-txt.txt");
        assert_eq!(document_name(2, "تقرير"), "documents/003-untitled.txt");
        assert_eq!(document_name(99, &"x".repeat(500)).len(), "documents/100-.txt".len() + LONGEST);
    }

    proptest! {
        #[test]
        fn no_name_leaves_the_archive(name in ".*", at in 0_usize..200) {
            let path = document_name(at, &name);
            let rest = path.strip_prefix("documents/").unwrap().strip_suffix(".txt").unwrap();
            prop_assert!(rest.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_".contains(letter)), "{}", path);
        }
    }
}
