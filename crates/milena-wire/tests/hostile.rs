//! Bytes that are cut off, altered or made to be costly: always an error or a message, never a
//! panic, and never more memory than a small multiple of the bytes.

#![allow(clippy::print_stdout, reason = "the numbers are meant to be read")]
#![allow(
    elided_lifetimes_in_paths,
    reason = "the list of messages does not say who borrows"
)]

mod common;

use common::counting::{Counting, taken};
use common::facts::{self, FACTS, Message};
use common::{every_api, sample};
use milena_wire::{Decode, Fault, Request, Version, decode_body};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Reads the bytes as this message; whether it was one. Says how much memory that took.
fn read(name: &str, number: i16, bytes: &[u8]) -> (Result<(), Fault>, usize) {
    fn as_this<'a, T: Decode<'a>>(bytes: &'a [u8], version: Version) -> (Result<(), Fault>, usize) {
        let before = taken();
        let result = decode_body::<T>(bytes, version);
        let taken = taken() - before;
        (result.map(drop), taken)
    }
    macro_rules! by_name {
        ($($module:ident $request:ident $response:ident,)*) => {
            match name {
                $(
                    stringify!($request) => as_this::<milena_wire::$request>(
                        bytes, milena_wire::$request::version(number)),
                    stringify!($response) => as_this::<milena_wire::$response>(
                        bytes, milena_wire::$request::version(number)),
                )*
                _ => panic!("{name} is not known"),
            }
        };
    }
    every_api!(by_name)
}

/// What may be allocated for so many bytes.
fn bound(len: usize) -> usize {
    64 * len + 4096
}

fn messages() -> Vec<Message> {
    facts::parse(FACTS)
        .into_iter()
        .filter(|message| message.key.is_some())
        .collect()
}

#[test]
fn every_truncation_is_an_error() {
    let mut count = 0;
    for message in messages() {
        for version in message.versions.clone() {
            for variant in [sample::FULL, sample::NULLS, sample::EMPTY] {
                let bytes = sample::bytes(&message, version, variant);
                for len in 0..bytes.len() {
                    let (result, taken) = read(&message.name, version, &bytes[..len]);
                    let place = format!("{} v{version} cut to {len}", message.name);
                    let fault = result.expect_err(&place);
                    assert!(
                        !fault.message.is_empty() && fault.left <= len,
                        "{place}: {fault}"
                    );
                    assert!(taken <= bound(len), "{place}: {taken} bytes taken");
                    count += 1;
                }
                let (result, taken) = read(&message.name, version, &bytes);
                assert_eq!(result, Ok(()), "{} v{version}", message.name);
                assert!(taken <= bound(bytes.len()), "{} v{version}", message.name);
            }
        }
    }
    println!("{count} truncations, each an error within its memory");
}

#[test]
fn altered_bytes_do_no_harm() {
    let mut count = 0;
    for message in messages() {
        for version in message.versions.clone() {
            let mut bytes = sample::bytes(&message, version, sample::FULL);
            for at in 0..bytes.len() {
                let right = bytes[at];
                for wrong in [0, 1, 0x7f, 0x80, 0xff] {
                    bytes[at] = wrong;
                    let (_, taken) = read(&message.name, version, &bytes);
                    assert!(
                        taken <= bound(bytes.len()),
                        "{} v{version}: {taken}",
                        message.name
                    );
                    count += 1;
                }
                bytes[at] = right;
            }
        }
    }
    println!("{count} alterations within their memory");
}

/// The costliest messages: very many of the smallest possible elements.
#[test]
fn crowded_arrays_stay_within_their_memory() {
    let mut most = (0.0, String::new());
    for message in messages() {
        for version in message.versions.clone() {
            let arrays = message
                .fields
                .iter()
                .filter(|field| field.ty.starts_with("[]"));
            for array in arrays.filter(|field| field.versions.contains(&version)) {
                let mut bytes = sample::crowded(&message, version, &array.path);
                let place = format!("{} v{version} {}", message.name, array.path);
                let (result, taken) = read(&message.name, version, &bytes);
                assert_eq!(result, Ok(()), "{place}");
                assert!(
                    taken <= bound(bytes.len()),
                    "{place}: {taken} for {}",
                    bytes.len()
                );
                if bytes.len() > 1000 {
                    let ratio = taken as f64 / bytes.len() as f64;
                    if ratio > most.0 {
                        most = (ratio, place.clone());
                    }
                }
                // The same count with almost nothing behind it.
                bytes.truncate(40);
                let (result, taken) = read(&message.name, version, &bytes);
                assert!(result.is_err() || taken == 0, "{place}");
                assert!(
                    taken <= bound(bytes.len()),
                    "{place}: {taken} for {}",
                    bytes.len()
                );
            }
        }
    }
    println!("at most {:.1} times the bytes, for {}", most.0, most.1);
    assert!(most.0 > 4.0, "the counter works");
}
