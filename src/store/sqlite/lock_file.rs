//! One process per data folder: its lock file is the embedded master's lease.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;

use crate::store::{Result, StoreError};

/// Held as long as this lives; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub struct LockFile {
    _file: File,
}

impl LockFile {
    /// Takes the lock of a data folder and makes the folder if it is missing.
    ///
    /// # Errors
    /// The folder cannot be written, or another process holds it: the message names it.
    pub fn take(folder: &Path) -> Result<Self> {
        let unusable = |cause: &std::io::Error| {
            StoreError::Unusable(format!(
                "the data folder {} cannot be written ({cause}); choose another with --data-dir or change its rights",
                folder.display()
            ))
        };
        std::fs::create_dir_all(folder).map_err(|cause| unusable(&cause))?;
        let path = folder.join("task-scheduler.lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|cause| unusable(&cause))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                let named = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
                let holder = if named { holder.trim() } else { "another process" };
                return Err(StoreError::Unusable(format!(
                    "the data folder {} is in use by {holder}; stop it first, or choose another folder with --data-dir",
                    folder.display()
                )));
            }
            Err(TryLockError::Error(cause)) => return Err(unusable(&cause)),
        }
        // A name for whoever finds it locked. Not worth failing for: on a full disk the lock itself still holds.
        let noted =
            file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "process {}", std::process::id()));
        if let Err(cause) = noted {
            log::warn!("the lock file {} could not be written: {cause}", path.display());
        }
        Ok(Self { _file: file })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_refused_with_the_name_of_the_first() {
        let folder = tempfile::tempdir().unwrap();
        let _held = LockFile::take(folder.path()).unwrap();
        let refused = LockFile::take(folder.path()).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {}", std::process::id())), "{refused}");
        assert!(refused.contains("--data-dir"), "{refused}");
    }

    #[test]
    fn it_is_free_again_when_its_holder_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        drop(LockFile::take(folder.path()).unwrap());
        assert!(LockFile::take(folder.path()).is_ok());
    }
}
