//! The master key that the embedded default makes for itself on the first start and finds again on every later one. Knows
//! nothing of what a master key looks like: the caller brings the generator, so that the vault need not be known here.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

const FILE: &str = "master.key";
/// A control store that is there without its key: making a new key would lock its secrets for ever.
const CONTROL_STORE: &str = "control.db";
const LARGEST: u64 = 64 * 1024;

/// Why there is no master key.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedSecretError {
    /// Others than the owner may read or write the file.
    #[error("{path} may be read by others (mode {mode:03o}); run `chmod 600 {path}`", path = path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file is empty, too large or not text.
    #[error("{path} does not hold a master key; restore it from a back-up", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
    },
    /// The data is there, its key is not.
    #[error("{dir} holds data but not its key {file}; restore that file, or set ACM2_MASTER_KEYS to the keys that sealed this data", dir = dir.display(), file = FILE)]
    Missing {
        /// The data folder.
        dir: PathBuf,
    },
    /// The disk refused.
    #[error("cannot {action} {path}: {source}", path = path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The master key in the data folder; on the first start it is made by `generate` and stored, readable by the owner only.
/// Two processes that start at the same moment get the same key. When this returns, the key has reached the disk.
pub fn load_or_create(
    data_dir: &Path,
    generate: impl FnOnce() -> SecretString,
) -> Result<SecretString, EmbeddedSecretError> {
    let path = data_dir.join(FILE);
    if let Some(secret) = load(&path)? {
        return Ok(secret);
    }
    if data_dir.join(CONTROL_STORE).exists() {
        return Err(EmbeddedSecretError::Missing { dir: data_dir.to_owned() });
    }
    DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(failed("create", data_dir))?;
    create(data_dir, &path, &generate())?;
    // Also when another process was first: its key is the one that counts.
    load(&path)?.ok_or(EmbeddedSecretError::Unreadable { path })
}

fn load(path: &Path) -> Result<Option<SecretString>, EmbeddedSecretError> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed("open", path)(error)),
    };
    // Of the open file, not of the path, so that nobody can swap it in between.
    let metadata = file.metadata().map_err(failed("read", path))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(EmbeddedSecretError::Open { path: path.to_owned(), mode });
    }
    let unreadable = || EmbeddedSecretError::Unreadable { path: path.to_owned() };
    if !metadata.is_file() || metadata.len() > LARGEST {
        return Err(unreadable());
    }
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(metadata.len()).unwrap_or_default() + 1));
    match file.read_to_string(&mut text) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(unreadable()),
        Err(error) => return Err(failed("read", path)(error)),
    }
    match text.trim() {
        "" => Err(unreadable()),
        secret => Ok(Some(secret.into())),
    }
}

/// Writes a whole file beside the final name, then links it there: the final name never shows half a key, and linking
/// fails where another process was first.
fn create(data_dir: &Path, path: &Path, secret: &SecretString) -> Result<(), EmbeddedSecretError> {
    let draft = data_dir.join(format!(".{FILE}.{}", std::process::id()));
    // One that a killed process of the same number left behind; a living one cannot have our number.
    let _ = fs::remove_file(&draft);
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).and_then(|mut file| {
        file.write_all(secret.expose_secret().as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()
    });
    let linked = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    let _ = fs::remove_file(&draft);
    linked.and_then(|()| File::open(data_dir)?.sync_all()).map_err(failed("write", path))
}

fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> EmbeddedSecretError {
    move |source| EmbeddedSecretError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn key(text: &str) -> impl FnOnce() -> SecretString {
        move || text.into()
    }

    #[test]
    fn a_key_is_made_once_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("new").join("data");
        assert_eq!(load_or_create(&data, key("one")).unwrap().expose_secret(), "one");
        assert_eq!(load_or_create(&data, key("two")).unwrap().expose_secret(), "one");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&data), mode(&data.join(FILE))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn a_key_that_others_may_read_is_refused_with_the_way_out() {
        let dir = tempfile::tempdir().unwrap();
        load_or_create(dir.path(), key("hunter2")).unwrap();
        fs::set_permissions(dir.path().join(FILE), fs::Permissions::from_mode(0o640)).unwrap();
        let error = load_or_create(dir.path(), key("two")).unwrap_err().to_string();
        assert!(error.contains("(mode 640)") && error.contains("chmod 600") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn an_empty_key_file_is_refused_and_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        load_or_create(dir.path(), key("one")).unwrap();
        fs::write(dir.path().join(FILE), " \n").unwrap();
        assert!(matches!(load_or_create(dir.path(), key("two")), Err(EmbeddedSecretError::Unreadable { .. })));
    }

    #[test]
    fn data_without_its_key_gets_no_new_one() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(CONTROL_STORE), "").unwrap();
        let error = load_or_create(dir.path(), key("two")).unwrap_err();
        assert!(matches!(error, EmbeddedSecretError::Missing { .. }) && !dir.path().join(FILE).exists(), "{error}");
    }

    #[test]
    fn a_race_ends_with_one_key_for_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let made = AtomicUsize::new(0);
        // The other process comes first, between our look and our write.
        let ours = load_or_create(dir.path(), || {
            made.fetch_add(1, Ordering::Relaxed);
            create(dir.path(), &path, &"theirs".into()).unwrap();
            "ours".into()
        });
        assert_eq!((ours.unwrap().expose_secret(), made.into_inner()), ("theirs", 1));
    }
}
