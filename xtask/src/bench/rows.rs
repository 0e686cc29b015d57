//! What a workload is, and what a goal is; the workloads themselves are in [`table`](super::table).

/// What a runtime takes by itself on the machine that the figures are made on.
pub const CORES: usize = 2;

/// What a run sends, and to what.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Bytes of a value.
    pub size: usize,
    /// Values are records of JSON, all different, instead of random bytes.
    pub json: bool,
    /// Different keys; 0 without.
    pub keys: u64,
    /// Headers of each record.
    pub headers: usize,
    /// The codec.
    pub compression: &'static str,
    /// Partitions of the topic.
    pub partitions: i32,
    /// Partitions named by the caller, in turn; 0 leaves the choice to the client.
    pub assign: i32,
    /// Tasks that send.
    pub tasks: u64,
    /// Worker threads of the clients' runtime, where they have one. In their own best settings they have [`CORES`].
    pub threads: usize,
    /// `linger.ms`.
    pub linger_ms: u64,
    /// `batch.size`.
    pub batch: usize,
    /// `buffer.memory`.
    pub buffer: usize,
    /// Records per second; 0 is flat out.
    pub rate: u64,
    /// N: phases are N and 3 N records; paced, N records.
    pub records: u64,
    /// Whether every record's acknowledgement is awaited.
    pub each: bool,
    /// Brokers.
    pub brokers: usize,
    /// How long a broker takes to answer.
    pub delay_ms: u64,
    /// How much longer the last broker takes to answer a Produce request.
    pub slow_ms: u64,
    /// A real Kafka instead of the embedded broker.
    pub kafka: bool,
    /// Allocations are counted.
    pub allocations: bool,
}

impl Load {
    /// Records that a client sends before it is measured: about what its buffer holds, so that its memory is there.
    /// Where a broker answers late that would take long, and what is measured there is its time, not the client's. At a
    /// rate, what is due in a tenth of a second.
    pub fn warmup(&self) -> u64 {
        match self.rate {
            0 if self.delay_ms + self.slow_ms > 1 => self.records / 16,
            0 => (self.buffer as u64 / self.size as u64).min(5 * self.records),
            rate => rate / 10,
        }
    }

    /// The same for one that gathers garbage: as many as are measured, or half a second's.
    pub fn warmup_long(&self) -> u64 {
        match self.rate {
            0 => 4 * self.records,
            rate => rate / 2,
        }
    }

    /// The same, of which only a share is measured.
    pub fn scaled(self, share: f64) -> Self {
        let records = (self.records as f64 * share) as u64;
        Self { records, ..self }
    }
}

/// One way of milena's to send, and what it has to reach in this row.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// How values are handed over: see `benches/peers/milena`.
    pub api: &'static str,
    /// Whether this variant awaits every record, whatever the row says.
    pub each: bool,
    /// What has to be reached.
    pub goals: &'static [Goal],
}

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Nanoseconds of the client process for a record.
    Cpu,
    /// Records a second.
    Throughput,
    /// The 99th percentile of latency in milliseconds.
    P99,
    /// The most memory in MiB.
    Peak,
    /// Bytes of batches on the wire for a record.
    Wire,
    /// Records of a batch.
    Batch,
    /// Records a second at all brokers but the last.
    Others,
    /// Allocations for a batch.
    PerBatch,
    /// Allocations for a record.
    PerRecord,
}

impl Metric {
    /// Whether it is much the same in every run.
    pub fn is_exact(self) -> bool {
        match self {
            Self::Peak | Self::Wire | Self::Batch | Self::PerBatch | Self::PerRecord => true,
            Self::Cpu | Self::Throughput | Self::P99 | Self::Others => false,
        }
    }
}

