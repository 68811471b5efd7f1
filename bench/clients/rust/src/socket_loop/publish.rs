//! PUB and MPUB, with so many of them unanswered.

use std::io::Write;
use std::net::TcpStream;

use bytes::Bytes;

use super::{Clock, Input, RESPONSE, connect, refused};
use crate::options::{Options, Work};

pub(super) fn run(options: &Options) {
    let topics = options.topics();
    let (commands, times): (Vec<_>, _) = if options.work == Work::Publish {
        let each = |topic| options.bodies.iter().map(move |body| publish(topic, body));
        (topics.iter().flat_map(|topic| each(topic)).collect(), options.count)
    } else {
        let bodies: Vec<_> = options.bodies.iter().cycle().take(options.batch).cloned().collect();
        let commands = topics.iter().map(|topic| multipublish(topic, &bodies)).collect();
        (commands, options.count / options.batch)
    };
    let mut socket = connect(options.address());
    let clock = Clock::started();
    answered(&mut socket, &commands, times, options.outstanding);
    clock.stop();
    clock.report(&[], 0);
}

/// The bytes of a PUB.
pub(crate) fn publish(topic: &str, body: &[u8]) -> Vec<u8> {
    let mut command = format!("PUB {topic}\n").into_bytes();
    command.extend(size(body.len()));
    command.extend(body);
    command
}

/// The bytes of an MPUB.
fn multipublish(topic: &str, bodies: &[Bytes]) -> Vec<u8> {
    let mut command = format!("MPUB {topic}\n").into_bytes();
    command.extend(size(4 + bodies.iter().map(|body| 4 + body.len()).sum::<usize>()));
    command.extend(size(bodies.len()));
    for body in bodies {
        command.extend(size(body.len()));
        command.extend(body);
    }
    command
}

fn size(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("a command is small").to_be_bytes()
}

/// Sends so many of `commands`, in turn, with so many unanswered at once.
pub(super) fn answered(socket: &mut TcpStream, commands: &[Vec<u8>], times: usize, outstanding: usize) {
    let mut input = Input::new(0);
    let (mut sent, mut done) = (0, 0);
    let mut output = Vec::new();
    while done < times {
        while sent < times && sent - done < outstanding {
            output.extend_from_slice(&commands[sent % commands.len()]);
            sent += 1;
        }
        socket.write_all(&output).expect("nsqd reads");
        output.clear();
        let goes_on = input.read(socket, |kind, data| match (kind, data) {
            (RESPONSE, b"OK") => done += 1,
            (RESPONSE, b"_heartbeat_") => output.extend_from_slice(b"NOP\n"),
            _ => refused(data),
        });
        assert!(goes_on.expect("nsqd answers"), "nsqd closed the connection");
    }
}
