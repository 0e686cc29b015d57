//! The bytes of every message in every version, with every field set: as Kafka's own classes
//! write them (the fixtures), as another library does, and as this crate does.

#![allow(clippy::print_stdout, reason = "the numbers are meant to be read")]
#![allow(
    elided_lifetimes_in_paths,
    reason = "the list of messages does not say who borrows"
)]

mod common;

use bytes::{Bytes, BytesMut};
use common::facts::{self, FACTS};
use common::{every_api, sample, snake};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable, Message};
use milena_wire::{Decode, Encode, Request, Version, Writer};

/// What Kafka 4.3.1 writes; made by `tests/java/Bytes.java`, which says how.
const FIXTURES: &str = include_str!("fixtures/kafka-4.3.1.txt");

/// Message, version, variant, bytes.
fn fixtures() -> Vec<(&'static str, i16, u8, Vec<u8>)> {
    FIXTURES
        .lines()
        .map(|line| {
            let words: Vec<&str> = line.split(' ').collect();
            let bytes = (0..words[3].len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&words[3][at..at + 2], 16).unwrap())
                .collect();
            (
                words[0],
                words[1].parse().unwrap(),
                words[2].parse().unwrap(),
                bytes,
            )
        })
        .collect()
}

/// Reads the bytes as the message of this name, writes it, and returns how it prints and the bytes.
fn through_ours(name: &str, number: i16, bytes: &[u8]) -> (String, Vec<u8>) {
    fn through<'a, T: Decode<'a> + Encode + std::fmt::Debug>(
        bytes: &'a [u8],
        version: Version,
    ) -> (String, Vec<u8>) {
        let (rest, message) = T::decode(bytes, version).unwrap();
        assert!(
            rest.is_empty(),
            "{} bytes are left after {message:?}",
            rest.len()
        );
        let mut out = Writer::new();
        message.encode(&mut out, version).unwrap();
        (format!("{message:?}"), out.own().to_vec())
    }
    macro_rules! by_name {
        ($($module:ident $request:ident $response:ident,)*) => {
            match name {
                $(
                    stringify!($request) => through::<milena_wire::$request>(
                        bytes, milena_wire::$request::version(number)),
                    stringify!($response) => through::<milena_wire::$response>(
                        bytes, milena_wire::$request::version(number)),
                )*
                _ => panic!("{name} is not known"),
            }
        };
    }
    every_api!(by_name)
}

/// The same through kafka-protocol; `None` where it lacks the version.
fn through_theirs(name: &str, number: i16, bytes: &[u8]) -> Option<Vec<u8>> {
    fn through<T: Decodable + Encodable + Message>(bytes: &[u8], version: i16) -> Option<Vec<u8>> {
        if version < T::VERSIONS.min || version > T::VERSIONS.max {
            return None;
        }
        let mut bytes = Bytes::copy_from_slice(bytes);
        let message = T::decode(&mut bytes, version).unwrap();
        assert!(bytes.is_empty());
        let mut out = BytesMut::new();
        message.encode(&mut out, version).unwrap();
        Some(out.to_vec())
    }
    macro_rules! by_name {
        ($($module:ident $request:ident $response:ident,)*) => {
            match name {
                $(
                    stringify!($request) => through::<theirs::$request>(bytes, number),
                    stringify!($response) => through::<theirs::$response>(bytes, number),
                )*
                _ => panic!("{name} is not known"),
            }
        };
    }
    every_api!(by_name)
}

#[test]
fn every_message_has_the_bytes_of_kafka() {
    let facts = facts::parse(FACTS);
    let (mut compared, mut also_theirs, mut lacking) = (0, 0, vec![]);
    for (name, version, variant, kafka) in fixtures() {
        let place = format!("{name} v{version}, variant {variant}");
        let message = facts.iter().find(|message| message.name == name).unwrap();
        assert_eq!(
            sample::bytes(message, version, variant),
            kafka,
            "{place}: the sample"
        );
        let (printed, ours) = through_ours(name, version, &kafka);
        assert_eq!(ours, kafka, "{place}: {printed}");
        compared += 1;
        match through_theirs(name, version, &kafka) {
            Some(theirs) => {
                assert_eq!(theirs, kafka, "{place}: kafka-protocol");
                also_theirs += 1;
            }
            None if variant == 0 => lacking.push(format!("{name} {version}")),
            None => {}
        }
    }
    println!("{compared} samples as Kafka 4.3.1 writes them, {also_theirs} as kafka-protocol does");
    println!("versions that kafka-protocol lacks: {}", lacking.join(", "));
    // Nothing may be missing from the fixtures.
    let expected: usize = facts
        .iter()
        .filter(|message| message.key.is_some())
        .map(|message| message.versions.clone().count() * 3)
        .sum();
    assert_eq!(compared, expected);
    assert!(
        also_theirs * 10 > compared * 8,
        "{also_theirs} of {compared}"
    );
}

/// Whether the samples do what they are for: in every version each field differs from its
/// default in one of them. A message that is read prints its fields, so that it can be asked.
#[test]
fn samples_set_every_field() {
    for message in facts::parse(FACTS)
        .iter()
        .filter(|message| message.key.is_some())
    {
        for version in message.versions.clone() {
            let of = |variant| {
                through_ours(
                    &message.name,
                    version,
                    &sample::bytes(message, version, variant),
                )
                .0
            };
            let (full, nulls) = (of(sample::FULL), of(sample::NULLS));
            for field in &message.fields {
                let mut parents = field
                    .path
                    .match_indices('.')
                    .map(|(at, _)| &field.path[..at]);
                let has = |path: &str| {
                    message
                        .fields
                        .iter()
                        .any(|f| f.path == path && f.versions.contains(&version))
                };
                let Some(default) = &field.default else {
                    continue;
                };
                if !has(&field.path) || !parents.all(has) {
                    continue;
                }
                let default = match default.as_str() {
                    "null" => "None",
                    "zero" => "Uuid(AAAAAAAAAAAAAAAAAAAAAA)",
                    "empty" => "[]",
                    other => other,
                };
                let (name, mut set) = (snake(field.name()), false);
                for text in [&full, &nulls] {
                    for (at, found) in text.match_indices(&format!("{name}: ")) {
                        let start = text[..at].ends_with([' ', '{']);
                        let value = &text[at + found.len()..];
                        let same = value.starts_with(&format!("{default},"))
                            || value.starts_with(&format!("{default} "))
                            || value.starts_with(&format!("Some({default})"));
                        set |= start && !same;
                    }
                }
                assert!(
                    set,
                    "{} v{version}: {} keeps {default}",
                    message.name, field.path
                );
            }
        }
    }
}
