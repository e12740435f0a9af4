//! The lock on the data folder: one process serves from it. `Store::lock_data_dir` takes it.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::error::StoreError;
use crate::sqlite::make_private_file;

/// The lock on a data folder; dropping it, or the end of the process however it ends, lets go.
#[derive(Debug)]
pub struct DataDirLock {
    _file: File,
}

impl DataDirLock {
    /// Takes the lock or fails at once.
    ///
    /// # Errors
    /// `Setup` if another process holds it or the folder cannot be written.
    pub(crate) fn acquire(dir: &Path) -> Result<Self, StoreError> {
        let path = dir.join("lock");
        let setup = |error: std::io::Error| StoreError::Setup(format!("cannot lock {}: {error}", path.display()));
        make_private_file(&path).map_err(setup)?;
        let file = File::options().write(true).open(&path).map_err(setup)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Setup(format!(
                "another process serves from {}; stop it first, or choose another folder",
                dir.display()
            ))),
            Err(TryLockError::Error(error)) => Err(setup(error)),
        }
    }
}
