//! One client connection to nsqd as a state machine: bytes and the time go in, bytes and events come out.
//!
//! It opens no socket, reads no clock and waits for nothing. The caller's duties:
//!
//! 1. After bytes were appended to [`input`](Connection::input): call [`received`](Connection::received), then
//!    [`poll_event`](Connection::poll_event) until it gives `None`. Heartbeats are answered within; during IDENTIFY
//!    and its upgrades the answer waits until they are done.
//! 2. After any call: send what stands in [`output`](Connection::output).
//! 3. At [`next_timeout`](Connection::next_timeout), which any call may change: call
//!    [`handle_timeout`](Connection::handle_timeout), then `poll_event` until `None`.
//! 4. On [`Event::Upgrade`]: send what stands in `output`, change how bytes travel, hand what is left in `input`
//!    to the new layer, call [`upgraded`](Connection::upgraded). Nothing is decoded meanwhile.
//! 5. When the socket has ended, or `poll_event` or `handle_timeout` has given an error, which is final: call
//!    [`fail`](Connection::fail) and tell the waiters.
//!
//! A *waiter* is whatever the caller wants back with an answer: a channel's sender, a number.

mod answers;
mod commands;
mod error;
mod in_flight;
mod liveness;
mod upgrade;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};

use self::answers::{Answers, Asked};
use self::in_flight::InFlight;
use self::liveness::Liveness;
use crate::command::{Command, MAGIC_V2};
use crate::error::{ErrorCode, ServerError};
use crate::frame::{CLOSE_WAIT, Frame, FrameDecoder, HEARTBEAT, OK};
use crate::identify::{IdentifyRequest, IdentifyResponse};
use crate::limits::{DEFAULT_HEARTBEAT_INTERVAL, DEFAULT_MAX_FRAME_SIZE, DEFAULT_MAX_MSG_TIMEOUT, DEFAULT_MSG_TIMEOUT};
use crate::message::{MessageFrame, MessageId};
use crate::outgoing::Outgoing;

pub use self::error::{ConnectionError, Loss, Rejected, StateError};
pub use self::upgrade::Upgrade;

/// What happened on a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<W> {
    /// A message arrived. It counts as in flight until it is finished, requeued or expired.
    Message {
        /// The message.
        frame: MessageFrame,
        /// When nsqd will give it to someone else, by this side's clock.
        deadline: Instant,
    },
    /// A command that has an answer got it. `None` waits no more: its deadline passed before.
    Answer(Option<W>, Bytes),
    /// nsqd refused a FIN, REQ or TOUCH, since the message was not this connection's any more, and is not in flight.
    /// Nothing else is lost.
    TooLate(ServerError),
    /// A waiter's deadline has passed; the answer will be dropped when it comes.
    TimedOut {
        /// Who waited.
        waiter: W,
        /// Whether its command has left whole, so that nsqd may have carried it out or still will.
        sent: bool,
    },
    /// A message in flight reached its deadline: nsqd gives it to someone else.
    Expired(MessageId),
    /// The bytes travel differently from here on; see the module's duties.
    Upgrade(Upgrade),
    /// By [hand](Connection::set_by_hand): nsqd sent this, which is no answer to IDENTIFY or AUTH and no error.
    Frame(Frame),
}

