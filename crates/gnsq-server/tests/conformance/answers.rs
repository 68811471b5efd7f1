//! FIN, REQ and TOUCH of messages that aren't there, and of ids that are none.

use crate::server::{Nsqd, Side};
use crate::state::State;

conformance! {
    they_need_a_subscription,
    an_id_has_sixteen_bytes,
    an_id_that_is_not_in_flight_is_told_and_the_connection_stays,
    a_delay_is_a_number,
    a_message_in_flight_to_another_is_told_as_such,
    a_message_is_answered_once,
}

const ID: &str = "0123456789abcdef";

async fn they_need_a_subscription<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for verb in ["FIN", "REQ", "TOUCH"] {
        let error = format!("E_INVALID cannot {verb} in current state");
        for line in [format!("{verb} {ID} 0\n"), format!("{verb}\n"), format!("{verb} x\n"), format!("{verb} {ID} x\n")]
        {
            State::Init.refuses(&nsqd, [(line, &error)]).await;
        }
    }
}

async fn an_id_has_sixteen_bytes<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for state in [State::Subscribed, State::Closing] {
        for verb in ["FIN", "REQ", "TOUCH"] {
            let few = format!("E_INVALID {verb} insufficient number of params");
            state.refuses(&nsqd, [(format!("{verb}\n"), few)]).await;
            for id in ["", "123", "0123456789abcde", "0123456789abcdef0"] {
                for more in [" 0", " x"] {
                    state.refuses(&nsqd, [(format!("{verb} {id}{more}\n"), "E_INVALID invalid message ID")]).await;
                }
            }
        }
        state.refuses(&nsqd, [(format!("REQ {ID}\n"), "E_INVALID REQ insufficient number of params")]).await;
        state.refuses(&nsqd, [("REQ x\n", "E_INVALID REQ insufficient number of params")]).await;
    }
}

async fn an_id_that_is_not_in_flight_is_told_and_the_connection_stays<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for state in [State::Subscribed, State::Closing] {
        for verb in ["FIN", "REQ", "TOUCH"] {
            let error =
                |id: &[u8]| [format!("E_{verb}_FAILED {verb} ").as_bytes(), id, b" failed ID not in flight"].concat();
            for id in [&b"0123456789abcdef"[..], b"ABCDEFGHIJKLMNOP", b"%s%d\"\\\xff\0g456789a"] {
                let line = [verb.as_bytes(), b" ", id, b" 0 more\n"].concat();
                state.warns(&nsqd, [(line, error(id))]).await;
            }
        }
    }
}

async fn a_delay_is_a_number<S: Side>() {
    let nsqd = S::nsqd(&["--max-req-timeout=10s"]).await;
    for state in [State::Subscribed, State::Closing] {
        // A delay beyond the maximum is lowered; the empty one is 0; overflow wraps.
        for delay in ["0", "10000", "10001", "99999999999", "99999999999999999999", "010", ""] {
            state
                .warns(
                    &nsqd,
                    [(format!("REQ {ID} {delay}\n"), format!("E_REQ_FAILED REQ {ID} failed ID not in flight"))],
                )
                .await;
        }
        for delay in ["-1", "+1", "x", "1.5", "1s"] {
            let error = format!("E_INVALID REQ could not parse timeout {delay}");
            state.refuses(&nsqd, [(format!("REQ {ID} {delay}\n"), error)]).await;
        }
    }
}

async fn a_message_in_flight_to_another_is_told_as_such<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut owner = nsqd.subscriber("t", "c").await;
    owner.send("RDY 1\n").await;
    nsqd.publish("t", "x").await;
    let id = owner.message().await.id;
    for state in [State::Subscribed, State::Closing] {
        for verb in ["FIN", "REQ", "TOUCH"] {
            let error = format!("E_{verb}_FAILED {verb} {id} failed client does not own message");
            state.warns(&nsqd, [(format!("{verb} {id} 0\n"), error)]).await;
        }
    }
    owner.send(format!("FIN {id}\n")).await;
    owner.stays().await;
}

async fn a_message_is_answered_once<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.subscriber("t", "c").await;
    client.send("RDY 1\n").await;
    nsqd.publish("t", "x").await;
    let id = client.message().await.id;
    client.send(format!("TOUCH {id}\nFIN {id}\nFIN {id}\nREQ {id} 0\nTOUCH {id}\n")).await;
    for verb in ["FIN", "REQ", "TOUCH"] {
        client.error(format!("E_{verb}_FAILED {verb} {id} failed ID not in flight")).await;
    }
    client.stays().await;
}
