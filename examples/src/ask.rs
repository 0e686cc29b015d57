//! Asks a broker one thing after the other, with `milena-wire` alone.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use milena_wire::{DEFAULT_FRAME_LIMIT, Request, decode_response, encode_request};

/// A blocking connection to one broker.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    correlation: i32,
    frame: Vec<u8>,
}

impl Connection {
    /// Connects to the first of `host:port,host:port…` that answers.
    pub fn open(servers: &str) -> Result<Self> {
        let mut failures = Vec::new();
        for server in servers.split(',') {
            match TcpStream::connect(server) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
                    return Ok(Self {
                        stream,
                        correlation: 0,
                        frame: Vec::new(),
                    });
                }
                Err(error) => failures.push(format!("{server}: {error}")),
            }
        }
        anyhow::bail!("no server can be reached: {}", failures.join("; "))
    }

    /// Asks in this version of the API, and waits for the answer.
    pub fn ask<Q: Request>(&mut self, version: i16, request: &Q) -> Result<Q::Response<'_>> {
        self.correlation += 1;
        let request = encode_request(
            Some("example"),
            self.correlation,
            request,
            Q::version(version),
        )?;
        self.stream.write_all(&request.to_vec())?;
        let mut length = [0; 4];
        self.stream
            .read_exact(&mut length)
            .context("the broker closed the connection")?;
        let length = usize::try_from(i32::from_be_bytes(length))?;
        ensure!(
            length <= DEFAULT_FRAME_LIMIT,
            "an answer of {length} bytes is too large"
        );
        self.frame.resize(length, 0);
        self.stream.read_exact(&mut self.frame)?;
        let (correlation, response) = decode_response::<Q>(&self.frame, Q::version(version))?;
        ensure!(
            correlation == self.correlation,
            "an answer to another question"
        );
        Ok(response)
    }
}
