//! `milena-record` alone: prints what is in a segment file, as a broker keeps it.
//!
//! Without a file it takes one that Apache Kafka 4.3.1 wrote, with a batch of each codec by Java's producer.

#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::path::PathBuf;

use anyhow::Result;
use milena_record::batches;

fn main() -> Result<()> {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/data/00000000000000000000.log");
    let file = std::env::args_os()
        .nth(1)
        .map_or_else(|| PathBuf::from(sample), PathBuf::from);
    let bytes = std::fs::read(&file)?;
    println!("{}: {} bytes", file.display(), bytes.len());

    for batch in batches(&bytes) {
        let batch = batch?;
        batch.verify_crc()?;
        let header = batch.header();
        println!(
            "batch at {}: {} records, {:?}, {} bytes, producer {} epoch {} sequence {}",
            header.base_offset,
            header.record_count,
            header.attributes.codec()?,
            batch.bytes().len(),
            header.producer_id,
            header.producer_epoch,
            header.base_sequence,
        );
        // Decompressed to at most 16 MiB: the file may come from anywhere.
        for record in &batch.records(16 << 20)? {
            let record = record?;
            let text = |bytes: Option<&[u8]>| match bytes {
                None => "null".to_owned(),
                Some(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
            };
            print!(
                "  {} at {}: {} = {}",
                record.offset,
                record.timestamp,
                text(record.key),
                text(record.value)
            );
            for header in record.headers().iter() {
                print!(", {}: {}", header.key_str(), text(header.value));
            }
            println!();
        }
    }
    Ok(())
}
