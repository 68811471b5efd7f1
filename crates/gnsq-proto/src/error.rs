//! The errors that nsqd and nsqlookupd send.

use std::fmt;

use bytes::Bytes;
use thiserror::Error;

use crate::message::MessageId;

/// An error frame: its code, and what the server wrote behind it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{code}{}{text}", if text.is_empty() { "" } else { ": " })]
pub struct ServerError {
    code: ErrorCode,
    text: String,
}

impl ServerError {
    /// An error as the server would send it.
    pub fn new(code: ErrorCode, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    /// Reads the data of an error frame: the first word is the code, the rest is kept as text.
    ///
    /// Every input gives an error: bytes that are not UTF-8 are replaced, a text over 1 KiB is cut.
    pub fn parse(data: &[u8]) -> Self {
        let bounded = &data[..data.len().min(MAX_TEXT)];
        let text = String::from_utf8_lossy(bounded);
        let (code, rest) = text.split_once(' ').unwrap_or((&text, ""));
        Self { code: ErrorCode::from_wire(code), text: rest.to_owned() }
    }

    /// The frame data: the code, and the text behind a space.
    pub fn to_wire(&self) -> Bytes {
        if self.text.is_empty() {
            return Bytes::copy_from_slice(self.code.as_str().as_bytes());
        }
        format!("{} {}", self.code, self.text).into()
    }

    /// Which error it is.
    pub fn code(&self) -> &ErrorCode {
        &self.code
    }

    /// What the server wrote behind the code.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether nsqd closes the connection after this error: it does after all but a failed FIN, REQ or TOUCH.
    pub fn is_fatal(&self) -> bool {
        self.code.is_fatal()
    }

    /// The message that a failed FIN, REQ or TOUCH was about.
    ///
    /// nsqd writes `E_FIN_FAILED FIN 0d2a… failed ID not in flight`.
    pub fn message_id(&self) -> Option<MessageId> {
        if self.is_fatal() {
            return None;
        }
        self.text.split(' ').find_map(|word| word.parse().ok())
    }
}

/// The codes of error frames.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorCode {
    /// `E_BAD_PROTOCOL`: the server doesn't know the protocol version that the client named first.
    BadProtocol,
    /// `E_INVALID`: a command that is unknown, malformed or not allowed now.
    Invalid,
    /// `E_BAD_BODY`: the body of IDENTIFY, AUTH or MPUB is refused.
    BadBody,
    /// `E_BAD_TOPIC`: no topic name.
    BadTopic,
    /// `E_BAD_CHANNEL`: no channel name.
    BadChannel,
    /// `E_BAD_MESSAGE`: a message that is empty or too large.
    BadMessage,
    /// `E_IDENTIFY_FAILED`: the features asked for can't be had together, or an upgrade failed.
    IdentifyFailed,
    /// `E_AUTH_DISABLED`: AUTH sent to a server that has none.
    AuthDisabled,
    /// `E_AUTH_FIRST`: the command needs AUTH before it.
    AuthFirst,
    /// `E_AUTH_FAILED`: the authentication server gave no answer; this may pass.
    AuthFailed,
    /// `E_UNAUTHORIZED`: the secret doesn't allow this.
    Unauthorized,
    /// `E_AUTH_ERROR`: the identity could not be sent.
    AuthError,
    /// `E_SUB_FAILED`: the channel takes no more consumers, or is being deleted.
    SubFailed,
    /// `E_PUB_FAILED`: the message could not be stored; another nsqd may.
    PubFailed,
    /// `E_MPUB_FAILED`: the messages could not be stored, at least not all of them.
    MpubFailed,
    /// `E_DPUB_FAILED`: the deferred message could not be stored.
    DpubFailed,
    /// `E_PUT_FAILED`: as `E_PUB_FAILED`, sent by servers before 0.3.
    PutFailed,
    /// `E_FIN_FAILED` (`E_FINISH_FAILED` before 0.3): the message was not this client's any more.
    FinFailed,
    /// `E_REQ_FAILED` (`E_REQUEUE_FAILED` before 0.3): the message was not this client's any more.
    ReqFailed,
    /// `E_TOUCH_FAILED`: the message was not this client's any more.
    TouchFailed,
    /// A code that this version doesn't know. It counts as fatal.
    Other(Box<str>),
}

impl ErrorCode {
    /// The code as the server sends it.
    pub fn as_str(&self) -> &str {
        if let Self::Other(code) = self {
            return code;
        }
        CODES.iter().find(|(code, _)| code == self).map_or("E_INVALID", |(_, text)| text)
    }

