//! The project's own commands: tests, checks, real clusters and benchmarks.

fn main() {}
