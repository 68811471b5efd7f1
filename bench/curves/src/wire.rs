//! What is sent to nsqd without the client that is measured.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A connection that publishes.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).expect("nsqd listens");
    socket.set_nodelay(true).expect("it is a TCP socket");
    socket.write_all(b"  V2").expect("nsqd reads");
    socket
}

/// Appends a PUB.
pub(crate) fn put_pub(topic: &str, body: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"PUB ");
    out.extend_from_slice(topic.as_bytes());
    out.push(b'\n');
    put_sized(body, out);
}

/// An MPUB of so many messages.
pub(crate) fn mpub(topic: &str, body: &[u8], messages: usize) -> Vec<u8> {
    let mut bodies = size(messages).to_vec();
    (0..messages).for_each(|_| put_sized(body, &mut bodies));
    let mut command = format!("MPUB {topic}\n").into_bytes();
    put_sized(&bodies, &mut command);
    command
}

/// Waits for so many answers, all of which have to be `OK`.
pub(crate) fn expect_ok(socket: &mut TcpStream, answers: usize) {
    let mut answer = [0; OK.len()];
    let mut left = answers;
    while left > 0 {
        socket.read_exact(&mut answer).expect("nsqd answers");
        if answer == OK {
            left -= 1;
            continue;
        }
        // A heartbeat is nine bytes longer.
        let mut rest = [0; 9];
        socket.read_exact(&mut rest).expect("nsqd answers");
        assert!(answer.ends_with(b"_h"), "nsqd refuses: {}", String::from_utf8_lossy(&answer[8..]));
        socket.write_all(b"NOP\n").expect("nsqd reads");
    }
}

fn put_sized(body: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&size(body.len()));
    out.extend_from_slice(body);
}

fn size(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("what is sent is small").to_be_bytes()
}

pub(crate) const OK: [u8; 10] = *b"\0\0\0\x06\0\0\0\0OK";