    /// Whether nsqd closes the connection after this error.
    pub fn is_fatal(&self) -> bool {
        !matches!(self, Self::FinFailed | Self::ReqFailed | Self::TouchFailed)
    }

    /// Whether the same command may succeed later, or on another nsqd.
    pub fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::AuthFailed
                | Self::SubFailed
                | Self::PubFailed
                | Self::MpubFailed
                | Self::DpubFailed
                | Self::PutFailed
        )
    }

    fn from_wire(word: &str) -> Self {
        CODES
            .iter()
            .chain(OLD_CODES)
            .find(|(_, text)| *text == word)
            .map_or_else(|| Self::Other(word.into()), |(code, _)| code.clone())
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

const CODES: &[(ErrorCode, &str)] = &[
    (ErrorCode::BadProtocol, "E_BAD_PROTOCOL"),
    (ErrorCode::Invalid, "E_INVALID"),
    (ErrorCode::BadBody, "E_BAD_BODY"),
    (ErrorCode::BadTopic, "E_BAD_TOPIC"),
    (ErrorCode::BadChannel, "E_BAD_CHANNEL"),
    (ErrorCode::BadMessage, "E_BAD_MESSAGE"),
    (ErrorCode::IdentifyFailed, "E_IDENTIFY_FAILED"),
    (ErrorCode::AuthDisabled, "E_AUTH_DISABLED"),
    (ErrorCode::AuthFirst, "E_AUTH_FIRST"),
    (ErrorCode::AuthFailed, "E_AUTH_FAILED"),
    (ErrorCode::Unauthorized, "E_UNAUTHORIZED"),
    (ErrorCode::AuthError, "E_AUTH_ERROR"),
    (ErrorCode::SubFailed, "E_SUB_FAILED"),
    (ErrorCode::PubFailed, "E_PUB_FAILED"),
    (ErrorCode::MpubFailed, "E_MPUB_FAILED"),
    (ErrorCode::DpubFailed, "E_DPUB_FAILED"),
    (ErrorCode::PutFailed, "E_PUT_FAILED"),
    (ErrorCode::FinFailed, "E_FIN_FAILED"),
    (ErrorCode::ReqFailed, "E_REQ_FAILED"),
    (ErrorCode::TouchFailed, "E_TOUCH_FAILED"),
];

const OLD_CODES: &[(ErrorCode, &str)] =
    &[(ErrorCode::FinFailed, "E_FINISH_FAILED"), (ErrorCode::ReqFailed, "E_REQUEUE_FAILED")];

/// nsqd's longest texts quote a name or a command line; more than this is not meant for a person.
const MAX_TEXT: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_behind_the_code_is_kept() {
        let error = ServerError::parse(b"E_BAD_TOPIC E_BAD_TOPIC MPUB topic name \"a b\" is not valid");
        assert_eq!(error.code(), &ErrorCode::BadTopic);
        assert_eq!(error.text(), "E_BAD_TOPIC MPUB topic name \"a b\" is not valid");
        assert_eq!(error.to_string(), "E_BAD_TOPIC: E_BAD_TOPIC MPUB topic name \"a b\" is not valid");
        assert!(error.is_fatal());
    }

    #[test]
    fn a_late_finish_names_its_message() {
        let error = ServerError::parse(b"E_FIN_FAILED FIN 0d2a5b7c9e1f3a00 failed ID not in flight");
        assert_eq!(error.message_id(), Some(MessageId(*b"0d2a5b7c9e1f3a00")));
        assert!(!error.is_fatal());
        assert_eq!(ServerError::parse(b"E_FIN_FAILED").message_id(), None);
        assert_eq!(ServerError::parse(b"E_INVALID 0d2a5b7c9e1f3a00").message_id(), None);
    }

    #[test]
    fn every_code_survives_the_wire() {
        for (code, text) in CODES {
            assert_eq!(&ServerError::parse(text.as_bytes()).code, code);
            let error = ServerError::new(code.clone(), "why");
            assert_eq!(ServerError::parse(&error.to_wire()), error);
        }
        assert_eq!(ServerError::parse(b"E_REQUEUE_FAILED x").code, ErrorCode::ReqFailed);
        assert_eq!(ServerError::parse(b"E_NEW x").code, ErrorCode::Other("E_NEW".into()));
    }

    #[test]
    fn any_bytes_give_a_bounded_error() {
        assert_eq!(ServerError::parse(b"").code, ErrorCode::Other("".into()));
        assert!(ServerError::parse(&vec![0xff; 100_000]).to_string().len() <= 4 * MAX_TEXT);
    }
}
