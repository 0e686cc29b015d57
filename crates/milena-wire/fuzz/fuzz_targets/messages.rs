//! Reads bytes as any message in any version: the first byte says which message, the second
//! which version. What can be read must be written, and read and written again as the same.
#![no_main]
#![allow(
    elided_lifetimes_in_paths,
    reason = "the list of messages does not say who borrows"
)]

use std::ops::RangeInclusive;

use libfuzzer_sys::fuzz_target;
use milena_wire::{Decode, Encode, Frame, Request, Version, Writer, decode_body};

#[path = "../../tests/common/every_api.rs"]
mod every_api;
use every_api::every_api;

/// Reads and writes; `None` if the bytes are not this message.
fn rewrite<'a, T: Decode<'a> + Encode>(body: &'a [u8], version: Version) -> Option<Vec<u8>> {
    let message = decode_body::<T>(body, version).ok()?;
    let mut out = Writer::new();
    let written = message.encode(&mut out, version);
    written.expect("what a version can say is written in it");
    Some(Frame::from(out).to_vec())
}

macro_rules! there_and_back {
    ($($module:ident $request:ident $response:ident,)*) => {
        fn there_and_back(which: u8, version: u8, body: &[u8]) {
            type Rewrite = fn(i16, &[u8]) -> Option<Vec<u8>>;
            let all: &[(RangeInclusive<i16>, Rewrite)] = &[$(
                (milena_wire::$request::VERSIONS, |number, body| {
                    rewrite::<milena_wire::$request>(body, milena_wire::$request::version(number))
                }),
                (milena_wire::$request::VERSIONS, |number, body| {
                    rewrite::<milena_wire::$response>(body, milena_wire::$request::version(number))
                }),
            )*];
            let (versions, rewrite) = &all[usize::from(which) % all.len()];
            let count = versions.end() - versions.start() + 1;
            let number = versions.start() + i16::from(version) % count;
            if let Some(written) = rewrite(number, body) {
                // The input may differ: varints may be padded, tags unknown or at their default.
                let again = rewrite(number, &written).expect("what was written can be read");
                assert_eq!(again, written);
            }
        }
    };
}
every_api!(there_and_back);

fuzz_target!(|input: &[u8]| {
    if let [which, version, body @ ..] = input {
        there_and_back(*which, *version, body);
    }
});
