//! Where messages go that were not published.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::exit::Failure;
use crate::output;

/// Keeps messages that were not published: in a file from which they can be published again, else on stderr.
#[derive(Debug)]
pub(super) struct FailedMessages {
    place: Place,
    delimiter: Vec<u8>,
    /// Whether the file could not be written.
    pub(super) broken: bool,
}

#[derive(Debug)]
enum Place {
    File { path: PathBuf, file: BufWriter<File>, is_new: bool },
    Stderr { is_terminal: bool },
}

impl FailedMessages {
    /// In the file at `path`, behind what it has, or on stderr. It is opened now, so that no message is lost because it
    /// can't be.
    pub(super) fn open(path: Option<&Path>, delimiter: Vec<u8>) -> Result<Self, Failure> {
        let place = match path {
            None => Place::Stderr { is_terminal: output::stderr_is_terminal() },
            Some(path) => {
                let is_new = !path.exists();
                let file =
                    OpenOptions::new().create(true).append(true).open(path).map_err(|error| {
                        Failure::usage(format!("--failed: can't write {}: {error}", path.display()))
                    })?;
                Place::File { path: path.to_owned(), file: BufWriter::new(file), is_new }
            }
        };
        Ok(Self { place, delimiter, broken: false })
    }

    /// Whether `input` is the file that these are written to.
    pub(super) fn is(&self, input: &Path) -> bool {
        match &self.place {
            Place::File { path, .. } => match (fs::canonicalize(path), fs::canonicalize(input)) {
                (Ok(a), Ok(b)) => a == b,
                _ => false,
            },
            Place::Stderr { .. } => false,
        }
    }

    /// Where they are, for people.
    pub(super) fn name(&self) -> String {
        match &self.place {
            Place::File { path, .. } => path.display().to_string(),
            Place::Stderr { .. } => "stderr".to_owned(),
        }
    }

    /// Keeps a whole message.
    pub(super) fn message(&mut self, message: &[u8]) {
        self.part(message);
        self.end();
    }

    /// Keeps a part of a message, whose other parts follow before anything else.
    pub(super) fn part(&mut self, part: &[u8]) {
        let written = match &mut self.place {
            Place::File { file, .. } => file.write_all(part),
            Place::Stderr { is_terminal: true } => io::stderr().write_all(output::harmless(part).as_bytes()),
            Place::Stderr { is_terminal: false } => io::stderr().write_all(part),
        };
        self.check(written, part);
    }

    /// Ends a message that came in parts.
    pub(super) fn end(&mut self) {
        let written = match &mut self.place {
            Place::File { file, .. } => file.write_all(&self.delimiter).and_then(|()| file.flush()),
            Place::Stderr { is_terminal: true } => io::stderr().write_all(b"\n"),
            Place::Stderr { is_terminal: false } => io::stderr().write_all(&self.delimiter),
        };
        self.check(written, &[]);
    }

    /// Removes a file that was made for nothing.
    pub(super) fn finish(self, used: bool) {
        if let Place::File { path, file, is_new: true } = self.place
            && !used
        {
            drop(file);
            // An empty file that stays harms nobody.
            let _ = fs::remove_file(path);
        }
    }

    /// A full disk must not lose what it was meant to keep.
    fn check(&mut self, written: io::Result<()>, lost: &[u8]) {
        let (Err(error), Place::File { path, .. }) = (written, &self.place) else { return };
        output::complain(format!("can't write {}: {error}; what was not published follows here", path.display()));
        let is_terminal = output::stderr_is_terminal();
        // What the file's buffer still holds would be tried again and again.
        if let Place::File { file, .. } = std::mem::replace(&mut self.place, Place::Stderr { is_terminal }) {
            let (_, buffered) = file.into_parts();
            if let Ok(buffered) = buffered {
                self.part(&buffered);
            }
        }
        self.broken = true;
        self.part(lost);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_kept_so_that_they_can_be_published_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("failed");
        fs::write(&path, "old\n").unwrap();
        let mut failed = FailedMessages::open(Some(&path), b"\n".to_vec()).unwrap();
        failed.message(b"one");
        failed.part(b"tw");
        failed.part(b"o");
        failed.end();
        assert!(failed.is(&path));
        failed.finish(true);
        assert_eq!(fs::read(&path).unwrap(), b"old\none\ntwo\n");
    }

    #[test]
    fn a_file_that_was_not_needed_does_not_stay() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("failed");
        FailedMessages::open(Some(&path), b"\n".to_vec()).unwrap().finish(false);
        assert!(!path.exists());
        fs::write(&path, "old").unwrap();
        FailedMessages::open(Some(&path), b"\n".to_vec()).unwrap().finish(false);
        assert!(path.exists());
    }

    #[test]
    fn a_file_that_cannot_be_written_is_found_at_the_start() {
        let error = FailedMessages::open(Some(Path::new("/nowhere/failed")), b"\n".to_vec()).unwrap_err();
        assert!(error.to_string().contains("/nowhere/failed"), "{error}");
    }
}