/// A connection to nsqd, from the client's side. See the [module](self) for what its caller must do.
///
/// ```
/// use std::time::Instant;
///
/// use bytes::{Buf, Bytes};
/// use gnsq_proto::connection::Event;
/// use gnsq_proto::{Command, Connection, TopicName};
///
/// let now = Instant::now();
/// let mut connection = Connection::new(now);
/// let topic = TopicName::new("orders")?;
/// connection.publish(&Command::Pub { topic, body: Bytes::from_static(b"17") }, "the waiter", None)?;
/// assert_eq!(connection.output().chunk(), b"  V2PUB orders\n\0\0\0\x0217");
///
/// connection.input().extend_from_slice(b"\0\0\0\x06\0\0\0\0OK");
/// connection.received(now);
/// assert_eq!(connection.poll_event(now)?, Some(Event::Answer(Some("the waiter"), Bytes::from_static(b"OK"))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Connection<W> {
    phase: Phase,
    by_hand: bool,
    input: BytesMut,
    decoder: FrameDecoder,
    output: Outgoing,
    answers: Answers<W>,
    in_flight: InFlight,
    liveness: Liveness,
    /// What was asked for, until the answer comes.
    request: Option<IdentifyRequest>,
    response: Option<IdentifyResponse>,
    /// nsqd's answer to IDENTIFY, held back while there are `upgrades` to do.
    identify_answer: Bytes,
    upgrades: VecDeque<Upgrade>,
    /// Waiters to report as timed out, each with the position where its command ends.
    timed_out: VecDeque<(W, u64)>,
    /// Messages to report as expired.
    expired: VecDeque<MessageId>,
    /// A heartbeat came while IDENTIFY was under way.
    owes_nop: bool,
    failure: Option<ServerError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing is subscribed.
    Open,
    /// IDENTIFY is out: until its answer and the upgrades it brings, nothing may follow.
    Identifying,
    /// The caller is changing how bytes travel.
    Switching,
    Subscribed,
    /// CLS is out.
    Closing,
    Failed,
}

impl<W> Connection<W> {
    /// A connection whose socket was just opened; its first output is the protocol's magic.
    pub fn new(now: Instant) -> Self {
        let mut output = Outgoing::new();
        output.put(MAGIC_V2);
        Self {
            phase: Phase::Open,
            by_hand: false,
            input: BytesMut::new(),
            decoder: FrameDecoder::new(DEFAULT_MAX_FRAME_SIZE),
            output,
            answers: Answers::new(),
            in_flight: InFlight::new(DEFAULT_MSG_TIMEOUT, DEFAULT_MAX_MSG_TIMEOUT),
            // nsqd sends heartbeats from the beginning, at its default until IDENTIFY names another interval.
            liveness: Liveness::new(Some(DEFAULT_HEARTBEAT_INTERVAL), now),
            request: None,
            response: None,
            identify_answer: Bytes::new(),
            upgrades: VecDeque::new(),
            timed_out: VecDeque::new(),
            expired: VecDeque::new(),
            owes_nop: false,
            failure: None,
        }
    }

    /// Refuses frames of more than `size` bytes. Default: 16 MiB.
    pub fn set_max_frame_size(&mut self, size: usize) {
        self.decoder = FrameDecoder::new(size);
    }

    /// Leaves it to the user which commands are sent when ([`send`](Self::send)), and what is made of what nsqd sends: it
    /// comes as [`Event::Frame`], heartbeats and messages included, and nothing is counted as in flight. Heartbeats are
    /// answered, and IDENTIFY and AUTH work, as ever.
    pub fn set_by_hand(&mut self) {
        self.by_hand = true;
    }

    /// Where received bytes are appended.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// How many more bytes the first frame in `input` needs.
    pub fn missing(&self) -> usize {
        self.decoder.missing(&self.input)
    }

    /// What is to be sent.
    pub fn output(&mut self) -> &mut Outgoing {
        &mut self.output
    }

    /// How many messages nsqd waits for.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// Whether nsqd waits for this message.
    pub fn is_in_flight(&self, id: MessageId) -> bool {
        self.in_flight.contains(id)
    }

    /// How many answers are outstanding.
    pub fn outstanding(&self) -> usize {
        self.answers.len()
    }

    /// Who waits for an answer, in the order in which the answers will come. A waiter may be changed: its place stays.
    pub fn waiters_mut(&mut self) -> impl Iterator<Item = &mut W> {
        self.answers.waiters_mut()
    }

    /// What nsqd answered to IDENTIFY, once it has, unless it answered a plain `OK`.
    pub fn identified(&self) -> Option<&IdentifyResponse> {
        self.response.as_ref()
    }

    /// Bytes were appended to `input`.
    pub fn received(&mut self, now: Instant) {
        self.liveness.received(now);
    }

