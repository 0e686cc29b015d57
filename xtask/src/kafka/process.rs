//! Processes that outlive the command that started them, known by their id and a piece of their command line.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Starts a process of its own group, its output appended to a file, and gives its id.
///
/// It returns when the process shows `mark` in its command line, or has ended already.
pub fn spawn(command: &mut Command, log: &Path, mark: &str) -> Result<u32> {
    let out = File::options().create(true).append(true).open(log)?;
    let err = out.try_clone()?;
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    #[cfg(unix)]
    std::os::unix::process::CommandExt::process_group(command, 0);
    let mut child = command.spawn().context("could not start Java")?;
    let id = child.id();
    // The command line is empty for a moment after the program was started.
    while !is_alive(id, mark) && child.try_wait()?.is_none() {
        thread::sleep(Duration::from_millis(1));
    }
    // Reaped as soon as it ends, so that it never looks alive to `is_alive`.
    thread::spawn(move || child.wait());
    Ok(id)
}

/// Whether the process runs, and is ours: ids are used again after a while, the mark in its command line is not.
pub fn is_alive(id: u32, mark: &str) -> bool {
    if cfg!(target_os = "linux") {
        return fs::read(format!("/proc/{id}/cmdline"))
            .is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark));
    }
    Command::new("ps")
        .args(["-o", "command=", "-p", &id.to_string()])
        .output()
        .is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(mark))
}

/// Sends a signal such as `TERM` to a process that is ours; one that has ended is left alone.
pub fn signal(id: u32, mark: &str, signal: &str) -> Result<()> {
    if !is_alive(id, mark) {
        return Ok(());
    }
    let status = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{signal} {id}"))
        .status()?;
    if !status.success() && is_alive(id, mark) {
        bail!("could not send SIG{signal} to process {id}");
    }
    Ok(())
}

/// Waits until the process has ended; false when it still runs after `patience`.
pub fn await_end(id: u32, mark: &str, patience: Duration) -> bool {
    let deadline = Instant::now() + patience;
    while is_alive(id, mark) {
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}
