//! The number of a record within what one producer epoch writes to one partition.

/// A sequence number: 0 to `i32::MAX`, and then 0 again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Sequence(i32);

impl Sequence {
    /// The first number of every epoch.
    pub const ZERO: Self = Self(0);

    /// The sequence with this number; a negative one is none.
    pub fn new(number: i32) -> Option<Self> {
        (number >= 0).then_some(Self(number))
    }

    /// The number as it goes on the wire.
    pub fn get(self) -> i32 {
        self.0
    }

    /// The sequence `records` later.
    #[must_use]
    pub fn plus(self, records: i32) -> Self {
        let sum = i64::from(self.0) + i64::from(records.max(0));
        Self((sum % (i64::from(i32::MAX) + 1)) as i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wraps_to_zero_after_the_largest() {
        let last = Sequence::new(i32::MAX).unwrap();
        assert_eq!(last.plus(1), Sequence::ZERO);
        assert_eq!(last.plus(100).get(), 99);
        assert_eq!(last.plus(i32::MAX).get(), i32::MAX - 1);
    }

    #[test]
    fn refuses_negative_numbers() {
        assert_eq!(Sequence::new(-1), None);
        assert_eq!(Sequence::new(0), Some(Sequence::ZERO));
    }
}
