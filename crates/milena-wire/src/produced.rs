//! Reading a Produce response, one partition after the other, without keeping it.

use crate::api::produce::{NodeEndpoint, PartitionProduceResponse};
use crate::fault::place;
use crate::{Decode, Fault, Parsed, Uuid, Version, Why, tags, uvarint, whole};

/// Who a topic in the response is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicName<'a> {
    /// By name, up to version 12.
    Name(&'a str),
    /// By id, from version 13 on.
    Id(Uuid),
}

/// What a response says besides its partitions.
#[derive(Debug, Default)]
pub struct Remarks<'a> {
    /// How long the client is asked to be silent, in milliseconds.
    pub throttle_ms: i32,
    /// Where leaders that it names can be reached (KIP-951).
    pub endpoints: Vec<NodeEndpoint<'a>>,
}

/// Reads the body of a Produce response and hands each partition's answer to `tell`, in its order.
///
/// The response is taken apart where it lies: a broker answers thousands of times a second, and
/// most answers are about a single partition. What it tells is what
/// [`ProduceResponse`](crate::ProduceResponse) would hold.
///
/// # Errors
///
/// Where the bytes end early, are not what the version has, or go on after the end; what was told before stays told.
pub fn read<'a>(
    body: &'a [u8],
    version: Version,
    mut tell: impl FnMut(TopicName<'a>, PartitionProduceResponse<'a>),
) -> Result<Remarks<'a>, Fault> {
    let mut remarks = Remarks::default();
    let mut read = || -> Parsed<'a, ()> {
        let (mut input, topics) = within(RESPONSE, "responses", count(body, version))?;
        for _ in 0..topics {
            let (rest, topic) = topic_name(input, version)?;
            let partitions = count(rest, version);
            let (mut rest, partitions) = within(TOPIC, "partition_responses", partitions)?;
            for _ in 0..partitions {
                let (after, answer) = PartitionProduceResponse::decode(rest, version)?;
                tell(topic, answer);
                rest = after;
            }
            (input, ()) = within(TOPIC, "tags", tags(rest, version, |_, _| Ok(())))?;
        }
        let throttle = i32::decode(input, version);
        (input, remarks.throttle_ms) = within(RESPONSE, "throttle_time_ms", throttle)?;
        let tags = tags(input, version, |tag, bytes| {
            if tag == 0 && version.number >= 10 {
                remarks.endpoints = whole(bytes, version)
                    .map_err(|error| place(error, RESPONSE, "node_endpoints"))?;
            }
            Ok(())
        });
        within(RESPONSE, "tags", tags)
    };
    match read() {
        Ok(([], ())) => Ok(remarks),
        Ok((rest, ())) => Err(Fault::new(Why::Trailing, rest).within("Frame", "body")),
        Err(error) => Err(error.into()),
    }
}

/// What a fault says of where it is: as [`ProduceResponse`](crate::ProduceResponse) would.
const RESPONSE: &str = "ProduceResponse";
const TOPIC: &str = "TopicProduceResponse";

fn within<'a, T>(
    message: &'static str,
    field: &'static str,
    parsed: Parsed<'a, T>,
) -> Parsed<'a, T> {
    parsed.map_err(|error| place(error, message, field))
}

/// The number in front of an array. Every element takes at least a byte, so that a number that
/// is too large ends the reading soon; null is as good as none.
fn count(input: &[u8], version: Version) -> Parsed<'_, u32> {
    if version.flexible {
        let (input, count) = uvarint(input)?;
        return Ok((input, count.saturating_sub(1)));
    }
    let (input, count) = i32::decode(input, version)?;
    Ok((input, u32::try_from(count).unwrap_or(0)))
}

fn topic_name(input: &[u8], version: Version) -> Parsed<'_, TopicName<'_>> {
    if version.number >= 13 {
        let (input, id) = within(TOPIC, "topic_id", Uuid::decode(input, version))?;
        return Ok((input, TopicName::Id(id)));
    }
    let (input, name) = within(TOPIC, "name", <&str>::decode(input, version))?;
    Ok((input, TopicName::Name(name)))
}

#[cfg(test)]
mod tests {
    use crate::api::produce::{LeaderIdAndEpoch, TopicProduceResponse};
    use crate::{Encode, ProduceRequest, ProduceResponse, Request, Writer, decode_body};

    use super::*;

