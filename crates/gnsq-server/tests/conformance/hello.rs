//! The first four bytes, and lines that are no command.

use crate::server::{Nsqd, Side};
use crate::state::State;

conformance! {
    a_hello_of_another_protocol_is_refused,
    a_hello_may_come_in_pieces,
    an_unknown_command_is_refused_with_its_name,
    a_line_ends_with_a_newline_that_may_follow_a_carriage_return,
    a_line_may_be_as_long_as_the_read_buffer,
    what_follows_a_refused_command_is_not_done,
    commands_may_come_in_pieces_and_together,
}

async fn a_hello_of_another_protocol_is_refused<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for hello in ["  V1", "  V3", "  v2", "GET ", "\n\n\n\n", "V2  "] {
        let mut client = nsqd.open().await;
        client.send(hello).await;
        client.refused("E_BAD_PROTOCOL").await;
    }
}

async fn a_hello_may_come_in_pieces<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.open().await;
    for piece in ["", " ", " V", "2NO", "P\n"] {
        client.send(piece).await;
    }
    client.stays().await;

    let mut half = nsqd.open().await;
    half.send("  V").await;
    half.end_sending().await;
    half.end().await;
}

async fn an_unknown_command_is_refused_with_its_name<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for state in State::ALL {
        let unknown: [(&[u8], &[u8]); 9] = [
            (b"\n", b"E_INVALID invalid command "),
            (b" \n", b"E_INVALID invalid command "),
            (b" NOP\n", b"E_INVALID invalid command "),
            (b"FOO\n", b"E_INVALID invalid command FOO"),
            (b"FOO a b\n", b"E_INVALID invalid command FOO"),
            (b"nop\n", b"E_INVALID invalid command nop"),
            (b"PUB\tt\n", b"E_INVALID invalid command PUB\tt"),
            (b"F\0\xff\"O\n", b"E_INVALID invalid command F\0\xff\"O"),
            (b"OK\n", b"E_INVALID invalid command OK"),
        ];
        state.refuses(&nsqd, unknown).await;
    }
}

async fn a_line_ends_with_a_newline_that_may_follow_a_carriage_return<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    for state in State::ALL {
        state.accepts(&nsqd, ["NOP\n", "NOP\r\n", "NOP \n", "NOP a  b\n", "NOP \r\n", "NOP\nNOP\r\nNOP\n"]).await;
        state
            .refuses(&nsqd, [("NOP\r\r\n", "E_INVALID invalid command NOP\r"), ("\r\n", "E_INVALID invalid command ")])
            .await;
    }
}

async fn a_line_may_be_as_long_as_the_read_buffer<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let longest = "A".repeat(16 * 1024 - 1);
    State::Init.refuses(&nsqd, [(format!("{longest}\n"), format!("E_INVALID invalid command {longest}"))]).await;
    State::Init.accepts(&nsqd, [format!("NOP {}\n", "A".repeat(16 * 1024 - 5))]).await;
    for longer in [format!("{longest}A\n"), format!("{longest}A"), "A".repeat(100_000)] {
        let mut client = nsqd.connect().await;
        client.send(longer).await;
        client.end().await;
    }
}

async fn what_follows_a_refused_command_is_not_done<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.connect().await;
    client.send("PUB t\n\0\0\0\x01aFOO\nPUB t\n\0\0\0\x01b").await;
    client.ok().await;
    client.refused("E_INVALID invalid command FOO").await;
    assert_eq!(crate::stats::topic(&nsqd, "t").await["depth"], 1);
}

async fn commands_may_come_in_pieces_and_together<S: Side>() {
    let nsqd = S::nsqd(&[]).await;
    let mut client = nsqd.connect().await;
    let commands = [crate::wire::command("PUB t", "one"), b"NOP\n".into(), crate::wire::mpub("t", &["two", "three"])];
    let commands = commands.concat();
    for byte in &commands {
        client.send([*byte]).await;
    }
    client.ok().await;
    client.ok().await;
    client.send(commands.repeat(100)).await;
    for _ in 0..200 {
        client.ok().await;
    }
    client.stays().await;
    assert_eq!(crate::stats::topic(&nsqd, "t").await["message_count"], 303);
}
