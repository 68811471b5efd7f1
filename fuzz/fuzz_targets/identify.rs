//! The JSON of IDENTIFY, as nsqd reads it.

#![no_main]

use gnsq_proto::{IdentifyRequest, IdentifyResponse};
use gnsq_server::fuzzing::identify;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    match identify(body) {
        Ok(answer) => {
            let granted: IdentifyResponse = serde_json::from_slice(&answer).expect("the answer is JSON");
            assert!(granted.msg_timeout >= 1000 && granted.msg_timeout <= granted.max_msg_timeout);
            assert!((0..100).contains(&granted.sample_rate));
            assert!((1..=granted.max_deflate_level).contains(&granted.deflate_level));
            assert!(granted.output_buffer_size == 1 || (64..=65536).contains(&granted.output_buffer_size));
            assert!((0..=30_000).contains(&granted.output_buffer_timeout));
            assert!(!granted.snappy || !granted.deflate);
            assert!(!granted.tls_v1 && !granted.auth_required);
        }
        Err(refusal) => {
            assert!(refusal.starts_with("E_BAD_BODY IDENTIFY ") || refusal.starts_with("E_IDENTIFY_FAILED "))
        }
    }
    // What a client can ask for can be read, whatever becomes of it.
    if let Ok(request) = serde_json::from_slice::<IdentifyRequest>(body) {
        let again = identify(&request.to_json());
        assert_ne!(again, Err("E_BAD_BODY IDENTIFY failed to decode JSON body".to_owned()));
    }
});
