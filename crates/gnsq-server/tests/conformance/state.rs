//! The states of a connection, and what is refused in them.

use crate::server::Nsqd;
use crate::wire::Client;

/// What a connection has done before a test's own command.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum State {
    /// Said hello.
    Init,
    /// Subscribed to topic `t`, channel `c`.
    Subscribed,
    /// Subscribed, and said CLS.
    Closing,
}

impl State {
    pub(crate) const ALL: [Self; 3] = [Self::Init, Self::Subscribed, Self::Closing];

    /// A new connection in this state.
    pub(crate) async fn connect(self, nsqd: &impl Nsqd) -> Client {
        let mut client = match self {
            Self::Init => nsqd.connect().await,
            Self::Subscribed | Self::Closing => nsqd.subscriber("t", "c").await,
        };
        if self == Self::Closing {
            client.send("CLS\n").await;
            client.expect("CLOSE_WAIT").await;
        }
        client
    }

    /// Each of these, sent on a new connection in this state, is refused with this error and the end of the connection.
    pub(crate) async fn refuses<B: AsRef<[u8]>, E: AsRef<[u8]>>(
        self,
        nsqd: &impl Nsqd,
        refusals: impl IntoIterator<Item = (B, E)>,
    ) {
        for (sent, error) in refusals {
            let mut client = self.connect(nsqd).await;
            client.send(sent).await;
            client.refused(error).await;
        }
    }

    /// Each of these, sent on a new connection in this state, is answered by this response; the connection stays.
    pub(crate) async fn answers<B: AsRef<[u8]>>(self, nsqd: &impl Nsqd, answers: impl IntoIterator<Item = (B, &str)>) {
        for (sent, response) in answers {
            let mut client = self.connect(nsqd).await;
            client.send(sent).await;
            client.expect(response).await;
            client.stays().await;
        }
    }

    /// Each of these, sent on a new connection in this state, is answered by this error; the connection stays.
    pub(crate) async fn warns<B: AsRef<[u8]>, E: AsRef<[u8]>>(
        self,
        nsqd: &impl Nsqd,
        warnings: impl IntoIterator<Item = (B, E)>,
    ) {
        for (sent, error) in warnings {
            let mut client = self.connect(nsqd).await;
            client.send(sent).await;
            client.error(error).await;
            client.stays().await;
        }
    }

    /// Each of these, sent on a new connection in this state, is answered by nothing; the connection stays.
    pub(crate) async fn accepts<B: AsRef<[u8]>>(self, nsqd: &impl Nsqd, silent: impl IntoIterator<Item = B>) {
        for sent in silent {
            let mut client = self.connect(nsqd).await;
            client.send(sent).await;
            client.stays().await;
        }
    }
}
