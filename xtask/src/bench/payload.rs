//! The values that are sent: files in the target folder, the same bytes every time.

use std::fs;
use std::path::PathBuf;

use anyhow::Result;

use super::rows::Load;
use crate::run::target;

/// The file of a load's values, written when it is not there.
pub fn file(load: &Load) -> Result<PathBuf> {
    let kind = if load.json { "json" } else { "random" };
    let path = target().join(format!("bench/values/{kind}-{}.bin", load.size));
    if !path.exists() {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let bytes = if load.json {
            json(load.size)
        } else {
            random(load.size)
        };
        fs::write(&path, bytes)?;
    }
    Ok(path)
}

/// xorshift64*: the same numbers everywhere.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }
}

/// 64 values (16 of the large ones), which fit a cache, as a program's own would.
fn random(size: usize) -> Vec<u8> {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    let count = if size < 10_000 { 64 } else { 16 };
    (0..count * size)
        .map(|_| (numbers.next() >> 56) as u8)
        .collect()
}

/// 4,096 different events, each cut to exactly `size` bytes.
fn json(size: usize) -> Vec<u8> {
    let mut numbers = Numbers(0xD1B5_4A32_D192_ED03);
    let mut all = Vec::with_capacity(4096 * size);
    for event in 0..4096_u64 {
        let mut text = format!(
            "{{\"id\":{},\"time\":\"2026-03-{:02}T{:02}:{:02}:{:02}.{:03}Z\",\"level\":\"{}\",\"service\":\"{}\",\"host\":\"node-{:03}.example.net\"",
            event * 7919 + 1_000_000,
            numbers.below(28) + 1,
            numbers.below(24),
            numbers.below(60),
            numbers.below(60),
            numbers.below(1000),
            numbers.pick(&["INFO", "INFO", "INFO", "WARN", "ERROR", "DEBUG"]),
            numbers.pick(&["checkout", "payments", "search", "inventory", "identity"]),
            numbers.below(200),
        );
        while text.len() < size {
            let field = numbers.pick(&[
                "user", "session", "trace", "amount", "path", "agent", "status", "region",
            ]);
            let value = match numbers.below(4) {
                0 => format!("{}", numbers.below(1_000_000)),
                1 => format!("\"{:016x}\"", numbers.next()),
                2 => format!(
                    "\"{} {} {}\"",
                    numbers.pick(&["request", "response", "retry", "timeout", "cache"]),
                    numbers.pick(&["accepted", "rejected", "finished", "started"]),
                    numbers.pick(&["by gateway", "by worker", "from queue", "after failover"])
                ),
                _ => format!(
                    "\"/api/v1/{}/{}\"",
                    numbers.pick(&["orders", "users", "items"]),
                    numbers.below(10_000)
                ),
            };
            text.push_str(&format!(",\"{field}\":{value}"));
        }
        text.truncate(size - 1);
        text.push('}');
        all.extend_from_slice(text.as_bytes());
    }
    all
}
