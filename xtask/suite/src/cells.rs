//! Cells: what is shown, one line each, counted.

use std::time::Instant;

use anyhow::Result;

/// The cells of a run.
#[derive(Debug, Default)]
pub(crate) struct Cells {
    passed: usize,
    failed: Vec<String>,
    /// Only cells with this in their names are run.
    only: Option<String>,
}

impl Cells {
    /// Cells of which only those are run that have this in their names.
    pub(crate) fn with(only: Option<String>) -> Self {
        Self {
            only,
            ..Self::default()
        }
    }

    /// Runs one cell; `show` gives a few words about what it saw. A failure does not keep the next cell from running.
    pub(crate) fn run(&mut self, name: &str, show: impl FnOnce() -> Result<String>) {
        if self.only.as_ref().is_some_and(|only| !name.contains(only)) {
            return;
        }
        let start = Instant::now();
        match show() {
            Ok(saw) => {
                self.passed += 1;
                println!(
                    "ok    {name}: {saw} ({:.1} s)",
                    start.elapsed().as_secs_f64()
                );
            }
            Err(error) => {
                println!(
                    "FAIL  {name}: {error:#} ({:.1} s)",
                    start.elapsed().as_secs_f64()
                );
                self.failed.push(name.to_owned());
            }
        }
    }

    /// The closing line; whether everything passed.
    pub(crate) fn close(&self) -> bool {
        println!();
        for name in &self.failed {
            println!("failed: {name}");
        }
        println!(
            "kafka: {} cells passed, {} failed",
            self.passed,
            self.failed.len()
        );
        self.failed.is_empty() && self.passed > 0
    }
}
