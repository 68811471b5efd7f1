//! The body of MPUB, as a server reads it.

#![no_main]

use gnsq_fuzz::Cuts;
use gnsq_proto::command::decode::{Body, BodyError, Missing, MpubScan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((cuts, data)) = Cuts::split(data) else { return };
    let Some((&[max_msg_size, max_body_size], body)) = data.split_first_chunk() else { return };
    let (max_msg_size, max_body_size) = (usize::from(max_msg_size) * 4 + 1, usize::from(max_body_size) * 16 + 4);
    let mut scan = MpubScan::default();
    let whole = scan.advance(body, max_msg_size, max_body_size).map(|body| owned(body, max_msg_size, max_body_size));
    assert_eq!(whole, model(body, max_msg_size, max_body_size));

    let (mut scan, mut arrived) = (MpubScan::default(), 0);
    for piece in cuts.pieces(body) {
        arrived += piece.len();
        let part = scan
            .advance(&body[..arrived], max_msg_size, max_body_size)
            .map(|body| owned(body, max_msg_size, max_body_size));
        match part {
            Ok(Body::Incomplete { needed, .. }) => {
                assert!(needed > arrived, "{arrived} bytes are there, and {needed} are said to be needed");
                // The size of a message may lie behind the end: what it says is refused then.
                assert!(needed <= 4 + max_body_size + 4, "{needed} bytes are more than a body may have");
                // It is told the same again, and complete no earlier than it said.
                let again = scan.advance(&body[..arrived], max_msg_size, max_body_size);
                assert!(matches!(again, Ok(Body::Incomplete { needed: same, .. }) if same == needed));
                if body.len() < needed {
                    continue;
                }
                let early = scan.clone().advance(&body[..needed - 1], max_msg_size, max_body_size);
                assert!(!matches!(early, Ok(Body::Complete { .. })));
            }
            ended => {
                assert_eq!(ended, whole);
                return;
            }
        }
    }
    assert!(matches!(whole, Ok(Body::Incomplete { .. })), "{whole:?}");
});

fn owned(
    body: Body<impl Iterator<Item = impl AsRef<[u8]>>>,
    max_msg_size: usize,
    max_body_size: usize,
) -> Body<Vec<Vec<u8>>> {
    match body {
        Body::Incomplete { needed, missing } => Body::Incomplete { needed, missing },
        Body::Complete { content, consumed } => {
            let content: Vec<_> = content.map(|message| message.as_ref().to_vec()).collect();
            assert!(!content.is_empty());
            assert!(content.iter().all(|message| (1..=max_msg_size).contains(&message.len())));
            assert_eq!(consumed, 8 + content.iter().map(|message| 4 + message.len()).sum::<usize>());
            assert!(consumed <= 4 + max_body_size);
            Body::Complete { content, consumed }
        }
    }
}

/// The rules again, in the plainest words.
fn model(body: &[u8], max_msg_size: usize, max_body_size: usize) -> Result<Body<Vec<Vec<u8>>>, BodyError> {
    let number = |at: usize| body.get(at..at + 4).map(|bytes| i32::from_be_bytes(bytes.try_into().unwrap()));
    let Some(total) = number(0) else { return Ok(incomplete(4, Missing::BodySize)) };
    if total <= 0 {
        return Err(BodyError::Size(total));
    }
    if total as usize > max_body_size {
        return Err(BodyError::TooBig { size: total as usize, limit: max_body_size });
    }
    let Some(count) = number(4) else { return Ok(incomplete(8, Missing::Count)) };
    if count <= 0 || count as usize > (max_body_size - 4) / 5 {
        return Err(BodyError::Count(count));
    }
    let (mut at, mut content) = (8, Vec::new());
    for index in 0..count as usize {
        let Some(size) = number(at) else { return Ok(incomplete(at + 4, Missing::InnerSize { index })) };
        if size <= 0 {
            return Err(BodyError::InnerSize { index, size });
        }
        if size as usize > max_msg_size {
            return Err(BodyError::MessageTooBig { size: size as usize, limit: max_msg_size });
        }
        let end = at + 4 + size as usize;
        if end - 4 > max_body_size {
            return Err(BodyError::TooBig { size: end - 4, limit: max_body_size });
        }
        if body.len() < end {
            return Ok(incomplete(end, Missing::Message));
        }
        content.push(body[at + 4..end].to_vec());
        at = end;
    }
    Ok(Body::Complete { content, consumed: at })
}

fn incomplete<T>(needed: usize, missing: Missing) -> Body<T> {
    Body::Incomplete { needed, missing }
}