/// One goal.
#[derive(Clone, Copy, Debug)]
pub enum Goal {
    /// At most so many times the least of the peers, in the same row.
    AtMostBest(Metric, f64),
    /// At least so many times the most of the peers, in the same row.
    AtLeastBest(Metric, f64),
    /// At most so many times the floor, in the same row.
    AtMostFloor(f64),
    /// At least so many times the floor's throughput, in the same row: what a window of requests allows.
    AtLeastFloor(f64),
    /// At most so many times what milena itself needs in the first variant of another row.
    AtMostOwn(Metric, &'static str, f64),
    /// At least so many times what milena itself reaches in the first variant of another row.
    AtLeastOwn(Metric, &'static str, f64),
    /// At most this.
    AtMost(Metric, f64),
    /// At least this.
    AtLeast(Metric, f64),
    /// At most `buffer.memory` and so many MiB.
    PeakAboveBuffer(f64),
    /// At most so many times the codec's own time for the same bytes, plus milena's cost in another row.
    AtMostCodec(f64, &'static str),
}

impl Goal {
    /// Whether what it compares is much the same in every run.
    pub fn is_exact(&self) -> bool {
        match self {
            Self::AtMostBest(metric, _)
            | Self::AtLeastBest(metric, _)
            | Self::AtMostOwn(metric, ..)
            | Self::AtLeastOwn(metric, ..)
            | Self::AtMost(metric, _)
            | Self::AtLeast(metric, _) => metric.is_exact(),
            Self::PeakAboveBuffer(_) => Metric::Peak.is_exact(),
            Self::AtMostFloor(_) | Self::AtLeastFloor(_) | Self::AtMostCodec(..) => false,
        }
    }
}

impl Variant {
    /// It in words.
    pub fn label(&self) -> String {
        let how = match self.api {
            "handle" => "by handle",
            "many" => "send_many",
            "name" => "by name",
            "bytes" => "shared bytes",
            "callback" => "by handle, callback",
            other => other,
        };
        match self.each {
            true => format!("{how}, awaited"),
            false => how.to_owned(),
        }
    }
}

/// One workload.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is, for tables.
    pub about: &'static str,
    /// What is sent.
    pub load: Load,
    /// milena's ways to send.
    pub variants: &'static [Variant],
    /// Whether peers are measured too; with `--quick`, if a goal compares with them.
    pub peers: bool,
    /// Whether `--quick` measures everybody in their own best settings too.
    pub best: bool,
    /// Whether the floor is measured too.
    pub floor: bool,
    /// Whether `--quick` has it.
    pub quick: bool,
}

impl Row {
    /// The other rows that its goals compare it with.
    pub fn references(&self) -> impl Iterator<Item = &'static str> {
        let goals = self.variants.iter().flat_map(|variant| variant.goals);
        goals.filter_map(|goal| match goal {
            Goal::AtMostOwn(_, row, _) | Goal::AtLeastOwn(_, row, _) => Some(*row),
            Goal::AtMostCodec(_, row) => Some(*row),
            _ => None,
        })
    }

    /// Whether everybody is measured in their own best settings too. At a rate, or where a broker answers late, batches
    /// are as large as that makes them, or the number in flight is what limits; what a real Kafka writes takes long.
    pub fn has_best(&self, quick: bool) -> bool {
        let is_flat = self.load.rate == 0 && self.load.delay_ms == 0 && !self.load.kafka;
        self.best || (!quick && self.peers && is_flat)
    }

    /// It as `--quick` has it: without peers if no goal compares with them.
    pub fn in_quick(&self) -> Self {
        let mut goals = self.variants.iter().flat_map(|variant| variant.goals);
        let compares =
            goals.any(|goal| matches!(goal, Goal::AtMostBest(..) | Goal::AtLeastBest(..)));
        Self {
            peers: self.peers && compares,
            ..*self
        }
    }

    /// It with only what the goals of other rows need: the first of milena's ways to send.
    pub fn as_reference(&self) -> Self {
        Self {
            variants: &self.variants[..1],
            peers: false,
            best: false,
            floor: false,
            ..*self
        }
    }

    /// Whether it takes turns with the row before it, as it does with what it is compared with.
    pub fn takes_turns_with(&self, before: &Self) -> bool {
        let alone = !self.peers && !before.peers;
        let mut references = self.references();
        alone
            || references.any(|row| row == before.name || before.references().any(|one| one == row))
    }

    /// Whether a goal compares with what the codec itself takes.
    pub fn asks_for_codec(&self) -> bool {
        let mut goals = self.variants.iter().flat_map(|variant| variant.goals);
        goals.any(|goal| matches!(goal, Goal::AtMostCodec(..)))
    }
}