    /// The next thing that happened, until `None`.
    ///
    /// # Errors
    ///
    /// [`ConnectionError`] when the connection can't go on; no event follows.
    pub fn poll_event(&mut self, now: Instant) -> Result<Option<Event<W>>, ConnectionError> {
        if let Some((waiter, end)) = self.timed_out.pop_front() {
            return Ok(Some(Event::TimedOut { waiter, sent: end <= self.output.sent() }));
        }
        if let Some(id) = self.expired.pop_front() {
            return Ok(Some(Event::Expired(id)));
        }
        while !matches!(self.phase, Phase::Switching | Phase::Failed) {
            let result = match self.decoder.decode(&mut self.input) {
                Ok(None) => return Ok(None),
                Ok(Some(frame @ Frame::Message(_))) if self.by_hand => return Ok(Some(Event::Frame(frame))),
                Ok(Some(Frame::Message(frame))) => {
                    let deadline = self.in_flight.insert(frame.id, now);
                    return Ok(Some(Event::Message { frame, deadline }));
                }
                Ok(Some(Frame::Response(data))) => self.on_response(data, now),
                Ok(Some(Frame::Error(error))) if error.is_fatal() => {
                    self.failure = Some(error.clone());
                    Err(ConnectionError::Server(error))
                }
                Ok(Some(Frame::Error(error))) => {
                    // A message that can't be touched is someone else's, whatever this side's clock says.
                    if *error.code() == ErrorCode::TouchFailed
                        && let Some(id) = error.message_id()
                    {
                        self.in_flight.remove(id);
                    }
                    Ok(Some(Event::TooLate(error)))
                }
                Err(error) => Err(error.into()),
            };
            match result {
                Ok(None) => {}
                Ok(event) => return Ok(event),
                Err(error) => {
                    self.phase = Phase::Failed;
                    return Err(error);
                }
            }
        }
        Ok(None)
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do; it may find that it hasn't yet.
    pub fn next_timeout(&self) -> Option<Instant> {
        [self.liveness.next_timeout(), self.answers.next_timeout(), self.in_flight.next_timeout()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Looks what is over by now.
    ///
    /// # Errors
    ///
    /// [`ConnectionError::Silent`] when the peer counts as dead.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), ConnectionError> {
        self.timed_out.extend(self.answers.time_out(now));
        self.expired.extend(self.in_flight.expire(now));
        match self.liveness.silent_for(now) {
            Some(silence) => {
                self.phase = Phase::Failed;
                Err(ConnectionError::Silent(silence))
            }
            None => Ok(()),
        }
    }

    /// The caller has done the change that [`Event::Upgrade`] asked for.
    pub fn upgraded(&mut self) {
        if self.phase == Phase::Switching {
            self.phase = Phase::Identifying;
        }
    }

    /// The connection has ended: who still waits, and what became of what they asked for. Among them are those whose
    /// [`Event::TimedOut`] was not polled.
    pub fn fail(&mut self) -> Vec<(W, Loss)> {
        self.phase = Phase::Failed;
        self.in_flight.clear();
        self.expired.clear();
        let sent = self.output.sent();
        let loss = |end| if end > sent { Loss::NotSent } else { Loss::Unknown };
        let mut losses: Vec<_> = self.timed_out.drain(..).map(|(waiter, end)| (waiter, loss(end))).collect();
        losses.extend(self.answers.fail(self.failure.as_ref(), sent));
        losses
    }

    fn on_response(&mut self, data: Bytes, now: Instant) -> Result<Option<Event<W>>, ConnectionError> {
        if data == HEARTBEAT {
            // nsqd would take a NOP behind IDENTIFY for the first bytes of TLS or of compressed data.
            if self.phase == Phase::Identifying {
                self.owes_nop = true;
            } else {
                Command::Nop.encode(&mut self.output);
            }
            return Ok(self.by_hand.then_some(Event::Frame(Frame::Response(data))));
        }
        let asked = match self.answers.front() {
            Some(Asked::Anything) => {
                self.answers.pop();
                return Ok(Some(Event::Frame(Frame::Response(data))));
            }
            Some(asked) => asked,
            None if self.by_hand => return Ok(Some(Event::Frame(Frame::Response(data)))),
            None => return Err(unexpected(&data, "nothing")),
        };
        let fits = match asked {
            Asked::Identify | Asked::Auth | Asked::Anything => true,
            Asked::Upgrade(_) | Asked::Sub | Asked::Publish => data == OK,
            Asked::Close => data == CLOSE_WAIT,
        };
        // Who asked stays in the queue until the answer is known to be one, so that `fail` can tell the others.
        if !fits {
            return Err(unexpected(&data, asked.name()));
        }
        match asked {
            Asked::Identify => {
                self.upgrades = self.negotiate(&data, now)?;
                self.identify_answer = data;
                self.next_upgrade()
            }
            Asked::Upgrade(_) => self.next_upgrade(),
            _ => Ok(self.answer(data)),
        }
    }

    fn answer(&mut self, data: Bytes) -> Option<Event<W>> {
        self.answers.pop().map(|answer| Event::Answer(answer.waiter, data))
    }

    /// Takes over what nsqd answered to IDENTIFY; returns the upgrades to do.
    fn negotiate(&mut self, answer: &[u8], now: Instant) -> Result<VecDeque<Upgrade>, ConnectionError> {
        let request = self.request.clone().unwrap_or_default();
        self.liveness.set_interval(heartbeat_interval(&request), now);
        if answer == OK {
            // A server without negotiation grants nothing, and uses the message timeout that was asked for.
            if let Some(timeout) = request.msg_timeout.and_then(|ms| u64::try_from(ms).ok()).filter(|ms| *ms > 0) {
                self.in_flight.set_timeouts(Duration::from_millis(timeout), DEFAULT_MAX_MSG_TIMEOUT);
            }
            return upgrade::steps(&request, &IdentifyResponse::default());
        }
        let response: IdentifyResponse =
            serde_json::from_slice(answer).map_err(|error| ConnectionError::IdentifyResponse(error.to_string()))?;
        let steps = upgrade::steps(&request, &response)?;
        self.in_flight.set_timeouts(
            millis_or(response.msg_timeout, DEFAULT_MSG_TIMEOUT),
            millis_or(response.max_msg_timeout, DEFAULT_MAX_MSG_TIMEOUT),
        );
        self.response = Some(response);
        Ok(steps)
    }

    /// IDENTIFY's place in the queue, with its waiter and deadline, stands for each upgrade's `OK` in turn.
    fn next_upgrade(&mut self) -> Result<Option<Event<W>>, ConnectionError> {
        let Some(upgrade) = self.upgrades.pop_front() else {
            self.phase = Phase::Open;
            if std::mem::take(&mut self.owes_nop) {
                Command::Nop.encode(&mut self.output);
            }
            let data = std::mem::take(&mut self.identify_answer);
            return Ok(self.answer(data));
        };
        if upgrade == Upgrade::Tls && !self.input.is_empty() {
            return Err(ConnectionError::ClearText);
        }
        self.answers.set_front(Asked::Upgrade(upgrade));
        self.phase = Phase::Switching;
        Ok(Some(Event::Upgrade(upgrade)))
    }
}

/// What nsqd will do after this request: its default unless a number is given, nothing for -1.
fn heartbeat_interval(request: &IdentifyRequest) -> Option<Duration> {
    match request.heartbeat_interval {
        None | Some(0) => Some(DEFAULT_HEARTBEAT_INTERVAL),
        Some(millis) => u64::try_from(millis).ok().map(Duration::from_millis),
    }
}

fn millis_or(millis: u64, default: Duration) -> Duration {
    if millis == 0 { default } else { Duration::from_millis(millis) }
}

fn unexpected(answer: &[u8], asked: &'static str) -> ConnectionError {
    let answer = String::from_utf8_lossy(&answer[..answer.len().min(100)]).into_owned();
    ConnectionError::UnexpectedResponse { answer, asked }
}
