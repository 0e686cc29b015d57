//! Whole frames: length, header and body, there and back; what a version cannot say; and that
//! writing does not allocate.

mod common;

use bytes::{Bytes, BytesMut};
use common::counting::{Counting, taken};
use kafka_protocol::messages as theirs;
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use milena_wire::api::{
    api_versions::ApiVersion,
    find_coordinator::Coordinator,
    metadata::MetadataRequestTopic,
    produce::{PartitionProduceData, TopicProduceData},
};
use milena_wire::{
    ApiKey, ApiVersionsRequest, ApiVersionsResponse, Decode, Encode, Fault, FindCoordinatorRequest,
    FindCoordinatorResponse, InitProducerIdRequest, MetadataRequest, ProduceRequest, Records,
    Request, RequestHeader, ResponseHeader, Unsayable, Unsupported, Uuid, Version, Why, Writer,
    begin_request, decode_body, decode_response, encode_request, encode_response, end_frame,
    message, peek_correlation, peek_request, split_frame,
};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn written<T: Encode>(message: &T, version: Version) -> Result<Vec<u8>, Unsupported> {
    let mut out = Writer::new();
    message.encode(&mut out, version)?;
    Ok(out.own().to_vec())
}

#[test]
fn request_headers_have_the_bytes_of_another_library() {
    for (number, header_version) in [(8, 1), (9, 2)] {
        for client_id in [Some("ours"), None, Some("")] {
            let header = RequestHeader {
                api_key: ApiKey::METADATA,
                api_version: number,
                correlation_id: -7,
                client_id,
            };
            let mut out = Writer::new();
            header
                .encode(&mut out, MetadataRequest::version(number))
                .unwrap();
            let mut expected = BytesMut::new();
            theirs::RequestHeader::default()
                .with_request_api_key(3)
                .with_request_api_version(number)
                .with_correlation_id(-7)
                .with_client_id(client_id.map(StrBytes::from_static_str))
                .encode(&mut expected, header_version)
                .unwrap();
            assert_eq!(out.own(), &expected[..]);
            let (rest, (read, version)) = RequestHeader::decode(out.own()).unwrap();
            assert_eq!((rest, read), (&[][..], header));
            assert_eq!(version, MetadataRequest::version(number));
        }
    }
}

#[test]
fn response_headers_are_flexible_except_for_api_versions() {
    let header = ResponseHeader { correlation_id: 5 };
    for (key, version, expected) in [
        (
            ApiKey::METADATA,
            MetadataRequest::version(8),
            &[0, 0, 0, 5][..],
        ),
        (
            ApiKey::METADATA,
            MetadataRequest::version(9),
            &[0, 0, 0, 5, 0][..],
        ),
        (
            ApiKey::API_VERSIONS,
            ApiVersionsRequest::version(4),
            &[0, 0, 0, 5][..],
        ),
    ] {
        let mut out = Writer::new();
        header.encode(&mut out, key, version);
        assert_eq!(out.own(), expected);
        assert_eq!(
            ResponseHeader::decode(out.own(), key, version),
            Ok((&[][..], header))
        );
    }
    // A tag that nobody knows yet is passed over.
    let bytes = [0, 0, 0, 5, 1, 9, 2, 1, 1, 0xee];
    let read = ResponseHeader::decode(&bytes, ApiKey::METADATA, MetadataRequest::version(9));
    assert_eq!(read, Ok((&[0xee][..], header)));
    let mut expected = Bytes::copy_from_slice(&bytes);
    assert_eq!(
        theirs::ResponseHeader::decode(&mut expected, 1)
            .unwrap()
            .correlation_id,
        5
    );
}

