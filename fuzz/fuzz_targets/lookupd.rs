//! nsqlookupd's TCP protocol: commands and answers out of bytes.

#![no_main]

use bytes::BytesMut;
use gnsq_fuzz::{Cuts, feed_both_ways};
use gnsq_proto::lookupd::{LookupdCommand, LookupdReply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((cuts, stream)) = Cuts::split(data) else { return };
    commands(stream, &cuts);
    replies(stream, &cuts);
});

fn commands(stream: &[u8], cuts: &Cuts) {
    let decoded =
        feed_both_ways(stream, cuts, MAX_LINE + 4 + MAX_BODY, |input| LookupdCommand::decode(input, MAX_BODY));
    if let Some(error) = &decoded.error {
        let mut wire = BytesMut::new();
        error.to_reply().encode(&mut wire);
        assert!(wire[4..].starts_with(b"E_"), "{wire:?}");
    }
    let mut wire = BytesMut::new();
    for command in &decoded.items {
        command.encode(&mut wire);
    }
    let again = feed_both_ways(&wire, cuts, usize::MAX, |input| LookupdCommand::decode(input, MAX_BODY));
    assert_eq!((again.items, again.error, again.left), (decoded.items, None, 0));
}

fn replies(stream: &[u8], cuts: &Cuts) {
    let decoded = feed_both_ways(stream, cuts, 4 + MAX_BODY, |input| {
        let before = input.clone();
        let reply = LookupdReply::decode(input, MAX_BODY);
        if let Ok(Some(reply @ (LookupdReply::Ok | LookupdReply::Data(_)))) = &reply {
            let mut again = BytesMut::new();
            reply.encode(&mut again);
            assert_eq!(again, before[..before.len() - input.len()]);
        }
        reply
    });
    assert!(decoded.items.iter().all(|reply| match reply {
        LookupdReply::Error(error) => error.code().as_str().starts_with("E_"),
        LookupdReply::Ok | LookupdReply::Data(_) => true,
    }));
}

const MAX_LINE: usize = 16 * 1024;
const MAX_BODY: usize = 200;
