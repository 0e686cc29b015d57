//! `milena-wire` alone: asks a broker which versions it speaks and which topics it has.

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::Result;
use milena_examples::Cluster;
use milena_wire::{
    ApiKey, ApiVersionsRequest, MetadataRequest, Request, decode_response, encode_request,
};

fn main() -> Result<()> {
    let cluster = Cluster::from_args()?;
    if cluster.is_embedded() {
        cluster.create_topic("fruit", 3)?;
    }
    let server = cluster.servers().split(',').next().unwrap_or_default();
    let mut stream = TcpStream::connect(server)?;

    // Every broker since 0.10 answers version 0.
    let frame = ask(&mut stream, 1, 0, &ApiVersionsRequest::default())?;
    let (_, versions) =
        decode_response::<ApiVersionsRequest<'_>>(&frame, ApiVersionsRequest::version(0))?;
    println!("{server} speaks {} APIs", versions.api_keys.len());
    for api in &versions.api_keys {
        if let Some(name) = ApiKey(api.api_key).name() {
            println!("  {name:<28} {} to {}", api.min_version, api.max_version);
        }
    }

    // The newest version of Metadata that both sides know.
    let theirs = versions
        .range_of(ApiKey::METADATA)
        .map_or(0, |range| *range.end());
    let version = theirs.min(MetadataRequest::STABLE);
    let frame = ask(
        &mut stream,
        2,
        version,
        &MetadataRequest {
            topics: None,
            ..Default::default()
        },
    )?;
    let (_, metadata) =
        decode_response::<MetadataRequest<'_>>(&frame, MetadataRequest::version(version))?;
    for broker in &metadata.brokers {
        println!(
            "broker {} at {}:{}",
            broker.node_id, broker.host, broker.port
        );
    }
    for topic in &metadata.topics {
        println!("topic {}", topic.name.unwrap_or("without a name"));
        for partition in &topic.partitions {
            println!(
                "  partition {} is led by {}",
                partition.partition_index, partition.leader_id
            );
        }
    }
    Ok(())
}

/// Writes a request and reads the frame of the answer, without the length in front.
fn ask<Q: Request>(
    stream: &mut TcpStream,
    correlation: i32,
    version: i16,
    request: &Q,
) -> Result<Vec<u8>> {
    let frame = encode_request(
        Some("wire-example"),
        correlation,
        request,
        Q::version(version),
    )?;
    for segment in frame.segments() {
        stream.write_all(segment)?;
    }
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length))?;
    let mut answer = Vec::new();
    stream.take(length as u64).read_to_end(&mut answer)?;
    Ok(answer)
}
