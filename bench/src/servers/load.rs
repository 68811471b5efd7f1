//! What a server is put to: plain sockets, the same for every server.

use std::io::Write;
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::socket_loop::{answered, finish_all, mpub, publish};
use crate::{BATCH, CHANNEL, MAX_IN_FLIGHT, outstanding};

pub(super) struct Load {
    address: SocketAddr,
}

impl Load {
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address }
    }

    /// Topics with a channel each, and a moment of rest.
    pub(super) fn create(&self, topics: usize) {
        for topic in 0..topics {
            let mut socket = self.connect();
            let command = format!("SUB {} {CHANNEL}\n", name(topic));
            answered(&mut socket, &[command.into_bytes()], 1, 1);
        }
        // nsqd writes to its disk what it has, behind the answers.
        thread::sleep(SETTLE);
    }

    pub(super) fn publish(&self, messages: usize, topics: usize) {
        let commands: Vec<_> = (0..topics).map(|topic| publish(&name(topic))).collect();
        answered(&mut self.connect(), &commands, messages, outstanding());
    }

    pub(super) fn multipublish(&self, messages: usize, topics: usize) {
        let commands: Vec<_> = (0..topics).map(|topic| mpub(&name(topic))).collect();
        answered(&mut self.connect(), &commands, messages / BATCH, 1);
    }

    /// Takes and finishes messages until there were so many.
    pub(super) fn consume(&self, messages: usize, topics: usize, consumers: usize) {
        let sockets: Vec<_> = (0..topics * consumers)
            .map(|index| {
                let mut socket = self.connect();
                let hello = format!("SUB {} {CHANNEL}\nRDY {MAX_IN_FLIGHT}\n", name(index % topics));
                socket.write_all(hello.as_bytes()).expect("the server reads");
                socket
            })
            .collect();
        let finished = AtomicUsize::new(0);
        thread::scope(|scope| {
            for socket in &sockets {
                let (finished, sockets) = (&finished, &sockets);
                scope.spawn(move || {
                    finish_all(socket, |count| {
                        let before = finished.fetch_add(count, Ordering::Relaxed);
                        if before < messages && before + count >= messages {
                            for socket in sockets {
                                let _ = socket.shutdown(Shutdown::Both);
                            }
                        }
                        before + count < messages
                    });
                });
            }
        });
        assert_eq!(finished.into_inner(), messages, "each message comes once");
    }

    fn connect(&self) -> TcpStream {
        let mut socket = TcpStream::connect(self.address).expect("the server listens");
        socket.set_nodelay(true).expect("it is a TCP socket");
        socket.write_all(b"  V2").expect("the server reads");
        socket
    }
}

fn name(topic: usize) -> String {
    format!("bench-{topic}")
}

const SETTLE: Duration = Duration::from_millis(500);
