//! Cuts bytes into frames and reads their headers, as a server and as a client would.
#![no_main]

use libfuzzer_sys::fuzz_target;
use milena_wire::api::ALL;
use milena_wire::{
    ApiVersionsRequest, ApiVersionsResponse, Request, RequestHeader, ResponseHeader, Version,
    peek_correlation, peek_request, split_frame,
};

const LIMIT: usize = 1 << 16;

fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    while let Ok(Some((frame, after))) = split_frame(rest, LIMIT) {
        assert_eq!(frame.len() + after.len() + 4, rest.len());
        rest = after;
        let peeked = peek_request(frame);
        if let Ok((body, (header, version))) = RequestHeader::decode(frame) {
            assert_eq!(peeked, Some((header.api_key, header.api_version)));
            assert_eq!(header.api_version, version.number);
            assert!(body.len() < frame.len());
        }
        for api in ALL {
            for flexible in [false, true] {
                let version = Version::new(*api.versions.start(), flexible);
                if let Ok((_, header)) = ResponseHeader::decode(frame, api.key, version) {
                    assert_eq!(peek_correlation(frame), Some(header.correlation_id));
                }
            }
        }
        for number in ApiVersionsRequest::VERSIONS {
            let _ = ApiVersionsResponse::decode_any(frame, ApiVersionsRequest::version(number));
        }
    }
});
