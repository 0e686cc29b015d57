//! Kafka's own client reads what is written here, and what it writes is read here.
//!
//! `tests/fixtures` holds batches that kafka-clients 4.3.1 wrote, with a description of each. The ignored test makes
//! them anew and lets Java read ours: it needs Java 17 and the jars of kafka-clients (from the environment variable
//! `KAFKA_LIBS`, or where `cargo xtask kafka` puts them), and fails without.

#[path = "all/common.rs"]
mod common;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::{Owned, Rng, body_of, built, header_of};
use milena_record::{BatchHeader, Codec, Compression, Compressor, batches};

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn what_java_wrote_is_read() {
    let files = compare_with_descriptions(&Path::new(CRATE).join("tests/fixtures"), "txt");
    assert_eq!(files, 9);
}

#[test]
#[ignore = "needs Java 17 and the jars of kafka-clients; `cargo xtask kafka test` runs it"]
fn java_reads_and_writes_today() {
    let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("record-java");
    let _ = fs::remove_dir_all(&dir);
    let (theirs, ours) = (dir.join("java"), dir.join("milena"));
    for dir in [&theirs, &ours] {
        fs::create_dir_all(dir).expect("the target folder can be written");
    }

    java("write", &theirs);
    assert_eq!(compare_with_descriptions(&theirs, "txt"), 9);

    let files = write_all(&ours);
    assert_eq!(compare_with_descriptions(&ours, "txt"), files);
    java("read", &ours);
    for file in binaries(&ours) {
        let expected = fs::read_to_string(file.with_extension("txt")).expect("was written");
        let seen = fs::read_to_string(file.with_extension("read.txt")).expect("Java wrote it");
        assert_same(&file, &seen, &expected);
    }
}

/// Batches of every codec and a good many levels; how many files.
fn write_all(dir: &Path) -> usize {
    let levels = (1..=9)
        .map(|level| Compression::gzip(Some(level)))
        .chain([-1000, -1, 1, 7, 15, 22].map(|level| Compression::zstd(Some(level))))
        .filter_map(Result::ok);
    let mut rng = Rng(42);
    let mut files = 0;
    for compression in built().chain(levels) {
        let (mut bytes, mut text) = (Vec::new(), String::new());
        let mut compressor = Compressor::new();
        for round in 0..12 {
            let most = [10, 500, 70_000][round % 3];
            let records: Vec<_> = (0..1 + rng.below(40))
                .map(|_| Owned::random(&mut rng, most))
                .collect();
            let mut header = header_of(&records, compression.codec());
            header.base_offset = 1000 * round as i64;
            if round % 2 == 1 {
                header.producer_id = 1 << 40;
                header.producer_epoch = 7;
                header.base_sequence = i32::MAX - 2;
                header.attributes = header.attributes.with_transactional(round % 4 == 1);
            }
            if round % 5 == 4 {
                header.attributes = header.attributes.with_log_append_time(true);
            }
            let mut body = Vec::new();
            compressor
                .compress(compression, body_of(&records).chunks(4096), &mut body)
                .expect("memory suffices");
            bytes.extend(header.encode(body.chunks(999)));
            bytes.extend(body);
            describe_batch(&mut text, &header);
            for (offset, record) in records.iter().enumerate() {
                let mut record = record.clone();
                if header.attributes.is_log_append_time() {
                    record.timestamp = header.max_timestamp;
                }
                describe_record(&mut text, header.base_offset + offset as i64, &record);
            }
        }
        let _ = writeln!(text, "bytes {0} of {0}", bytes.len());
        let name = compression.to_string().replace(':', "-");
        fs::write(dir.join(&name).with_extension("bin"), bytes).expect("can be written");
        fs::write(dir.join(&name).with_extension("txt"), text).expect("can be written");
        files += 1;
    }
    files
}

