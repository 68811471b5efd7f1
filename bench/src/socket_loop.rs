//! The least work that does the job: what no client can beat by much.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::{BATCH, BODY, CHANNEL, MAX_IN_FLIGHT, TOPIC, Work, outstanding};

pub(crate) fn run(work: Work, address: SocketAddr) {
    let mut socket = TcpStream::connect(address).expect("nsqd listens");
    socket.set_nodelay(true).expect("it is a TCP socket");
    socket.write_all(b"  V2").expect("nsqd reads");
    match work {
        Work::Consume => consume(&mut socket, work.messages()),
        Work::Publish => answered(&mut socket, &[publish(TOPIC)], work.messages(), outstanding()),
        Work::Multipublish => answered(&mut socket, &[mpub(TOPIC)], work.messages() / BATCH, 1),
    }
}

/// Fills the channel for a consumer.
pub(crate) fn preload(address: SocketAddr, messages: usize) {
    let mut socket = TcpStream::connect(address).expect("nsqd listens");
    socket.write_all(b"  V2").expect("nsqd reads");
    answered(&mut socket, &[mpub(TOPIC)], messages / BATCH, 1);
}

fn consume(socket: &mut TcpStream, messages: usize) {
    let hello = format!("SUB {TOPIC} {CHANNEL}\nRDY {MAX_IN_FLIGHT}\n");
    socket.write_all(hello.as_bytes()).expect("nsqd reads");
    let mut finished = 0;
    finish_all(socket, |count| {
        finished += count;
        finished < messages
    });
}

/// Finishes every message that comes, until `goes_on` of how many were finished together is false, or the socket is
/// shut down.
pub(crate) fn finish_all(mut socket: &TcpStream, mut goes_on: impl FnMut(usize) -> bool) {
    let mut input = vec![0; 256 * 1024];
    let mut answers = Vec::new();
    let mut filled = 0;
    loop {
        match socket.read(&mut input[filled..]).expect("nsqd sends") {
            0 => return,
            read => filled += read,
        }
        let (mut at, mut finished) = (0, 0);
        while let Some((kind, data, end)) = frame(&input[at..filled]) {
            match kind {
                2 => {
                    answers.extend_from_slice(b"FIN ");
                    answers.extend_from_slice(&data[10..26]);
                    answers.push(b'\n');
                    finished += 1;
                }
                0 if data == b"_heartbeat_" => answers.extend_from_slice(b"NOP\n"),
                0 => {}
                _ => panic!("nsqd refuses: {}", String::from_utf8_lossy(data)),
            }
            at += end;
        }
        input.copy_within(at..filled, 0);
        filled -= at;
        if socket.write_all(&answers).is_err() || !goes_on(finished) {
            return;
        }
        answers.clear();
    }
}

/// The bytes of a PUB.
pub(crate) fn publish(topic: &str) -> Vec<u8> {
    let mut command = format!("PUB {topic}\n").into_bytes();
    command.extend(u32::try_from(BODY).expect("a body is small").to_be_bytes());
    command.extend([b'x'; BODY]);
    command
}

/// The bytes of an MPUB.
pub(crate) fn mpub(topic: &str) -> Vec<u8> {
    let mut command = format!("MPUB {topic}\n").into_bytes();
    let size = |bytes: usize| u32::try_from(bytes).expect("a batch is small").to_be_bytes();
    command.extend(size(4 + BATCH * (4 + BODY)));
    command.extend(size(BATCH));
    for _ in 0..BATCH {
        command.extend(size(BODY));
        command.extend([b'x'; BODY]);
    }
    command
}

/// Sends so many of `commands`, in turn, with so many unanswered at once.
pub(crate) fn answered(socket: &mut TcpStream, commands: &[Vec<u8>], times: usize, outstanding: usize) {
    let mut input = vec![0; 64 * 1024];
    let (mut filled, mut sent, mut done) = (0, 0, 0);
    let mut output = Vec::new();
    while done < times {
        while sent < times && sent - done < outstanding {
            output.extend_from_slice(&commands[sent % commands.len()]);
            sent += 1;
        }
        socket.write_all(&output).expect("nsqd reads");
        output.clear();
        filled += read(socket, &mut input[filled..]);
        let mut at = 0;
        while let Some((kind, data, end)) = frame(&input[at..filled]) {
            match (kind, data) {
                (0, b"OK") => done += 1,
                (0, b"_heartbeat_") => output.extend_from_slice(b"NOP\n"),
                _ => panic!("nsqd refuses: {}", String::from_utf8_lossy(data)),
            }
            at += end;
        }
        input.copy_within(at..filled, 0);
        filled -= at;
    }
}

fn read(socket: &mut TcpStream, buffer: &mut [u8]) -> usize {
    let count = socket.read(buffer).expect("nsqd answers");
    assert!(count > 0, "nsqd closed the connection");
    count
}

/// The first frame's type and data, and where it ends.
fn frame(input: &[u8]) -> Option<(u32, &[u8], usize)> {
    let size = u32::from_be_bytes(*input.first_chunk()?) as usize;
    let frame = input.get(4..4 + size)?;
    let (kind, data) = frame.split_first_chunk()?;
    Some((u32::from_be_bytes(*kind), data, 4 + size))
}