#[test]
fn frames_go_there_and_back() {
    let request = ApiVersionsRequest {
        client_software_name: "milena",
        client_software_version: "0.1.0",
    };
    for number in ApiVersionsRequest::VERSIONS {
        let version = ApiVersionsRequest::version(number);
        let sent = encode_request(Some("me"), 3, &request, version).unwrap();
        assert_eq!(sent.len(), sent.to_vec().len());
        let bytes = sent.to_vec();
        let (frame, rest) = split_frame(&bytes, 1000).unwrap().unwrap();
        assert!(rest.is_empty());
        assert_eq!(peek_request(frame), Some((ApiKey::API_VERSIONS, number)));
        let (body, (header, read_version)) = RequestHeader::decode(frame).unwrap();
        assert_eq!((header.client_id, read_version), (Some("me"), version));
        let read: ApiVersionsRequest<'_> = decode_body(body, version).unwrap();
        // Ignorable: what the version lacks is dropped.
        let expected = if number >= 3 {
            request.clone()
        } else {
            Default::default()
        };
        assert_eq!(read, expected);

        let response = ApiVersionsResponse {
            api_keys: vec![ApiVersion {
                api_key: 0,
                min_version: 3,
                max_version: 13,
            }],
            ..Default::default()
        };
        let sent = encode_response::<ApiVersionsRequest<'_>>(3, &response, version).unwrap();
        let bytes = sent.to_vec();
        let (frame, _) = split_frame(&bytes, 1000).unwrap().unwrap();
        assert_eq!(peek_correlation(frame), Some(3));
        let read = decode_response::<ApiVersionsRequest<'_>>(frame, version);
        assert_eq!(read, Ok((3, response)));
        // What is left over after the end is noticed.
        let longer = [frame, &[0]].concat();
        let fault = decode_response::<ApiVersionsRequest<'_>>(&longer, version).unwrap_err();
        assert_eq!((fault.why, fault.left), (Why::Trailing, 1));
        assert_eq!((fault.message, fault.field), ("Frame", "body"));
    }
}

#[test]
fn what_a_version_cannot_say_is_refused() {
    let unsayable = |result: Result<Vec<u8>, Unsupported>| {
        let error = result.unwrap_err();
        (error.message, error.field, error.version, error.why)
    };
    // Neither ignorable nor the default.
    let request = InitProducerIdRequest {
        enable2_pc: true,
        ..Default::default()
    };
    assert_eq!(
        unsayable(written(&request, InitProducerIdRequest::version(5))),
        ("InitProducerIdRequest", "enable2_pc", 5, Unsayable::Absent)
    );
    written(&request, InitProducerIdRequest::version(6)).unwrap();
    let request = FindCoordinatorRequest {
        key_type: 1,
        key: "t",
        ..Default::default()
    };
    assert_eq!(
        unsayable(written(&request, FindCoordinatorRequest::version(0))),
        ("FindCoordinatorRequest", "key_type", 0, Unsayable::Absent)
    );
    // A field that is gone in later versions, at the top and in an array.
    assert_eq!(
        unsayable(written(&request, FindCoordinatorRequest::version(4))),
        ("FindCoordinatorRequest", "key", 4, Unsayable::Absent)
    );
    let response = FindCoordinatorResponse {
        coordinators: vec![Coordinator::default()],
        ..Default::default()
    };
    assert_eq!(
        unsayable(written(&response, FindCoordinatorRequest::version(3))),
        (
            "FindCoordinatorResponse",
            "coordinators",
            3,
            Unsayable::Absent
        )
    );
    // Null where the version has none.
    let request = MetadataRequest {
        topics: None,
        ..Default::default()
    };
    assert_eq!(
        unsayable(written(&request, MetadataRequest::version(0))),
        ("MetadataRequest", "topics", 0, Unsayable::Null)
    );
    let topic = MetadataRequestTopic {
        name: None,
        topic_id: Uuid([1; 16]),
    };
    let request = MetadataRequest {
        topics: Some(vec![topic]),
        ..Default::default()
    };
    assert_eq!(
        unsayable(written(&request, MetadataRequest::version(9))),
        ("MetadataRequestTopic", "name", 9, Unsayable::Null)
    );
    written(&request, MetadataRequest::version(10)).unwrap();
    // No such version at all.
    let refused = encode_request(
        None,
        0,
        &ProduceRequest::default(),
        ProduceRequest::version(2),
    );
    assert_eq!(refused.unwrap_err().why, Unsayable::NoSuchVersion);
    assert_eq!(
        refused_text(&request),
        "MetadataRequestTopic.name cannot be null in version 9; use another version or change the \
         field"
    );
}

