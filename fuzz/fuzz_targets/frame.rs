//! The client's side: frames out of bytes.

#![no_main]

use bytes::BytesMut;
use gnsq_fuzz::{Cuts, feed_both_ways};
use gnsq_proto::frame::{Frame, FrameDecoder, FrameError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((cuts, stream)) = Cuts::split(data) else { return };
    let decoder = FrameDecoder::new(MAX_SIZE);
    feed_both_ways(stream, &cuts, 4 + MAX_SIZE, |input| take(decoder, input));
});

/// Takes a frame, and holds it and what is missing of it against the bytes.
fn take(decoder: FrameDecoder, input: &mut BytesMut) -> Result<Option<Frame>, FrameError> {
    let before = input.clone();
    let missing = decoder.missing(&before);
    let result = decoder.decode(input);
    match &result {
        Ok(Some(frame)) => {
            assert_eq!(missing, 0);
            let wire = &before[..before.len() - input.len()];
            let mut again = BytesMut::new();
            frame.encode(&mut again);
            if let Frame::Error(error) = frame {
                // Its text is for people: it has an end, and what is no UTF-8 is replaced, which makes it longer.
                assert!(error.code().as_str().len() + error.text().len() <= 3 * MAX_TEXT);
                if again.len() <= 8 + MAX_TEXT {
                    assert_eq!(decoder.decode(&mut again).as_ref(), Ok(&Some(frame.clone())));
                }
            } else {
                assert_eq!(again, wire);
            }
        }
        Ok(None) => {
            assert!(missing > 0 && missing <= 4 + MAX_SIZE);
            assert_eq!(before, *input);
            // No less would do, once the size is known.
            if before.len() >= 4 {
                let mut short = before.clone();
                short.resize(before.len() + missing - 1, 0);
                assert!(matches!(decoder.decode(&mut short), Ok(None) | Err(_)));
            }
        }
        Err(_) => assert_eq!(missing, 0),
    }
    result
}

const MAX_SIZE: usize = 3000;

/// How much of an error's text is looked at.
const MAX_TEXT: usize = 1024;
