//! A Python of our own with librdkafka in it, for the tests with other people's clients.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::resolve;
use crate::run;

/// The wheel that brings librdkafka built.
const WHEEL: &str = "confluent-kafka==2.16.*";

/// The interpreter of an environment that has the wheel; made when it is not there yet.
pub fn resolve() -> Result<PathBuf> {
    let home = resolve::home().join("python");
    let (scripts, name) = if cfg!(windows) {
        ("Scripts", "python.exe")
    } else {
        ("bin", "python")
    };
    let python = home.join(scripts).join(name);
    if has_wheel(&python) {
        return Ok(python);
    }
    let system = if cfg!(windows) { "python" } else { "python3" };
    if run::probe(Path::new(system), "--version")?.is_none() {
        bail!(
            "Python ({system}) was not found; librdkafka comes as one of its packages (Debian: apt install python3-venv)"
        );
    }
    println!("installing {WHEEL} into {}", home.display());
    run::output(Command::new(system).args(["-m", "venv"]).arg(&home))
        .context("Python could not make an environment (Debian: apt install python3-venv)")?;
    let mut install = Command::new(&python);
    install.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        WHEEL,
    ]);
    run::output(&mut install).context("pip could not install librdkafka")?;
    Ok(python)
}

fn has_wheel(python: &Path) -> bool {
    python.exists()
        && run::output(Command::new(python).args(["-c", "import confluent_kafka"])).is_ok()
}
