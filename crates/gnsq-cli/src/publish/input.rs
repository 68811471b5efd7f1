//! Where the messages come from.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::vec;

use bytes::Bytes;
use tokio::sync::mpsc as async_mpsc;

use super::splitter::{Item, Splitter};
use crate::exit::Failure;

/// Messages from the command line, or cut out of a file or stdin.
#[derive(Debug)]
pub(super) enum Input {
    Arguments { messages: vec::IntoIter<Bytes>, limit: usize },
    Stream(Stream),
}

/// A file or stdin, read by a thread, one piece at a time and only when asked: what is not wanted any more stays unread.
#[derive(Debug)]
pub(super) struct Stream {
    splitter: Splitter,
    name: String,
    /// The size in bytes, if it is known.
    pub(super) size: Option<u64>,
    ask: mpsc::Sender<Vec<u8>>,
    pieces: async_mpsc::UnboundedReceiver<(Vec<u8>, io::Result<usize>)>,
    asked: bool,
    spare: Option<Vec<u8>>,
    ended: bool,
}

impl Input {
    /// The messages of the command line.
    pub(super) fn arguments(messages: Vec<Bytes>, limit: usize) -> Self {
        Self::Arguments { messages: messages.into_iter(), limit }
    }

    /// A file, or stdin if there is none.
    ///
    /// # Errors
    ///
    /// When the file can't be opened.
    pub(super) fn stream(file: Option<PathBuf>, splitter: Splitter, piece: usize) -> Result<Self, Failure> {
        let (name, size, reader): (_, _, Box<dyn Read + Send>) = match file {
            None => ("stdin".to_owned(), None, Box::new(io::stdin())),
            Some(path) => {
                let name = path.display().to_string();
                let open = File::open(&path).and_then(|file| Ok((file.metadata()?, file)));
                let (metadata, file) = open.map_err(|error| Failure::failed(format!("can't read {name}: {error}")))?;
                if metadata.is_dir() {
                    return Err(Failure::failed(format!("can't read {name}: it is a directory")));
                }
                (name, metadata.is_file().then_some(metadata.len()), Box::new(file))
            }
        };
        let (ask, asked) = mpsc::channel();
        let (answer, pieces) = async_mpsc::unbounded_channel();
        thread::Builder::new()
            .name("input".to_owned())
            .spawn(move || read_when_asked(reader, &asked, &answer))
            .map_err(|error| Failure::failed(format!("no thread to read {name} with: {error}")))?;
        let spare = Some(vec![0; piece]);
        Ok(Self::Stream(Stream { splitter, name, size, ask, pieces, asked: false, spare, ended: false }))
    }

    /// The next item; `None` at the end. A message of the command line is one whatever is in it.
    ///
    /// Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<Result<Item, Failure>> {
        match self {
            Self::Arguments { .. } => self.ready(),
            Self::Stream(stream) => stream.next().await,
        }
    }

    /// An item that is there already.
    pub(super) fn ready(&mut self) -> Option<Result<Item, Failure>> {
        match self {
            Self::Arguments { messages, limit } => messages.next().map(|message| {
                Ok(match message.len() {
                    0 => Item::Empty,
                    size if size > *limit => Item::TooLarge { size: Some(size as u64), part: message },
                    _ => Item::Message(message),
                })
            }),
            Self::Stream(stream) => stream.splitter.next().map(Ok),
        }
    }

    /// Takes what was read already, but is no whole message, and what arrived since nobody asked for more.
    pub(super) fn rest(&mut self) -> Bytes {
        match self {
            Self::Arguments { .. } => Bytes::new(),
            Self::Stream(stream) => {
                if let Ok((buffer, Ok(length))) = stream.pieces.try_recv() {
                    stream.splitter.push(&buffer[..length]);
                }
                stream.splitter.rest()
            }
        }
    }

    /// How many bytes went into whole messages, of a stream.
    pub(super) fn taken(&self) -> Option<u64> {
        match self {
            Self::Arguments { .. } => None,
            Self::Stream(stream) => Some(stream.splitter.taken()),
        }
    }

    /// The size of the whole in bytes, if it is known.
    pub(super) fn size(&self) -> Option<u64> {
        match self {
            Self::Arguments { .. } => None,
            Self::Stream(stream) => stream.size,
        }
    }
}

impl Stream {
    async fn next(&mut self) -> Option<Result<Item, Failure>> {
        loop {
            if let Some(item) = self.splitter.next() {
                return Some(Ok(item));
            }
            if self.ended {
                return None;
            }
            if let Some(buffer) = self.spare.take() {
                // The thread lives as long as it is asked.
                self.asked = self.ask.send(buffer).is_ok();
            }
            match self.pieces.recv().await {
                Some((_, Ok(0))) | None => {
                    self.ended = true;
                    self.splitter.finish();
                }
                Some((buffer, Ok(length))) => {
                    self.splitter.push(&buffer[..length]);
                    self.spare = Some(buffer);
                }
                Some((_, Err(error))) => {
                    self.ended = true;
                    return Some(Err(Failure::failed(format!("can't read {}: {error}", self.name))));
                }
            }
        }
    }
}

fn read_when_asked(
    mut reader: Box<dyn Read + Send>,
    asked: &mpsc::Receiver<Vec<u8>>,
    answer: &async_mpsc::UnboundedSender<(Vec<u8>, io::Result<usize>)>,
) {
    for mut buffer in asked {
        let length = loop {
            match reader.read(&mut buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                length => break length,
            }
        };
        if answer.send((buffer, length)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[tokio::test]
    async fn a_file_is_read_in_pieces_to_its_end() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"one\ntwo\nthree").unwrap();
        let splitter = Splitter::new(b"\n".to_vec(), 100);
        let mut input = Input::stream(Some(file.path().to_owned()), splitter, 2).unwrap();
        assert_eq!(input.size(), Some(13));
        let mut messages = Vec::new();
        while let Some(item) = input.next().await {
            let Item::Message(message) = item.unwrap() else { panic!("only messages are there") };
            messages.push(message);
        }
        assert_eq!(messages, ["one", "two", "three"]);
        assert_eq!(input.taken(), Some(13));
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_told() {
        for path in ["/nowhere/at/all", "/"] {
            let splitter = Splitter::new(b"\n".to_vec(), 100);
            let error = Input::stream(Some(path.into()), splitter, 2).unwrap_err().to_string();
            assert!(error.contains(path), "{error}");
        }
    }

    #[tokio::test]
    async fn an_argument_is_one_message_whatever_is_in_it() {
        let mut input = Input::arguments(vec!["a\nb".into(), "".into(), "long".into()], 3);
        assert_eq!(input.next().await.unwrap().unwrap(), Item::Message("a\nb".into()));
        assert_eq!(input.next().await.unwrap().unwrap(), Item::Empty);
        assert!(matches!(input.next().await.unwrap().unwrap(), Item::TooLarge { size: Some(4), .. }));
        assert!(input.next().await.is_none());
    }
}
