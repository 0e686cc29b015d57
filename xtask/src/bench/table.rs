//! The workloads that are measured, and what each has to reach: one row of the table is one line or two.

use super::rows::Goal::{
    AtLeastBest, AtLeastFloor, AtLeastOwn, AtMost, AtMostBest, AtMostCodec, AtMostFloor, AtMostOwn,
    PeakAboveBuffer,
};
use super::rows::Metric::{Cpu, Others, P99, Peak, PerBatch, PerRecord, Throughput, Wire};
use super::rows::{CORES, Goal, Load, Row, Variant};

/// 100 bytes, unkeyed, 64 KiB batches, six partitions, linger 5 ms, 64 MB: what most rows differ from.
const BASE: Load = Load {
    size: 100,
    json: false,
    keys: 0,
    headers: 0,
    compression: "none",
    partitions: 6,
    assign: 0,
    tasks: 1,
    threads: 1,
    linger_ms: 5,
    batch: 64 << 10,
    buffer: 64 << 20,
    rate: 0,
    records: 300_000,
    each: false,
    brokers: 1,
    delay_ms: 0,
    slow_ms: 0,
    kafka: false,
    allocations: false,
};

const fn row(
    name: &'static str,
    about: &'static str,
    load: Load,
    variants: &'static [Variant],
) -> Row {
    Row {
        name,
        about,
        load,
        variants,
        peers: true,
        best: false,
        floor: false,
        quick: true,
    }
}

/// A row that only milena is measured in.
const fn own(
    name: &'static str,
    about: &'static str,
    load: Load,
    variants: &'static [Variant],
) -> Row {
    Row {
        peers: false,
        ..row(name, about, load, variants)
    }
}

const fn by(api: &'static str, goals: &'static [Goal]) -> Variant {
    Variant {
        api,
        each: false,
        goals,
    }
}

const fn awaited(api: &'static str, goals: &'static [Goal]) -> Variant {
    Variant {
        each: true,
        ..by(api, goals)
    }
}

const fn floored(row: Row) -> Row {
    Row { floor: true, ..row }
}

/// Everybody in their own best settings too, even with `--quick`.
const fn with_best(row: Row) -> Row {
    Row { best: true, ..row }
}

const fn not_quick(row: Row) -> Row {
    Row {
        quick: false,
        ..row
    }
}

#[rustfmt::skip]
mod loads {
    use super::{BASE, CORES, Load};

    pub(super) const TINY: Load = Load { size: 10, records: 500_000, ..BASE };
    pub(super) const EACH: Load = Load { each: true, ..BASE };
    pub(super) const KEYED: Load = Load { keys: 8192, ..BASE };
    pub(super) const HEADERS: Load = Load { headers: 2, ..BASE };
    pub(super) const KIB: Load = Load { size: 1024, records: 100_000, ..BASE };
    pub(super) const TEN_KIB: Load = Load { size: 10 << 10, records: 20_000, ..BASE };
    pub(super) const LARGE: Load = Load { size: 100 << 10, batch: 1 << 20, records: 3000, ..BASE };
    pub(super) const JSON: Load = Load { json: true, ..KIB };
    pub(super) const MANY: Load = Load { keys: 65_536, batch: 16 << 10, records: 150_000, ..BASE };
    pub(super) const PACED: Load = Load { rate: 20_000, records: 40_000, ..MANY };
    // Five batches of 15 go with each round trip: a quarter of so many, and three quarters, take whole ones.
    pub(super) const FAR: Load = Load { partitions: 1, batch: 16 << 10, delay_ms: 20, records: 3600, ..KIB };
    pub(super) const P99_20K: Load = Load { rate: 20_000, records: 50_000, linger_ms: 0, delay_ms: 1, ..KIB };
    pub(super) const P99_2K: Load = Load { rate: 2000, records: 6000, linger_ms: 0, ..BASE };
    pub(super) const THREE: Load = Load { brokers: 3, records: 300_000, ..KIB };
    // Nobody but milena sends these: more records take no time, and less chance is in them.
    pub(super) const TASKS: Load = Load { threads: CORES, records: 1_500_000, ..BASE };
    pub(super) const KNOWN: Load = Load { assign: 6, records: 1_500_000, ..BASE };
    pub(super) const COUNTED: Load = Load { batch: 16 << 10, allocations: true, ..BASE };
}

