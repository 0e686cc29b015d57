//! Asks a broker which brokers it knows, to see whether a cluster is up.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};

const PATIENCE: Duration = Duration::from_secs(3);

/// The ids of the brokers that the broker at this loopback port says are alive.
pub fn brokers(port: u16) -> Result<BTreeSet<i32>> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&metadata_request())?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let length = usize::try_from(i32::from_be_bytes(length)).context("a negative length")?;
    if length > 1 << 20 {
        bail!("an answer of {length} bytes");
    }
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer)?;
    read_brokers(&mut answer.as_slice())
}

/// Metadata version 1 of no topics, with a correlation id of 7.
fn metadata_request() -> Vec<u8> {
    let mut body = Vec::new();
    body.extend(3_i16.to_be_bytes());
    body.extend(1_i16.to_be_bytes());
    body.extend(7_i32.to_be_bytes());
    body.extend((-1_i16).to_be_bytes());
    body.extend(0_i32.to_be_bytes());
    let length = i32::try_from(body.len()).expect("sixteen bytes");
    [length.to_be_bytes().as_slice(), &body].concat()
}

fn read_brokers(answer: &mut &[u8]) -> Result<BTreeSet<i32>> {
    if take::<4>(answer)? != 7_i32.to_be_bytes() {
        bail!("an answer to another question");
    }
    let count = i32::from_be_bytes(take(answer)?);
    let mut ids = BTreeSet::new();
    for _ in 0..count {
        ids.insert(i32::from_be_bytes(take(answer)?));
        skip_string(answer)?;
        take::<4>(answer)?;
        skip_string(answer)?;
    }
    Ok(ids)
}

fn take<const N: usize>(input: &mut &[u8]) -> Result<[u8; N]> {
    let (head, tail) = input.split_first_chunk().context("a short answer")?;
    *input = tail;
    Ok(*head)
}

fn skip_string(input: &mut &[u8]) -> Result<()> {
    let length = i16::from_be_bytes(take(input)?);
    let length = usize::try_from(length).unwrap_or(0);
    *input = input.get(length..).context("a short answer")?;
    Ok(())
}
