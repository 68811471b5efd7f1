//! Whatever comes, in whatever pieces and in any state: the connection goes on or ends, and keeps little.

use proptest::collection::vec;
use proptest::prelude::*;
use tokio::io::AsyncWriteExt;

use super::{Server, command};

const WORDS: &[&[u8]] = &[
    b"IDENTIFY\n",
    b"\0\0\0\x02{}",
    b"IDENTIFY\n\0\0\0\x10{\"snappy\":true} ",
    b"AUTH\n",
    b"SUB t c\n",
    b"SUB t#ephemeral c#ephemeral\n",
    b"RDY 5\n",
    b"RDY",
    b"FIN ",
    b"REQ 0123456789abcdef 5\n",
    b"TOUCH ",
    b"0123456789abcdef",
    b"CLS\n",
    b"NOP\n",
    b"PUB t\n",
    b"PUB t\n\0\0\0\x01x",
    b"DPUB t 5\n\0\0\0\x01x",
    b"MPUB t\n\0\0\0\x18\0\0\0\x02\0\0\0\x08",
    b"MPUB t\n\0\0\0\x09\0\0\0\x01\0\0\0\x01x",
    b" ",
    b"\r\n",
    b"\n",
];

fn pieces() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let piece = prop_oneof![
        6 => proptest::sample::select(WORDS).prop_map(<[u8]>::to_vec),
        2 => (-2_i32..40).prop_map(|number| number.to_be_bytes().to_vec()),
        1 => any::<i32>().prop_map(|number| number.to_be_bytes().to_vec()),
        2 => vec(any::<u8>(), 0..20),
    ];
    vec(piece, 0..30)
}

proptest! {
    #[test]
    fn any_bytes_leave_a_connection_or_its_end(pieces in pieces(), subscribed in any::<bool>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::new();
            let mut peer = if subscribed { server.subscribe().await } else { server.connect().await };
            for piece in pieces {
                // The server may have hung up.
                if peer.socket.write_all(&piece).await.is_err() {
                    break;
                }
                tokio::task::yield_now().await;
            }
            let _ = peer.socket.shutdown().await;
            while peer.frame().await.is_some() {}
            // A panic would show here.
            peer.task.await.unwrap();
            assert_eq!(server.broker.clients().len(), 0);
            let mut next = server.connect().await;
            next.send(command("PUB after", b"x")).await;
            next.expect("OK").await;
        });
    }
}
