//! `cargo xtask tidy`: what a reader relies on in every file, and how long files are.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};
use lexopt::{Arg, Parser};

use crate::run;

/// The most lines of a file, its tests left out.
const MOST_LINES: usize = 500;

/// What lies at the top; anything else that git tracks there came by accident.
const TOP: &[&str] = &[
    ".cargo",
    ".ci",
    ".gitattributes",
    ".github",
    ".gitignore",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "benches",
    "crates",
    "deny.toml",
    "examples",
    "rustfmt.toml",
    "xtask",
];

/// The one crate with unsafe code: an allocator that counts, for benchmarks, cannot be written without.
const ALLOCATOR: &str = "benches/counting/src/lib.rs";

/// Words that mean unfinished work. They are put together so that this file does not hold them.
const UNFINISHED: &[&str] = &[
    concat!("FIX", "ME"),
    concat!("TO", "DO"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
];

/// Checks every Rust file of the workspace; `--sizes` lists their lengths.
pub fn main(mut arguments: Parser) -> Result<()> {
    let mut sizes = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("sizes") => sizes = true,
            other => return Err(other.unexpected().into()),
        }
    }
    check(sizes)
}

/// One Rust file.
struct File {
    path: PathBuf,
    text: String,
}

impl File {
    /// Lines before the tests at its end.
    fn lines(&self) -> usize {
        let text = self
            .text
            .split("\n#[cfg(test)]\nmod tests")
            .next()
            .unwrap_or(&self.text);
        text.lines().count()
    }

    fn is_root(&self) -> bool {
        let root = ["src/lib.rs", "src/main.rs"]
            .iter()
            .any(|end| self.path.ends_with(end));
        root && !self
            .path
            .components()
            .any(|part| part.as_os_str() == "fuzz")
    }

    fn is_source(&self) -> bool {
        self.path.components().any(|part| part.as_os_str() == "src")
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut fault = |what: String| faults.push(format!("{}: {what}", self.path.display()));
        if !self.text.starts_with("//! ") {
            fault("does not begin with a `//!` line that says what it is for".to_owned());
        }
        if self.is_root()
            && !self.path.ends_with(ALLOCATOR)
            && !self.text.contains("#![forbid(unsafe_code)]")
        {
            fault("a crate's root without #![forbid(unsafe_code)]".to_owned());
        }
        for (number, line) in self.text.lines().enumerate() {
            if UNFINISHED.iter().any(|word| line.contains(word)) {
                fault(format!(
                    "line {} says that something is unfinished",
                    number + 1
                ));
            }
            if line.ends_with(' ') || line.contains('\t') {
                fault(format!(
                    "line {} has a tab or ends with a space",
                    number + 1
                ));
            }
        }
        if self.is_source() && self.lines() > MOST_LINES {
            fault(format!(
                "has {} lines without its tests; {MOST_LINES} are the most",
                self.lines()
            ));
        }
        faults
    }
}

/// What of the tracked files is at the top and does not belong there.
fn strays(tracked: &str) -> Vec<String> {
    let tops = tracked.lines().filter_map(|path| path.split('/').next());
    let strays = tops.filter(|top| !TOP.contains(top));
    strays
        .map(|top| format!("{top}: is not one of the files at the top"))
        .collect()
}

/// Checks every Rust file of the workspace.
pub fn check(sizes: bool) -> Result<()> {
    let root = run::root();
    let mut files = Vec::new();
    for part in ["crates", "xtask", "examples", "benches"] {
        collect(&root, &root.join(part), &mut files)?;
    }
    files.sort_by_key(|file| std::cmp::Reverse(file.lines()));
    if sizes {
        for file in &files {
            println!("{:>6} {}", file.lines(), file.path.display());
        }
    }
    let mut faults: Vec<_> = files.iter().flat_map(File::faults).collect();
    match run::output(Command::new("git").arg("ls-files").current_dir(&root)) {
        Ok(tracked) => faults.extend(strays(&tracked)),
        Err(_) => println!("tidy: not a checkout of git, so files at the top are not looked at"),
    }
    let sources: Vec<_> = files
        .iter()
        .filter(|file| file.is_source())
        .map(File::lines)
        .collect();
    println!(
        "tidy: {} files, {} of them sources with {} lines; median {}, longest {}",
        files.len(),
        sources.len(),
        sources.iter().sum::<usize>(),
        sources.get(sources.len() / 2).copied().unwrap_or(0),
        sources.first().copied().unwrap_or(0),
    );
    if !faults.is_empty() {
        bail!("not tidy:\n  {}", faults.join("\n  "));
    }
    Ok(())
}

fn collect(root: &Path, dir: &Path, files: &mut Vec<File>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            if name != "target" && name != "corpus" {
                collect(root, &path, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            files.push(File {
                path: path.strip_prefix(root)?.to_path_buf(),
                text,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> File {
        File {
            path: path.into(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn strays_at_the_top_are_named() {
        assert!(strays("Cargo.toml\ncrates/milena/src/lib.rs\n").is_empty());
        assert_eq!(strays("archive.tar.gz\nxtask/archive.tar.gz\n").len(), 1);
    }

    #[test]
    fn faults_are_named() {
        assert!(file("a/src/b.rs", "//! Good.\n").faults().is_empty());
        assert_eq!(file("a/src/b.rs", "fn a() {}\n").faults().len(), 1);
        assert_eq!(file("a/src/lib.rs", "//! No forbid.\n").faults().len(), 1);
        assert_eq!(
            file("a/src/b.rs", concat!("//! Good.\n// FIX", "ME\n"))
                .faults()
                .len(),
            1
        );
        assert_eq!(file("a/src/b.rs", "//! Good.\nlet a; \n").faults().len(), 1);
        let long = format!("//! Long.\n{}", "a\n".repeat(MOST_LINES));
        assert_eq!(file("a/src/b.rs", &long).faults().len(), 1);
        let tests = format!(
            "//! Long.\n\n#[cfg(test)]\nmod tests {{\n{}}}\n",
            "a\n".repeat(MOST_LINES)
        );
        assert!(file("a/src/b.rs", &tests).faults().is_empty());
    }
}