use loads::{
    COUNTED, EACH, FAR, HEADERS, JSON, KEYED, KIB, KNOWN, LARGE, MANY, P99_2K, P99_20K, PACED,
    TASKS, TEN_KIB, THREE, TINY,
};

/// All rows, in the order of the tables.
#[rustfmt::skip]
pub const ROWS: &[Row] = &[
    floored(row("10B", "10 B, unkeyed", TINY, &[
        by("handle", &[AtMostBest(Cpu, 0.15)]),
        by("name", &[AtMostBest(Cpu, 0.25)]),
        awaited("handle", &[AtMostBest(Cpu, 0.20)]),
    ])),
    with_best(floored(row("100B", "100 B, unkeyed", BASE, &[
        by("handle", &[AtMostBest(Cpu, 0.15), AtMostFloor(3.0), PeakAboveBuffer(16.0)]),
        by("many", &[AtMostFloor(3.0)]),
        by("name", &[AtMostBest(Cpu, 0.25)]),
        by("callback", &[]),
        awaited("handle", &[AtMostBest(Cpu, 0.20)]),
    ]))),
    row("100B-each", "100 B, every record awaited", EACH, &[by("handle", &[AtMostBest(Cpu, 0.20)])]),
    row("100B-keyed", "100 B, keyed", KEYED, &[by("handle", &[AtMostBest(Cpu, 0.20)])]),
    row("100B-headers", "100 B with two headers", HEADERS, &[by("handle", &[AtMostBest(Cpu, 0.25)])]),
    with_best(floored(row("1KiB", "1 KiB, unkeyed", KIB, &[
        by("handle", &[AtMostBest(Cpu, 0.40), AtMostFloor(1.8), PeakAboveBuffer(16.0)]),
        by("many", &[AtMostFloor(1.8)]),
    ]))),
    floored(row("10KiB", "10 KiB, unkeyed", TEN_KIB, &[
        by("bytes", &[AtMostBest(Cpu, 0.65)]),
        by("handle", &[AtMostBest(Cpu, 0.85)]),
    ])),
    floored(row("100KiB", "100 KiB, 1 MiB batches", LARGE, &[
        by("bytes", &[AtMostBest(Cpu, 0.60)]),
        by("handle", &[AtMostBest(Cpu, 0.85)]),
    ])),
    row("lz4", "1 KiB of JSON, lz4", Load { compression: "lz4", ..JSON }, &[
        by("handle", &[AtMostBest(Cpu, 0.80), AtMostBest(Wire, 1.0)]),
    ]),
    row("snappy", "1 KiB of JSON, snappy", Load { compression: "snappy", ..JSON }, &[
        by("handle", &[AtMostBest(Cpu, 0.80), AtMostBest(Wire, 1.0)]),
    ]),
    row("zstd", "1 KiB of JSON, zstd", Load { compression: "zstd", records: 40_000, ..JSON }, &[
        by("handle", &[AtMostBest(Cpu, 1.0), AtMostBest(Wire, 1.0), AtMostCodec(1.1, "1KiB")]),
    ]),
    row("gzip", "1 KiB of JSON, gzip", Load { compression: "gzip", records: 10_000, ..JSON }, &[
        by("handle", &[AtMostBest(Cpu, 1.0), AtMostBest(Wire, 1.0), AtMostCodec(1.1, "1KiB")]),
    ]),
    row("2000-paced", "2,000 partitions, keyed, 20,000/s", Load { partitions: 2000, ..PACED }, &[
        by("handle", &[AtMostBest(Cpu, 0.25)]),
    ]),
    row("10000-paced", "10,000 partitions, keyed, 20,000/s", Load { partitions: 10_000, ..PACED }, &[
        by("handle", &[AtMostBest(Cpu, 0.25)]),
    ]),
    own("6-flat", "6 partitions, keyed, 16 KiB batches", Load { records: 1_500_000, ..MANY }, &[by("handle", &[])]),
    row("2000-flat", "2,000 partitions, keyed, flat out", Load { partitions: 2000, ..MANY }, &[
        by("handle", &[AtMostBest(Cpu, 1.0), AtMostOwn(Cpu, "6-flat", 2.5), PeakAboveBuffer(16.0)]),
    ]),
    row("10000-flat", "10,000 partitions, keyed, flat out", Load { partitions: 10_000, ..MANY }, &[
        by("handle", &[AtMostBest(Cpu, 1.0), AtMostOwn(Cpu, "6-flat", 4.0), PeakAboveBuffer(16.0)]),
    ]),
    own("6-known", "6 partitions known, 6 used", KNOWN, &[by("handle", &[])]),
    own("10000-known", "10,000 partitions known, 6 used", Load { partitions: 10_000, ..KNOWN }, &[
        by("handle", &[AtMostOwn(Cpu, "6-known", 1.1)]),
    ]),
    floored(row("20ms", "one partition, 1 KiB, 16 KiB batches, 20 ms broker", FAR, &[
        by("handle", &[AtLeastFloor(0.97), AtLeastBest(Throughput, 1.0)]),
    ])),
    not_quick(row("5ms", "100 partitions, keyed, 1 KiB, 5 ms broker", Load { size: 1024, partitions: 100, delay_ms: 5, records: 400_000, ..MANY }, &[
        by("handle", &[AtLeastBest(Throughput, 1.0)]),
    ])),
    row("p99-20k", "1 KiB at 20,000/s, linger 0, 1 ms broker", P99_20K, &[
        by("handle", &[AtMostBest(P99, 0.7), AtMostBest(Peak, 1.0)]),
    ]),
    row("p99-2k", "100 B at 2,000/s, linger 0", P99_2K, &[by("handle", &[AtMostBest(P99, 0.7)])]),
    own("3-brokers", "three brokers, 1 KiB", THREE, &[by("handle", &[])]),
    own("slow-broker", "the same, one of them slow by 200 ms", Load { slow_ms: 200, ..THREE }, &[
        by("handle", &[AtLeastOwn(Others, "3-brokers", 0.9)]),
    ]),
    row("allocations", "allocations, 16 KiB batches", COUNTED, &[
        by("handle", &[AtMost(PerBatch, 3.0)]),
        by("many", &[AtMost(PerBatch, 3.0)]),
        awaited("handle", &[AtMost(PerRecord, 1.05)]),
    ]),
    own("1-task", "100 B, one sending task, two threads", TASKS, &[by("handle", &[])]),
    own("2-tasks", "100 B, two sending tasks", Load { tasks: 2, ..TASKS }, &[
        by("handle", &[AtMostOwn(Cpu, "1-task", 1.3), AtMostOwn(Cpu, "100B", 1.3)]),
    ]),
    row("4-tasks", "100 B, four sending tasks", Load { tasks: 4, ..TASKS }, &[
        by("handle", &[AtMostOwn(Cpu, "1-task", 1.3), AtMostOwn(Cpu, "100B", 1.3)]),
    ]),
    row("kafka-100B", "a real Kafka, 100 B", Load { kafka: true, records: 1_000_000, ..BASE }, &[
        by("handle", &[AtMostBest(Cpu, 0.15), AtLeastBest(Throughput, 1.0)]),
    ]),
    row("kafka-1KiB", "a real Kafka, 1 KiB", Load { kafka: true, records: 200_000, ..KIB }, &[
        by("handle", &[AtMostBest(Cpu, 0.40), AtLeastBest(Throughput, 1.0)]),
    ]),
    not_quick(row("16-tasks", "100 B, 16 sending tasks", Load { tasks: 16, ..TASKS }, &[by("handle", &[])])),
    not_quick(row("json", "1 KiB of JSON, not compressed", JSON, &[by("handle", &[])])),
    not_quick(row("100-flat", "100 partitions, keyed, flat out", Load { partitions: 100, ..MANY }, &[by("handle", &[])])),
    not_quick(row("1-partition", "one partition, 100 B", Load { partitions: 1, ..BASE }, &[by("handle", &[])])),
    not_quick(row("linger-0", "100 B, linger 0", Load { linger_ms: 0, ..BASE }, &[by("handle", &[])])),
];
