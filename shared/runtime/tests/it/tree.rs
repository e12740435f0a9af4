//! The work tree that these tests look at.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the crate lies two folders deep").to_owned()
}

/// A file of the repository.
pub(crate) fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The paths of all files that are or would be committed, relative to the root.
pub(crate) fn files() -> Vec<String> {
    let git = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    assert!(git.status.success(), "git: {}", String::from_utf8_lossy(&git.stderr));
    let mut files: Vec<String> =
        String::from_utf8(git.stdout).expect("paths are UTF-8").lines().map(str::to_owned).collect();
    files.retain(|path| root().join(path).is_file());
    assert!(files.iter().any(|path| path == "Cargo.toml"), "the listing must hold at least the root manifest");
    files
}
