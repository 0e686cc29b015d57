//! Reads Produce responses piece by piece, and expects what the whole message says.
#![no_main]

use libfuzzer_sys::fuzz_target;
use milena_wire::produced::{TopicName, read};
use milena_wire::{ProduceRequest, ProduceResponse, Request, decode_body};

fuzz_target!(|input: &[u8]| {
    for number in ProduceRequest::VERSIONS {
        let version = ProduceRequest::version(number);
        let mut told = Vec::new();
        let remarks = read(input, version, |topic, answer| told.push((topic, answer)));
        let Ok(whole) = decode_body::<ProduceResponse<'_>>(input, version) else {
            continue;
        };
        let remarks = remarks.expect("the whole message can be read");
        assert_eq!(remarks.throttle_ms, whole.throttle_time_ms);
        assert_eq!(remarks.endpoints, whole.node_endpoints);
        let expected = whole.responses.into_iter().flat_map(|topic| {
            let name = if number >= 13 {
                TopicName::Id(topic.topic_id)
            } else {
                TopicName::Name(topic.name)
            };
            topic.partition_responses.into_iter().map(move |answer| (name, answer))
        });
        assert!(told.into_iter().eq(expected), "version {number}");
    }
});
