//! Requests and replies in a line each, for the journal of a run.

use std::fmt::Write as _;

use milena_broker::Reply;
use milena_record::BatchHeader;
use milena_wire::{
    ApiKey, Decode, ErrorCode, ProduceRequest, ProduceResponse, RequestHeader, ResponseHeader,
    Version,
};

/// What a request says.
pub(crate) fn request(frame: &[u8]) -> String {
    let Ok((body, (header, version))) = RequestHeader::decode(frame) else {
        return "something unreadable".to_owned();
    };
    let mut text = name(header.api_key, version);
    if header.api_key == ApiKey::PRODUCE
        && let Ok((_, request)) = ProduceRequest::decode(body, version)
    {
        for topic in &request.topic_data {
            for partition in &topic.partition_data {
                let bytes = partition
                    .records
                    .as_ref()
                    .and_then(milena_wire::Records::as_slice)
                    .unwrap_or_default();
                if let Ok(header) = BatchHeader::decode(bytes) {
                    let _ = write!(
                        text,
                        " {}{:02x}-{}[epoch {} sequence {} records {}]",
                        topic.name,
                        topic.topic_id.0[0],
                        partition.index,
                        header.producer_epoch,
                        header.base_sequence,
                        header.record_count
                    );
                }
            }
        }
    }
    text
}

/// What a broker says to a request.
pub(crate) fn reply(frame: &[u8], reply: &Reply) -> String {
    let Reply::Answer(answer) = reply else {
        return match reply {
            Reply::Wait(wait) => format!("holds it until {}", wait.until_ms),
            Reply::Close => "closes".to_owned(),
            _ => "says nothing".to_owned(),
        };
    };
    let Ok((_, (header, version))) = RequestHeader::decode(frame) else {
        return "answers something unreadable".to_owned();
    };
    let mut text = format!(
        "answers {} after {} ms",
        name(header.api_key, version),
        answer.after_ms
    );
    let bytes = answer.bytes.get(4..).unwrap_or_default();
    if header.api_key == ApiKey::PRODUCE
        && let Ok((body, _)) = ResponseHeader::decode(bytes, header.api_key, version)
        && let Ok((_, response)) = ProduceResponse::decode(body, version)
    {
        for topic in &response.responses {
            for partition in &topic.partition_responses {
                let code = ErrorCode(partition.error_code);
                let _ = write!(
                    text,
                    " {}{:02x}-{}[{} at {}]",
                    topic.name,
                    topic.topic_id.0[0],
                    partition.index,
                    code.name().unwrap_or("?"),
                    partition.base_offset
                );
            }
        }
    }
    text
}

fn name(api: ApiKey, version: Version) -> String {
    format!("{} v{}", api.name().unwrap_or("?"), version.number)
}
