//! Brings what was written from the write-ahead log into the file, beside the writer and not inside its commits.
//!
//! SQLite does it by itself, in the commit that makes the log too long: that one then takes as long as writing thousands of
//! pages, and whoever waits for the writer meanwhile, a claim or a start record among them, is late. Here a thread of its own
//! has moved most pages before; the commit finds little left, and the log begins anew.
//! (<https://www.sqlite.org/wal.html#avoiding_excessively_large_wal_files>)

use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use diesel::sql_types::Integer;
use diesel::sqlite::SqliteConnection;
use diesel::{Connection as _, QueryableByName, RunQueryDsl as _, sql_query};

use crate::store::{Result, StoreError};

/// Pages in the log and not in the file, from which on it is worth a look at the disk: 4 MB.
const PAGES: i32 = 1_000;

/// What SQLite answers about its log.
#[derive(QueryableByName)]
struct Log {
    /// Pages in it, or -1.
    #[diesel(sql_type = Integer)]
    log: i32,
    /// How many of them are in the file.
    #[diesel(sql_type = Integer)]
    checkpointed: i32,
}

/// The thread. It ends with this, and what it is just bringing into the file is waited for: a matter of milliseconds, since
/// it begins anew with every 4 MB.
#[derive(Debug)]
pub struct Checkpoints {
    written: Option<SyncSender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Checkpoints {
    /// Of this file, by a connection of its own.
    pub fn begin(file: &Path, pragmas: &str) -> Result<Self> {
        use diesel::connection::SimpleConnection as _;
        let unusable = |cause: String| StoreError::Unusable(format!("{} cannot be opened: {cause}", file.display()));
        let mut connection =
            SqliteConnection::establish(&file.to_string_lossy()).map_err(|cause| unusable(cause.to_string()))?;
        connection.batch_execute(pragmas)?;
        let (written, notices) = sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("checkpoints".to_owned())
            .spawn(move || keep_short(connection, &notices))
            .map_err(|cause| unusable(cause.to_string()))?;
        Ok(Self { written: Some(written), thread: Some(thread) })
    }

    /// Something was written. Nobody waits for anything here.
    pub fn written(&self) {
        if let Some(written) = &self.written {
            // Full: it will look anyway.
            let _ok = written.try_send(());
        }
    }
}

impl Drop for Checkpoints {
    fn drop(&mut self) {
        self.written = None;
        if let Some(thread) = self.thread.take() {
            let _ok = thread.join();
        }
    }
}

fn keep_short(mut connection: SqliteConnection, notices: &Receiver<()>) {
    while notices.recv().is_ok() {
        if let Err(cause) = look(&mut connection) {
            // The writer does it itself where the log gets too long, and says what is wrong with the disk.
            log::debug!("the write-ahead log could not be brought into the file: {cause}");
        }
    }
}

fn look(c: &mut SqliteConnection) -> Result<()> {
    let log: Log = sql_query("PRAGMA wal_checkpoint(NOOP)").get_result(c)?;
    if log.log.saturating_sub(log.checkpointed) >= PAGES {
        // Waits for nobody: what a reader still needs stays for the next time.
        let _log: Log = sql_query("PRAGMA wal_checkpoint(PASSIVE)").get_result(c)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use diesel::connection::SimpleConnection as _;

    use super::super::connection::Connections;
    use super::*;

    #[test]
    fn a_long_log_is_brought_into_the_file_beside_the_writer() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("some.db");
        let pragmas = "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0";
        let mut writer = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
        writer.batch_execute(&format!("{pragmas}; CREATE TABLE t (x BLOB)")).unwrap();
        let log = |c: &mut SqliteConnection| -> Log { sql_query("PRAGMA wal_checkpoint(NOOP)").get_result(c).unwrap() };
        writer.batch_execute("INSERT INTO t VALUES (zeroblob(100000))").unwrap();
        look(&mut writer).unwrap();
        assert_eq!(log(&mut writer).checkpointed, 0, "it is short yet");
        writer.batch_execute("INSERT INTO t VALUES (zeroblob(5000000))").unwrap();
        let checkpoints = Checkpoints::begin(&file, pragmas).unwrap();
        checkpoints.written();
        // Its end waits for the work that it was told of.
        drop(checkpoints);
        let log = log(&mut writer);
        assert!(log.log >= PAGES && log.checkpointed == log.log, "{} of {}", log.checkpointed, log.log);
    }

    #[test]
    fn whoever_writes_tells_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("some.db");
        let connections = Connections::open(&file).unwrap();
        let write = |sql: &str| connections.write(|c| Ok(c.batch_execute(sql)?)).unwrap();
        write("CREATE TABLE t (x BLOB)");
        // The commit itself does it from 4,000 pages on.
        write("INSERT INTO t VALUES (zeroblob(5000000))");
        let mut other = SqliteConnection::establish(file.to_str().unwrap()).unwrap();
        let mut log = || -> Log { sql_query("PRAGMA wal_checkpoint(NOOP)").get_result(&mut other).unwrap() };
        while log().checkpointed < PAGES {
            std::thread::yield_now();
        }
    }
}
