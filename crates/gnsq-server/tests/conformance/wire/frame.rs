//! What nsqd sends.

#[derive(Debug, PartialEq)]
pub(crate) enum Frame {
    Response(String),
    Error(Bytes),
    Message(Message),
}

/// An error's text, which can repeat bytes that aren't text.
#[derive(PartialEq)]
pub(crate) struct Bytes(Vec<u8>);

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Message {
    /// Nanoseconds since the epoch.
    pub(crate) timestamp: i64,
    pub(crate) attempts: u16,
    pub(crate) id: String,
    pub(crate) body: String,
}

impl Frame {
    pub(super) fn decode(data: &[u8]) -> Option<Self> {
        let (kind, data) = data.split_first_chunk::<4>()?;
        match u32::from_be_bytes(*kind) {
            0 => String::from_utf8(data.to_vec()).ok().map(Self::Response),
            1 => Some(Self::Error(Bytes(data.to_vec()))),
            2 => Message::decode(data).map(Self::Message),
            _ => None,
        }
    }
}

impl Message {
    fn decode(data: &[u8]) -> Option<Self> {
        let (timestamp, data) = data.split_first_chunk()?;
        let (attempts, data) = data.split_first_chunk()?;
        let (id, body) = data.split_first_chunk::<16>()?;
        let id = String::from_utf8(id.to_vec()).ok()?;
        Some(Self {
            timestamp: i64::from_be_bytes(*timestamp),
            attempts: u16::from_be_bytes(*attempts),
            id: id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')).then_some(id)?,
            body: String::from_utf8(body.to_vec()).ok()?,
        })
    }
}

impl<T: AsRef<[u8]>> From<T> for Bytes {
    fn from(bytes: T) -> Self {
        Self(bytes.as_ref().to_vec())
    }
}

impl std::fmt::Debug for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

impl std::fmt::Display for Bytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}
