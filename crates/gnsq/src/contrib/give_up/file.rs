//! Writes messages that are given up to a file.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::Mutex;

use super::record::record;
use super::rotation::RotatingFile;
use crate::error::{Error, Result};
use crate::events::MessageEvent;
use crate::runtime::Io;

/// Appends each message that is given up to a file, as a line of JSON, and only then lets it be finished. When it can't be
/// written, since the disk is full or the file can't be opened, the message is requeued.
///
/// A line has the fields `topic`, `id`, `attempts`, `timestamp` (nanoseconds since 1970), `nsqd`, `encoding` (`utf-8`, or `base64`
/// for a body that is no text) and `body`. Lines stay whole: what a failed write left behind is removed, or ended. The file is
/// opened anew when it was moved or removed. Writing blocks no task; several consumers may share one by its clones.
///
/// When the file would become larger than [`max_size`](FileGiveUpBuilder::max_size) it is renamed: `dead.json` to
/// `dead.json.1`, that to `dead.json.2`, and so on. Beyond [`keep`](FileGiveUpBuilder::keep) the oldest is removed, and
/// its messages with it. Only one process may write to a file that is rotated.
///
/// ```no_run
/// # fn example() -> gnsq::Result<()> {
/// use gnsq::Consumer;
/// use gnsq::contrib::FileGiveUp;
///
/// let dead = FileGiveUp::builder("/var/spool/orders/dead.json").sync(true).build()?;
/// let consumer = Consumer::builder("orders", "billing").nsqd("127.0.0.1:4150").give_up_handler(dead.handler()).build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct FileGiveUp {
    file: Arc<Mutex<RotatingFile>>,
}

/// Makes a [`FileGiveUp`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until built"]
pub struct FileGiveUpBuilder {
    path: PathBuf,
    max_size: u64,
    keep: u32,
    sync: bool,
}

impl FileGiveUp {
    /// Begins with the defaults. The file is created if it is missing, its directory isn't.
    pub fn builder(path: impl Into<PathBuf>) -> FileGiveUpBuilder {
        FileGiveUpBuilder { path: path.into(), max_size: 100 * 1024 * 1024, keep: 10, sync: false }
    }

    /// For [`ConsumerBuilder::give_up_handler`](crate::ConsumerBuilder::give_up_handler).
    pub fn handler(self) -> impl Fn(MessageEvent) -> BoxFuture<'static, io::Result<()>> + Send + Sync + 'static {
        move |message| self.clone().append(message).boxed()
    }

    async fn append(self, message: MessageEvent) -> io::Result<()> {
        let line = record(&message) + "\n";
        // Who waits for the file does so here, not in one of the threads for what blocks.
        let mut file = self.file.lock_owned().await;
        // A consumer can be polled without a runtime.
        let runtime = Io::Current.handle().or_else(|_| Io::Dedicated.handle()).map_err(io::Error::other)?;
        runtime.spawn_blocking(move || file.append(line.as_bytes())).await.map_err(io::Error::other)?
    }
}

impl FileGiveUpBuilder {
    /// How large the file may become, in bytes; a single message may be larger. Default: 100 MiB.
    pub fn max_size(mut self, bytes: u64) -> Self {
        self.max_size = bytes;
        self
    }

    /// How many renamed files are kept, 1 to 1000. Default: 10.
    pub fn keep(mut self, files: u32) -> Self {
        self.keep = files;
        self
    }

    /// Whether each line is on the disk, not only in the system's memory, before its message is finished. It then also
    /// outlives a crash of the system. Default: no.
    pub fn sync(mut self, sync: bool) -> Self {
        self.sync = sync;
        self
    }

    /// Opens the file.
    ///
    /// # Errors
    ///
    /// [`Error::Option`] when the file can't be opened for writing, or for an option that can't be used.
    pub fn build(self) -> Result<FileGiveUp> {
        let refuse = |option, reason: String| Err(Error::Option { option, reason });
        if self.max_size == 0 {
            return refuse("max_size", "give at least 1 byte".to_owned());
        }
        if !(1..=1000).contains(&self.keep) {
            return refuse("keep", "give 1 to 1000 files".to_owned());
        }
        match RotatingFile::open(self.path, self.max_size, self.keep, self.sync) {
            Ok(file) => Ok(FileGiveUp { file: Arc::new(Mutex::new(file)) }),
            Err(error) => refuse("path", error.to_string()),
        }
    }
}