fn refused_text(request: &MetadataRequest<'_>) -> String {
    written(request, MetadataRequest::version(9))
        .unwrap_err()
        .to_string()
}

#[test]
fn null_is_read_only_where_a_version_has_it() {
    let bytes = [0xff, 0xff, 0xff, 0xff];
    let fault = decode_body::<MetadataRequest<'_>>(&bytes, MetadataRequest::version(0));
    let expected = Fault {
        message: "MetadataRequest",
        field: "topics",
        why: Why::Null,
        left: 4,
    };
    assert_eq!(fault, Err(expected));
    let read: MetadataRequest<'_> = decode_body(&bytes, MetadataRequest::version(1)).unwrap();
    assert_eq!(read.topics, None);
}

message! {
    /// Has what no message of this crate has.
    pub struct Odd<'a> {
        /// A struct that may be null.
        0.. => inner: Option<Inner> = None; ignorable; nullable(1..),
        /// Bytes that may be null.
        0.. => bytes: Option<&'a [u8]> = None,
        /// Two more numbers.
        0.. => port: u16,
        /// Two more numbers.
        0.. => share: f64,
    } tagged {
        /// A tagged struct that may be null.
        3 @ 2.. => late: Option<Inner> = None,
        /// A string.
        130 @ 2.. => far: &'a str = "far",
    }

    /// Within.
    pub struct Inner {
        /// A number.
        0.. => number: i32 = 7,
    }
}

