//! One connection to an nsqd, frame by frame: what `gnsq.NsqdTCPClient` is made of.

use bytes::Bytes;
use gnsq::{Address, Error, Frame, FrameClient, Incoming, Io};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::errors::Failure;
use crate::events::{Event, EventSender, Events, Room};
use crate::operation::{Operation, Outcome, Value};
use crate::options::ConnectionOptions;
use crate::process::Owned;
use crate::runtime;

/// One connection to an nsqd. Commands are sent at the call, and what nsqd sends comes to `events` in its order. Heartbeats
/// are answered whether anybody looks or not.
#[pyclass(frozen, module = "gnsq._core")]
pub(crate) struct TcpClient {
    client: Owned<FrameClient>,
    /// What nsqd sends, but answers to IDENTIFY and AUTH.
    #[pyo3(get)]
    events: Py<Events>,
    sender: EventSender,
}

#[pymethods]
impl TcpClient {
    /// Begins to connect. The result is a `TcpClient`.
    #[staticmethod]
    fn connect(py: Python<'_>, host: &str, port: u16, options: &ConnectionOptions) -> PyResult<Operation> {
        let address = Address::tcp(host, port).map_err(|error| Failure::Value(error.to_string()))?;
        let (config, io) = (options.config(), Io::Runtime(runtime::handle(py)?));
        let (events, sender) = Events::new(Room::FRAMES);
        Operation::spawn(py, async move {
            let (nsqd, to) = (address.clone(), sender.clone());
            let receiver = move |incoming| receive(&nsqd, &to, incoming);
            let client = FrameClient::connect_with(address, config, &io, receiver).await?;
            Ok(Value::made(move |py| {
                let (client, events) = (Owned::new(client), Py::new(py, events)?);
                Ok(Py::new(py, Self { client, events, sender })?.into_any())
            }))
        })
    }

    /// Sends IDENTIFY. The result is nsqd's answer, after TLS and compression have begun: JSON, or `OK`.
    fn identify(&self, py: Python<'_>) -> PyResult<Operation> {
        let answer = self.client.get()?.identify();
        Operation::spawn(py, async move { answered(answer.await) })
    }

    /// Sends AUTH. The result is nsqd's answer, which is JSON.
    fn auth(&self, py: Python<'_>, secret: &[u8]) -> PyResult<Operation> {
        let answer = self.client.get()?.auth(secret.to_vec().into());
        Operation::spawn(py, async move { answered(answer.await) })
    }

    /// Sends a command as it stands, other than IDENTIFY and AUTH. `is_answered`: nsqd answers when it succeeds. Gives an
    /// operation to wait for when much has been sent, which is done when it has left.
    fn send(&self, py: Python<'_>, command: &[u8], is_answered: bool) -> PyResult<Option<Operation>> {
        let sent = self.client.get()?.send(Bytes::copy_from_slice(command), is_answered).map_err(Failure::from)?;
        let flushed = sent.map(|left| {
            Operation::spawn(py, async move {
                left.await;
                Ok(Value::None)
            })
        });
        flushed.transpose()
    }

    /// Closes the connection, once all is sent. Messages that nobody has seen go back to nsqd at once.
    fn close(&self) -> PyResult<()> {
        let client = self.client.get()?;
        self.sender.end(None);
        let unseen: Vec<_> = self.events.get().take_messages()?.into_iter().map(|message| message.id).collect();
        if !unseen.is_empty() {
            client.give_back(unseen);
        }
        client.close();
        Ok(())
    }

    /// Done when the connection has ended.
    fn closed(&self, py: Python<'_>) -> PyResult<Operation> {
        let closed = self.client.get()?.closed();
        Operation::spawn(py, async move {
            closed.await;
            Ok(Value::None)
        })
    }

    /// Whether the connection has not ended, as far as is known.
    fn is_connected(&self) -> PyResult<bool> {
        Ok(self.client.get()?.is_connected())
    }
}

fn receive(nsqd: &Address, to: &EventSender, incoming: Incoming) {
    let event = match incoming {
        Incoming::Frame(Frame::Response(data)) if data == HEARTBEAT => Event::Heartbeat(nsqd.clone()),
        Incoming::Frame(Frame::Response(data)) => Event::Response(nsqd.clone(), data),
        Incoming::Frame(Frame::Error(error)) => Event::Error(nsqd.clone(), error),
        Incoming::Frame(Frame::Message(message)) => Event::Message(message),
        Incoming::End(cause) => return to.end(Some(cause.into())),
        _ => return,
    };
    if !to.push(event) {
        let text = format!("{nsqd} has sent more than there is room for ({:?}), and nobody reads it", Room::FRAMES);
        to.end(Some(Failure::Socket { errno: None, text }));
    }
}

fn answered(answer: Result<Bytes, Error>) -> Outcome {
    let data = answer?;
    Ok(Value::made(move |py| Ok(PyBytes::new(py, &data).into_any().unbind())))
}

const HEARTBEAT: &[u8] = b"_heartbeat_";
