//! Records that are made from a seed and an index, so that what was sent need not be kept to be compared.

use std::sync::LazyLock;

use xtask::kafka::dump::Record;

/// A small generator of numbers (splitmix64): the same seed gives the same run.
#[derive(Clone, Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).expect("below a usize")
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            bytes.extend(self.next().to_le_bytes());
        }
        bytes.truncate(length);
        bytes
    }
}

/// What the records of a cell have.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) seed: u64,
    pub(crate) keyed: bool,
    pub(crate) headers: bool,
}

/// An hour before the suite began; records that carry their own time count from here. A day or more ago would not
/// do: a broker that starts anew forgets producers whose last batch is so old (see [`crate::forgotten`]).
static TIME: LazyLock<i64> = LazyLock::new(|| crate::wall_ms() - 60 * 60 * 1_000);

impl Shape {
    /// The record of this index, with a value of `length` bytes. Its timestamp is -1 when the producer is to set it.
    pub(crate) fn record(&self, index: u64, length: usize) -> Record {
        let mut rng = Rng::new(self.seed ^ index.wrapping_mul(0x2545_f491_4f6c_dd1d));
        Record {
            partition: -1,
            offset: -1,
            timestamp: if index.is_multiple_of(3) {
                *TIME + index as i64
            } else {
                -1
            },
            log_append_time: false,
            key: self.keyed.then(|| key(&mut rng, index)),
            value: value(&mut rng, index, length),
            headers: if self.headers {
                headers(&mut rng, index)
            } else {
                Vec::new()
            },
        }
    }
}

/// Mostly short keys, some empty, some long.
fn key(rng: &mut Rng, index: u64) -> Vec<u8> {
    let length = match index % 50 {
        0 => 0,
        1 => 300,
        _ => 4 + rng.below(20),
    };
    rng.bytes(length)
}

/// Of length 0 every second one is a tombstone. Half of the long ones compress well, half do not at all.
fn value(rng: &mut Rng, index: u64, length: usize) -> Option<Vec<u8>> {
    if length == 0 {
        return index.is_multiple_of(2).then(Vec::new);
    }
    if rng.next().is_multiple_of(2) {
        return Some(rng.bytes(length));
    }
    let mut text = Vec::with_capacity(length + 80);
    while text.len() < length {
        let (id, total) = (rng.below(100_000), rng.below(1_000));
        text.extend_from_slice(
            format!(
                "{{\"order\":{id},\"customer\":\"c-{}\",\"total\":{total}.00}}\n",
                id % 97
            )
            .as_bytes(),
        );
    }
    text.truncate(length);
    Some(text)
}

/// One to four headers: names that come twice, values that are empty or null.
fn headers(rng: &mut Rng, index: u64) -> Vec<(String, Option<Vec<u8>>)> {
    (0..=index % 4)
        .map(|nth| {
            let name = ["trace", "trace", "retry-\u{e9}", ""][nth as usize].to_owned();
            let value = match (index + nth) % 5 {
                0 => None,
                1 => Some(Vec::new()),
                _ => Some(rng.bytes(16)),
            };
            (name, value)
        })
        .collect()
}
