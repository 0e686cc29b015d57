//! The program `milena-broker`.
#![cfg(feature = "cli")]

use std::io::{BufRead, BufReader, Read};
use std::net::TcpStream;
use std::process::{Command, Stdio};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_milena-broker"))
}

#[test]
fn it_serves_until_its_input_ends() {
    let mut child = program()
        .args([
            "--brokers",
            "2",
            "--topic",
            "t:3:max.message.bytes=100",
            "--delay-ms",
            "1",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut servers = String::new();
    lines.read_line(&mut servers).expect("a first line");
    let servers: Vec<_> = servers.trim().split(',').collect();
    assert_eq!(servers.len(), 2);
    let mut streams: Vec<_> = servers
        .iter()
        .map(|server| TcpStream::connect(server).expect("it listens"))
        .collect();
    drop(child.stdin.take());
    assert!(child.wait().expect("it ends").success());
    for stream in &mut streams {
        let end = stream.read(&mut [0]);
        assert!(!matches!(end, Ok(1)), "the connection is closed: {end:?}");
    }
}

#[test]
fn it_says_what_is_wrong_with_its_arguments() {
    for arguments in [
        &["--topic", "t:x"][..],
        &["--topic", "t:1:no.such.thing=1"],
        &["--release", "1.0"],
        &["--brokers"],
        &["--nonsense"],
    ] {
        let output = program()
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(
            output.stderr.starts_with(b"milena-broker: "),
            "{arguments:?}"
        );
    }
    let output = program()
        .args(["--topic", "a b:1"])
        .stdin(Stdio::null())
        .output();
    assert_eq!(output.expect("it runs").status.code(), Some(1));
    let help = program().arg("--help").output().expect("it runs");
    assert!(help.status.success() && help.stdout.starts_with(b"Serves"));
}