#[test]
fn structs_may_be_null_and_tags_large() {
    let full = Odd {
        inner: Some(Inner { number: 9 }),
        bytes: Some(b"ab"),
        port: 0xfffe,
        share: 0.5,
        late: Some(Inner { number: 1 }),
        far: "near",
    };
    for odd in [full.clone(), Odd::default()] {
        for version in [Version::new(2, true), Version::new(3, true)] {
            let bytes = written(&odd, version).unwrap();
            assert_eq!(decode_body::<Odd<'_>>(&bytes, version), Ok(odd.clone()));
        }
    }
    let version = Version::new(2, true);
    let bytes = written(&Odd::default(), version).unwrap();
    assert_eq!(
        bytes,
        [&[0xff, 0, 0, 0][..], &[0; 8], &[0]].concat(),
        "defaults are not tagged"
    );
    let bytes = written(&full, version).unwrap();
    let tags = [
        2, 3, 6, 1, 0, 0, 0, 1, 0, 0x82, 1, 5, 5, b'n', b'e', b'a', b'r',
    ];
    assert!(bytes.ends_with(&tags), "{bytes:?}");
    // Version 0 has no null, version 1 no tags.
    let error = written(&Odd::default(), Version::new(0, false)).unwrap_err();
    assert_eq!((error.field, error.why), ("inner", Unsayable::Null));
    let error = written(&full, Version::new(1, false)).unwrap_err();
    assert_eq!((error.field, error.why), ("late", Unsayable::Absent));
}

#[test]
fn tagged_fields_longer_than_127_bytes_keep_shared_pieces_in_place() {
    message! {
        /// Records in a tag.
        pub struct Tagged<'a> {} tagged {
            /// Records.
            0 @ 0.. => records: Option<Records<'a>> = None,
        }
    }
    let pieces = [Bytes::from(vec![1; 3000]), Bytes::from_static(b"end")];
    let message = Tagged {
        records: Some(Records::Shared(&pieces)),
    };
    let version = Version::new(0, true);
    let mut out = Writer::new();
    message.encode(&mut out, version).unwrap();
    let bytes = milena_wire::Frame::from(out).to_vec();
    assert_eq!(bytes.len(), 3003 + 2 + 2 + 2);
    assert_eq!(decode_body::<Tagged<'_>>(&bytes, version), Ok(message));
}

#[test]
fn a_warm_writer_takes_no_memory() {
    let records = vec![7; 20_000];
    let partition = |index| PartitionProduceData {
        index,
        records: Some(Records::Slice(&records)),
    };
    let request = ProduceRequest {
        transactional_id: Some("tx"),
        acks: -1,
        timeout_ms: 30_000,
        topic_data: vec![TopicProduceData {
            name: "topic",
            topic_id: Uuid([3; 16]),
            partition_data: (0..20).map(partition).collect(),
        }],
    };
    let mut out = Writer::new();
    for number in ProduceRequest::VERSIONS {
        let version = ProduceRequest::version(number);
        let header = RequestHeader {
            api_key: ProduceRequest::KEY,
            api_version: number,
            correlation_id: 1,
            client_id: Some("me"),
        };
        let write = |out: &mut Writer| {
            out.clear();
            begin_request(out, &header, version)?;
            request.encode(out, version)?;
            end_frame(out)
        };
        write(&mut out).unwrap();
        let before = taken();
        write(&mut out).unwrap();
        assert_eq!(taken(), before, "v{number}");
        let (frame, _) = split_frame(out.own(), 1 << 20).unwrap().unwrap();
        let (body, (_, version)) = RequestHeader::decode(frame).unwrap();
        // Reading takes memory for its two arrays alone.
        let before = taken();
        let (_, read) = ProduceRequest::decode(body, version).unwrap();
        let arrays = size_of::<TopicProduceData<'_>>() + 20 * size_of::<PartitionProduceData<'_>>();
        assert_eq!(taken() - before, arrays, "v{number}");
        assert_eq!(
            read.topic_data[0].partition_data,
            request.topic_data[0].partition_data
        );
    }
}

/// What the sender does: a Produce request around batches that never enter the writer.
#[test]
fn a_request_can_be_written_around_bytes_that_stay_outside() {
    let batches = [vec![1; 5000], vec![2; 3]];
    for number in ProduceRequest::VERSIONS {
        let version = ProduceRequest::version(number);
        let request = ProduceRequest {
            acks: 1,
            timeout_ms: 9,
            topic_data: vec![TopicProduceData {
                name: "t",
                topic_id: Uuid([4; 16]),
                partition_data: (0..)
                    .zip(&batches)
                    .map(|(index, batch)| PartitionProduceData {
                        index,
                        records: Some(Records::Slice(batch)),
                    })
                    .collect(),
            }],
            ..Default::default()
        };
        let whole = encode_request(Some("me"), 8, &request, version)
            .unwrap()
            .to_vec();

        let (mut out, mut places) = (Writer::new(), vec![]);
        let header = RequestHeader {
            api_key: ProduceRequest::KEY,
            api_version: number,
            correlation_id: 8,
            client_id: Some("me"),
        };
        begin_request(&mut out, &header, version).unwrap();
        out.nullable_string(version, None).unwrap();
        out.i16(1);
        out.i32(9);
        out.array_len(version, 1).unwrap();
        if number < 13 {
            out.string(version, "t").unwrap();
        } else {
            out.uuid(Uuid([4; 16]));
        }
        out.array_len(version, batches.len()).unwrap();
        for (index, batch) in (0..).zip(&batches) {
            out.i32(index);
            out.array_len(version, batch.len()).unwrap();
            places.push(out.outside(batch.len()));
            out.no_tags(version);
        }
        out.no_tags(version);
        out.no_tags(version);
        end_frame(&mut out).unwrap();
        let mut pieced = out.own().to_vec();
        for (place, batch) in places.iter().zip(&batches).rev() {
            pieced.splice(place..place, batch.iter().copied());
        }
        assert_eq!(pieced, whole, "v{number}");
    }
}
