//! A ZIP that is written from front to back, and handed out in pieces while it is.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use zip::write::{SimpleFileOptions, StreamWriter};
use zip::{CompressionMethod, DateTime, ZipWriter};

use crate::Failed;

/// The bytes that were written and not yet handed out.
#[derive(Debug, Clone, Default)]
struct Outbox(Arc<Mutex<Vec<u8>>>);

impl Outbox {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Outbox {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A ZIP under way.
#[derive(Debug)]
pub struct ZipStream {
    writer: ZipWriter<StreamWriter<Outbox>>,
    outbox: Outbox,
    options: SimpleFileOptions,
}

impl ZipStream {
    /// An empty one, whose files all bear this time.
    pub fn new(made_at: chrono::DateTime<chrono::Utc>) -> Self {
        let outbox = Outbox::default();
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .last_modified_time(stamp(made_at))
            .unix_permissions(0o644);
        Self { writer: ZipWriter::new_stream(outbox.clone()), outbox, options }
    }

    /// Begins a file.
    ///
    /// # Errors
    /// [`Failed::Archive`] if it cannot be packed.
    pub fn begin(&mut self, name: &str) -> Result<(), Failed> {
        Ok(self.writer.start_file(name, self.options)?)
    }

    /// Goes on with the file that was begun; the bytes that go out now.
    ///
    /// # Errors
    /// [`Failed::Bytes`] if they cannot be packed.
    pub fn write(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Failed> {
        self.writer.write_all(bytes)?;
        Ok(self.outbox.take())
    }

    /// The list of files, with which the archive ends.
    ///
    /// # Errors
    /// [`Failed::Archive`] if it cannot be written.
    pub fn finish(self) -> Result<Vec<u8>, Failed> {
        self.writer.finish()?;
        Ok(self.outbox.take())
    }
}

/// The time as a ZIP has it, which knows no zone and no year before 1980.
fn stamp(at: chrono::DateTime<chrono::Utc>) -> DateTime {
    use chrono::{Datelike as _, Timelike as _};
    let part = |part: u32| u8::try_from(part).unwrap_or_default();
    let year = u16::try_from(at.year()).unwrap_or_default();
    DateTime::from_date_and_time(
        year,
        part(at.month()),
        part(at.day()),
        part(at.hour()),
        part(at.minute()),
        part(at.second()),
    )
    .unwrap_or_default()
}