    fn response(version: Version) -> ProduceResponse<'static> {
        let partition = |index| PartitionProduceResponse {
            index,
            error_code: 6,
            base_offset: 70 + i64::from(index),
            current_leader: if version.number >= 10 {
                LeaderIdAndEpoch {
                    leader_id: 3,
                    leader_epoch: 9,
                }
            } else {
                LeaderIdAndEpoch::default()
            },
            ..Default::default()
        };
        ProduceResponse {
            responses: vec![
                TopicProduceResponse {
                    name: "a",
                    topic_id: Uuid([1; 16]),
                    partition_responses: vec![partition(0), partition(5)],
                },
                TopicProduceResponse {
                    name: "b",
                    partition_responses: vec![partition(2)],
                    ..Default::default()
                },
            ],
            throttle_time_ms: 17,
            node_endpoints: if version.number >= 10 {
                vec![NodeEndpoint {
                    node_id: 3,
                    host: "h",
                    port: 1,
                    rack: None,
                }]
            } else {
                Vec::new()
            },
        }
    }

    #[test]
    fn reads_what_the_whole_message_says_in_every_version() {
        for number in ProduceRequest::VERSIONS {
            let version = ProduceRequest::version(number);
            let mut out = Writer::new();
            response(version).encode(&mut out, version).unwrap();
            let mut seen = Vec::new();
            let remarks = read(out.own(), version, |topic, answer| {
                let named = match topic {
                    TopicName::Name(name) => name == if seen.len() < 2 { "a" } else { "b" },
                    TopicName::Id(id) => {
                        id == if seen.len() < 2 {
                            Uuid([1; 16])
                        } else {
                            Uuid::ZERO
                        }
                    }
                };
                assert!(named, "version {number}");
                seen.push((
                    answer.index,
                    answer.base_offset,
                    answer.current_leader.leader_id,
                ));
            })
            .unwrap();
            let leader = if number >= 10 { 3 } else { -1 };
            assert_eq!(
                seen,
                [(0, 70, leader), (5, 75, leader), (2, 72, leader)],
                "version {number}"
            );
            assert_eq!(remarks.throttle_ms, 17);
            assert_eq!(remarks.endpoints.len(), usize::from(number >= 10));
        }
    }

    #[test]
    fn every_truncation_is_a_fault() {
        for number in ProduceRequest::VERSIONS {
            let version = ProduceRequest::version(number);
            let mut out = Writer::new();
            response(version).encode(&mut out, version).unwrap();
            for end in 0..out.own().len() {
                let fault = read(&out.own()[..end], version, |_, _| ()).unwrap_err();
                let somewhere = !fault.message.is_empty() && !fault.field.is_empty();
                assert!(somewhere, "version {number}, {end} bytes: {fault}");
            }
        }
    }

    #[test]
    fn bytes_after_the_end_are_a_fault() {
        for number in ProduceRequest::VERSIONS {
            let version = ProduceRequest::version(number);
            let mut out = Writer::new();
            response(version).encode(&mut out, version).unwrap();
            let bytes = [out.own(), &[99, 99]].concat();
            let whole = decode_body::<ProduceResponse<'_>>(&bytes, version).unwrap_err();
            assert_eq!(whole.why, Why::Trailing);
            assert_eq!(read(&bytes, version, |_, _| ()).unwrap_err(), whole);
        }
    }

    #[test]
    fn a_fault_says_where_it_is() {
        let place = |bytes: &[u8], number| {
            let version = ProduceRequest::version(number);
            let fault = read(bytes, version, |_, _| ()).unwrap_err();
            (fault.message, fault.field, fault.why)
        };
        for (bytes, number, message, field, why) in [
            (&[][..], 9, RESPONSE, "responses", Why::Short),
            (&[2, 9], 9, TOPIC, "name", Why::Length),
            (&[2, 9], 13, TOPIC, "topic_id", Why::Short),
            (&[2, 1], 9, TOPIC, "partition_responses", Why::Short),
            (&[2, 1, 1], 9, TOPIC, "tags", Why::Short),
            (&[1, 0, 0], 9, RESPONSE, "throttle_time_ms", Why::Short),
            (&[1, 0, 0, 0, 0], 9, RESPONSE, "tags", Why::Short),
            (
                &[1, 0, 0, 0, 0, 1, 0, 2, 1, 7],
                10,
                RESPONSE,
                "node_endpoints",
                Why::Trailing,
            ),
            (&[1, 0, 0, 0, 0, 0, 99], 9, "Frame", "body", Why::Trailing),
        ] {
            assert_eq!(place(bytes, number), (message, field, why), "{bytes:?}");
        }
    }

    #[test]
    fn a_count_beyond_the_bytes_ends_at_once() {
        let version = ProduceRequest::version(9);
        assert!(read(&[0xff, 0xff, 0xff, 0xff, 0x0f], version, |_, _| ()).is_err());
        let version = ProduceRequest::version(3);
        assert!(read(&i32::MAX.to_be_bytes(), version, |_, _| ()).is_err());
    }
}