/// Reads every `*.bin` and compares with its description; how many there were.
fn compare_with_descriptions(dir: &Path, extension: &str) -> usize {
    let mut files = 0;
    for file in binaries(dir) {
        let bytes = fs::read(&file).expect("can be read");
        let expected = fs::read_to_string(file.with_extension(extension)).expect("is beside it");
        let codec = expected.split(' ').nth(4);
        let codec = Codec::ALL
            .into_iter()
            .find(|one| Some(one.name()) == codec)
            .expect("the first line names the codec");
        if codec.is_built() {
            assert_same(&file, &describe(&bytes), &expected);
        }
        files += 1;
    }
    files
}

fn binaries(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).expect("the folder exists");
    let paths = entries.map(|entry| entry.expect("can be listed").path());
    let mut files: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "bin"))
        .collect();
    files.sort();
    files
}

fn assert_same(file: &Path, seen: &str, expected: &str) {
    for (number, (seen, expected)) in seen.lines().zip(expected.lines()).enumerate() {
        assert_eq!(seen, expected, "{}, line {}", file.display(), number + 1);
    }
    assert_eq!(
        seen.lines().count(),
        expected.lines().count(),
        "{}",
        file.display()
    );
}

/// What is in these batches, as the Java program says it.
fn describe(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut read = 0;
    for batch in batches(bytes) {
        let batch = batch.expect("is whole");
        batch.verify_crc().expect("is not damaged");
        read += batch.bytes().len();
        describe_batch(&mut text, batch.header());
        for record in &batch.records(1 << 24).expect("can be decompressed") {
            let record = record.expect("is well-formed");
            describe_record(&mut text, record.offset, &Owned::read(&record));
        }
    }
    let _ = writeln!(text, "bytes {read} of {}", bytes.len());
    text
}

fn describe_batch(text: &mut String, header: &BatchHeader) {
    let attributes = header.attributes;
    let _ = writeln!(
        text,
        "batch {} {} {} {} {} {} {} {} {} {} {} {}",
        header.base_offset,
        header.base_offset + i64::from(header.last_offset_delta),
        header.record_count,
        attributes.codec().expect("is known"),
        header.producer_id,
        header.producer_epoch,
        header.base_sequence,
        header.last_sequence(),
        attributes.is_transactional(),
        attributes.is_control(),
        attributes.is_log_append_time(),
        header.max_timestamp,
    );
}

fn describe_record(text: &mut String, offset: i64, record: &Owned) {
    let _ = write!(
        text,
        "record {offset} {} {} {}",
        record.timestamp,
        show(record.key.as_deref()),
        show(record.value.as_deref())
    );
    for (key, value) in &record.headers {
        let _ = write!(
            text,
            " {}={}",
            show(Some(key.as_bytes())),
            show(value.as_deref())
        );
    }
    text.push('\n');
}

/// "-" for null, hexadecimal after an "x", or length and CRC-32C if it is long.
fn show(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "-".to_owned(),
        Some(bytes) if bytes.len() > 64 => {
            format!("{}:{:08x}", bytes.len(), crc32c::crc32c(bytes))
        }
        Some(bytes) => bytes.iter().fold("x".to_owned(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }),
    }
}

/// Runs the Java program, which is compiled as it starts.
fn java(what: &str, dir: &Path) {
    let libs = match std::env::var_os("KAFKA_LIBS") {
        Some(libs) => PathBuf::from(libs),
        None => Path::new(CRATE).join("../../target/kafka/4.3.1/libs"),
    };
    assert!(
        libs.is_dir(),
        "{} is missing: run `cargo xtask kafka up` once, or set KAFKA_LIBS to a folder with the jars of kafka-clients",
        libs.display()
    );
    let output = Command::new("java")
        .arg("-cp")
        .arg(libs.join("*"))
        .arg(Path::new(CRATE).join("tests/java/RecordFixtures.java"))
        .args([what.as_ref(), dir.as_os_str()])
        .output()
        .expect("Java 17 is needed: `java` was not found");
    assert!(
        output.status.success(),
        "java {what}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
