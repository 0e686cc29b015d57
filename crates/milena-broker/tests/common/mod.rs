//! What the tests share: requests made and answers read with `milena-wire`.
#![allow(dead_code)]

use milena_broker::{Cluster, Reply};
use milena_record::{BatchHeader, Codec, HeadersRef, RecordRef};
use milena_wire::api::produce::{PartitionProduceData, TopicProduceData};
use milena_wire::{ProduceRequest, Records, Request, Uuid, decode_response, encode_request};

/// Bytes of a request, the length in front included.
pub(crate) fn frame<Q: Request>(request: &Q, version: i16) -> Vec<u8> {
    let frame = encode_request(Some("test"), 7, request, Q::version(version));
    frame.expect("the request fits the version").to_vec()
}

/// Asks a broker of a cluster and returns its reply.
pub(crate) fn ask<Q: Request>(
    cluster: &mut Cluster,
    broker: i32,
    request: &Q,
    version: i16,
) -> Reply {
    cluster.handle(1000, broker, 1, &frame(request, version)[4..])
}

/// Asks a broker that answers, and returns the frame of the answer without the length.
pub(crate) fn answer<Q: Request>(
    cluster: &mut Cluster,
    broker: i32,
    request: &Q,
    version: i16,
) -> Vec<u8> {
    let reply = ask(cluster, broker, request, version);
    let Reply::Answer(answer) = reply else {
        panic!("no answer: {reply:?}")
    };
    assert_eq!(
        answer.bytes[..4],
        (answer.bytes.len() as u32 - 4).to_be_bytes()
    );
    answer.bytes[4..].to_vec()
}

/// Reads an answer.
pub(crate) fn read<Q: Request>(frame: &[u8], version: i16) -> Q::Response<'_> {
    let (correlation, response) =
        decode_response::<Q>(frame, Q::version(version)).expect("a response");
    assert_eq!(correlation, 7);
    response
}

/// Who sends a batch: id, epoch and first sequence.
pub(crate) type Sender = (i64, i16, i32);

/// No idempotence.
pub(crate) const NOBODY: Sender = (-1, -1, -1);

/// A batch of records without keys.
pub(crate) fn batch(
    (producer_id, producer_epoch, base_sequence): Sender,
    values: &[&str],
) -> Vec<u8> {
    let mut body = Vec::new();
    for (delta, value) in (0..).zip(values) {
        let record = RecordRef {
            timestamp: 50,
            key: None,
            value: Some(value.as_bytes()),
            headers: HeadersRef::default(),
        };
        milena_record::encode_record(&mut body, delta, 0, &record);
    }
    let header = BatchHeader {
        producer_id,
        producer_epoch,
        base_sequence,
        ..BatchHeader::new(Codec::None, values.len() as i32, 50, 50)
    };
    [&header.encode([&body[..]])[..], &body].concat()
}

/// A Produce request with one batch.
pub(crate) fn produce<'a>(
    topic: &'a str,
    id: Uuid,
    index: i32,
    batch: &'a [u8],
) -> ProduceRequest<'a> {
    let data = PartitionProduceData {
        index,
        records: Some(Records::Slice(batch)),
    };
    ProduceRequest {
        acks: -1,
        timeout_ms: 1000,
        topic_data: vec![TopicProduceData {
            name: topic,
            topic_id: id,
            partition_data: vec![data],
        }],
        ..ProduceRequest::default()
    }
}

/// Error code and base offset of the only partition in a Produce answer.
pub(crate) fn produced(frame: &[u8], version: i16) -> (i16, i64) {
    let response = read::<ProduceRequest<'_>>(frame, version);
    let partition = &response.responses[0].partition_responses[0];
    (partition.error_code, partition.base_offset)
}
