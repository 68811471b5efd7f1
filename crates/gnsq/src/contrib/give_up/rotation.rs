//! A file of lines that is renamed when it has become large.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Appends whole lines. It blocks.
#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    max_size: u64,
    keep: u32,
    sync: bool,
    /// None after a failure: what is there then is looked at anew.
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    size: u64,
    /// Whether it ends in the middle of a line.
    torn: bool,
    /// A device has no size, and another name is no use to it.
    regular: bool,
}

impl RotatingFile {
    pub(super) fn open(path: PathBuf, max_size: u64, keep: u32, sync: bool) -> io::Result<Self> {
        let open = Open::new(&path).map_err(|error| named(&path, &error))?;
        let this = Self { path, max_size, keep, sync, open: Some(open) };
        this.sync_directory()?;
        Ok(this)
    }

    /// Appends a line, which ends in a newline. After an error nothing of it is left that looks like a line.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        self.try_append(line).map_err(|error| named(&self.path, &error))
    }

    fn try_append(&mut self, line: &[u8]) -> io::Result<()> {
        if let Some(open) = &self.open
            && !open.is_at(&self.path)?
        {
            self.open = None;
        }
        let full = |open: &Open| open.regular && open.size > 0 && open.size + line.len() as u64 > self.max_size;
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.reopen()?,
        };
        if full(&open) {
            drop(open);
            self.rotate()?;
            open = self.reopen()?;
        }
        open.append(line)?;
        if self.sync {
            open.file.sync_data()?;
        }
        self.open = Some(open);
        Ok(())
    }

    fn reopen(&self) -> io::Result<Open> {
        let open = Open::new(&self.path)?;
        self.sync_directory()?;
        Ok(open)
    }

    fn rotate(&self) -> io::Result<()> {
        for number in (0..self.keep).rev() {
            match fs::rename(self.numbered(number), self.numbered(number + 1)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                outcome => outcome?,
            }
        }
        Ok(())
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut path = OsString::from(&self.path);
        if number > 0 {
            path.push(format!(".{number}"));
        }
        path.into()
    }

    /// A new file's name is to be on the disk too.
    fn sync_directory(&self) -> io::Result<()> {
        if !self.sync || !cfg!(unix) {
            return Ok(());
        }
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Open {
    fn new(path: &Path) -> io::Result<Self> {
        let mut file = OpenOptions::new().append(true).read(true).create(true).open(path)?;
        let metadata = file.metadata()?;
        let (size, regular) = (metadata.len(), metadata.is_file());
        let mut torn = false;
        if regular && size > 0 {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            torn = last != *b"\n";
        }
        Ok(Self { file, size, torn, regular })
    }

    fn append(&mut self, line: &[u8]) -> io::Result<()> {
        if self.torn {
            self.write(b"\n")?;
            self.torn = false;
        }
        self.write(line)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let written = self.file.write_all(bytes);
        match written {
            Ok(()) => self.size += bytes.len() as u64,
            // Should that fail too, the rest of the line is ended before the next.
            Err(_) if self.regular => drop(self.file.set_len(self.size)),
            Err(_) => {}
        }
        written
    }

    /// Whether this is the file that the path names.
    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let there = match fs::metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        Ok(same(&self.file.metadata()?, &there))
    }
}

#[cfg(unix)]
fn same(one: &fs::Metadata, other: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt;
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// A file that is open can't be moved there.
#[cfg(not(unix))]
fn same(_: &fs::Metadata, _: &fs::Metadata) -> bool {
    true
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
