//! A connection on which requests are asked one by one, as they are, in the version that is wanted.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use milena_wire::{DEFAULT_FRAME_LIMIT, Request, decode_response, encode_request};

const PATIENCE: Duration = Duration::from_secs(30);

/// A blocking connection to one broker.
#[derive(Debug)]
pub(crate) struct Raw {
    stream: TcpStream,
    correlation: i32,
    frame: Vec<u8>,
}

impl Raw {
    /// Connects to `host:port`.
    pub(crate) fn connect(address: &str) -> Result<Self> {
        let stream =
            TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            correlation: 0,
            frame: Vec::new(),
        })
    }

    /// Asks, and waits for the answer.
    pub(crate) fn ask<Q: Request>(&mut self, version: i16, request: &Q) -> Result<Q::Response<'_>> {
        let correlation = self.tell(version, request)?;
        let mut length = [0; 4];
        self.stream
            .read_exact(&mut length)
            .context("the connection was cut")?;
        let length = usize::try_from(i32::from_be_bytes(length))?;
        if length > DEFAULT_FRAME_LIMIT {
            bail!("an answer of {length} bytes");
        }
        self.frame.resize(length, 0);
        self.stream.read_exact(&mut self.frame)?;
        let (answered, response) = decode_response::<Q>(&self.frame, Q::version(version))?;
        if answered != correlation {
            bail!("asked {correlation}, answered {answered}");
        }
        Ok(response)
    }

    /// Asks what is not answered: a Produce request without acks.
    pub(crate) fn tell<Q: Request>(&mut self, version: i16, request: &Q) -> Result<i32> {
        self.correlation += 1;
        let frame = encode_request(
            Some("milena-suite"),
            self.correlation,
            request,
            Q::version(version),
        )?;
        self.stream.write_all(&frame.to_vec())?;
        Ok(self.correlation)
    }
}
