//! How long each layer takes: `cargo bench -p milena-benches`.

#![forbid(unsafe_code)]

use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput};
use milena_benches::layers::LAYERS;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20)
        .configure_from_args();
    for layer in LAYERS {
        let mut group = criterion.benchmark_group(layer.name);
        // Iterations are so many units at once: a layer is run, not called.
        let units = 6400;
        group.throughput(Throughput::Elements(units));
        let mut run = layer.make();
        group.bench_function(layer.unit, |bencher| {
            bencher.iter_custom(|iterations| {
                let begun = Instant::now();
                for _ in 0..iterations {
                    run(units);
                }
                begun.elapsed()
            });
        });
        group.finish();
    }
    criterion.final_summary();
}
