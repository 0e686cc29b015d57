//! Records in a file, as they go to and come from the Java helper.
//!
//! Every number is big-endian. A record is its partition (4 bytes), offset (8), timestamp (8), a byte that is 1 when
//! the timestamp is the broker's, then key, value and headers. A length of -1 stands for null.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Write};
use std::path::Path;

use anyhow::Result;

/// A record with where it lies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// The partition; -1 leaves the choice to the producer.
    pub partition: i32,
    /// The offset; unused in records to be written.
    pub offset: i64,
    /// Milliseconds since 1970; -1 leaves it to the producer.
    pub timestamp: i64,
    /// Whether the broker set the timestamp when it appended the record.
    pub log_append_time: bool,
    /// The key, or none.
    pub key: Option<Vec<u8>>,
    /// The value, or none.
    pub value: Option<Vec<u8>>,
    /// The headers in order.
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

/// Writes a file of records.
pub fn write_all(file: &Path, records: &[Record]) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(file)?);
    for record in records {
        write(&mut out, record)?;
    }
    Ok(out.flush()?)
}

/// Gives every record of a file to `see`, in order.
pub fn for_each(file: &Path, mut see: impl FnMut(&Record) -> Result<()>) -> Result<()> {
    let mut input = BufReader::with_capacity(1 << 20, File::open(file)?);
    let mut record = Record::default();
    while read(&mut input, &mut record)? {
        see(&record)?;
    }
    Ok(())
}

/// Writes one record.
pub fn write(out: &mut impl Write, record: &Record) -> io::Result<()> {
    out.write_all(&record.partition.to_be_bytes())?;
    out.write_all(&record.offset.to_be_bytes())?;
    out.write_all(&record.timestamp.to_be_bytes())?;
    out.write_all(&[u8::from(record.log_append_time)])?;
    write_bytes(out, record.key.as_deref())?;
    write_bytes(out, record.value.as_deref())?;
    write_length(out, record.headers.len())?;
    for (key, value) in &record.headers {
        write_bytes(out, Some(key.as_bytes()))?;
        write_bytes(out, value.as_deref())?;
    }
    Ok(())
}

/// Reads the next record into `record`; false at the end of the file.
pub fn read(input: &mut impl Read, record: &mut Record) -> io::Result<bool> {
    let mut partition = [0; 4];
    match input.read_exact(&mut partition) {
        Ok(()) => record.partition = i32::from_be_bytes(partition),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(false),
        Err(error) => return Err(error),
    }
    record.offset = i64::from_be_bytes(array(input)?);
    record.timestamp = i64::from_be_bytes(array(input)?);
    record.log_append_time = array::<1>(input)? == [1];
    record.key = read_bytes(input)?;
    record.value = read_bytes(input)?;
    record.headers.clear();
    for _ in 0..length(input)?.unwrap_or(0) {
        let key = read_bytes(input)?.unwrap_or_default();
        let key = String::from_utf8(key).map_err(|_| broken("a header key is not UTF-8"))?;
        record.headers.push((key, read_bytes(input)?));
    }
    Ok(true)
}

fn write_length(out: &mut impl Write, length: usize) -> io::Result<()> {
    let length = i32::try_from(length).map_err(|_| broken("a length above 2 GiB"))?;
    out.write_all(&length.to_be_bytes())
}

fn write_bytes(out: &mut impl Write, bytes: Option<&[u8]>) -> io::Result<()> {
    match bytes {
        None => out.write_all(&(-1_i32).to_be_bytes()),
        Some(bytes) => {
            write_length(out, bytes.len())?;
            out.write_all(bytes)
        }
    }
}

fn array<const N: usize>(input: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn length(input: &mut impl Read) -> io::Result<Option<usize>> {
    match i32::from_be_bytes(array(input)?) {
        -1 => Ok(None),
        length => usize::try_from(length)
            .map(Some)
            .map_err(|_| broken("a negative length")),
    }
}

fn read_bytes(input: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let Some(length) = length(input)? else {
        return Ok(None);
    };
    let mut bytes = vec![0; length];
    input.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

fn broken(why: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let one = Record {
            partition: 3,
            offset: 40,
            timestamp: -1,
            log_append_time: true,
            key: None,
            value: Some(Vec::new()),
            headers: vec![("a".to_owned(), None), ("a".to_owned(), Some(vec![1, 2]))],
        };
        let two = Record {
            key: Some(b"k".to_vec()),
            ..Record::default()
        };
        let mut file = Vec::new();
        write(&mut file, &one).unwrap();
        write(&mut file, &two).unwrap();
        let (mut input, mut record) = (file.as_slice(), Record::default());
        assert!(read(&mut input, &mut record).unwrap());
        assert_eq!(record, one);
        assert!(read(&mut input, &mut record).unwrap());
        assert_eq!(record, two);
        assert!(!read(&mut input, &mut record).unwrap());
    }
}
