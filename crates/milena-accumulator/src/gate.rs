//! Whether records may be appended, or why not: one atomic, read under a partition's lock.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why no more records are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// The producer was closed; what it has is still sent.
    Closed,
    /// The producer was closed at once, or its runtime is gone: what it had is not sent.
    Aborted,
    /// The producer met an error it cannot recover from.
    Fatal,
    /// The transaction has failed and can only be aborted.
    Transaction,
}

impl CloseReason {
    const ALL: [Self; 4] = [Self::Closed, Self::Aborted, Self::Fatal, Self::Transaction];
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "it was closed",
            Self::Aborted => "it was closed without waiting",
            Self::Fatal => "it met an error it cannot recover from, build a new one",
            Self::Transaction => "the transaction failed, abort it",
        })
    }
}

/// A generation in the upper bits, and open (0) or a reason (1 and up) in the lowest byte.
///
/// Whoever closes it sweeps all partitions afterwards. An appender reads it under its partition's lock, so that it
/// either sees it closed or is seen by the sweep; no stronger ordering is needed.
#[derive(Default)]
pub(crate) struct Gate(AtomicU64);

const TRANSACTION: u64 = CloseReason::Transaction as u64 + 1;

impl Gate {
    /// Whether it is open in this very generation.
    #[inline]
    pub(crate) fn is_open_in(&self, generation: u32) -> bool {
        self.0.load(Ordering::Relaxed) == u64::from(generation) << 8
    }

    /// The generation if open, else the reason.
    pub(crate) fn check(&self) -> Result<u32, CloseReason> {
        let word = self.0.load(Ordering::Relaxed);
        if word & 0xff == 0 {
            Ok((word >> 8) as u32)
        } else {
            Err(Self::reason(word))
        }
    }

    #[cold]
    fn reason(word: u64) -> CloseReason {
        CloseReason::ALL[(word & 0xff) as usize - 1]
    }

    /// Closes it. A final reason stays: only a failed transaction can be followed by another reason.
    pub(crate) fn close(&self, reason: CloseReason) {
        let code = reason as u64 + 1;
        let _ = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |word| {
                let was = word & 0xff;
                let replaces =
                    was == 0 || was == TRANSACTION || (code > was && code != TRANSACTION);
                replaces.then_some(word & !0xff | code)
            });
    }

    /// Opens it again, in a new generation, if what closed it was a failed transaction or nothing did.
    pub(crate) fn open(&self) -> Result<u32, CloseReason> {
        let opened = self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |word| {
                let was = word & 0xff;
                (was == 0 || was == TRANSACTION).then_some(((word >> 8) + 1) << 8)
            });
        match opened {
            Ok(word) => Ok((word >> 8) as u32 + 1),
            Err(word) => Err(Self::reason(word)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_failed_transaction_can_be_opened_again() {
        let gate = Gate::default();
        assert_eq!(gate.check(), Ok(0));
        gate.close(CloseReason::Transaction);
        assert_eq!(gate.check(), Err(CloseReason::Transaction));
        assert_eq!(gate.open(), Ok(1));
        assert_eq!(gate.check(), Ok(1));
        assert!(gate.is_open_in(1) && !gate.is_open_in(0));
        gate.close(CloseReason::Closed);
        assert!(!gate.is_open_in(1));
        gate.close(CloseReason::Transaction);
        assert_eq!(gate.check(), Err(CloseReason::Closed));
        gate.close(CloseReason::Aborted);
        gate.close(CloseReason::Closed);
        assert_eq!(gate.open(), Err(CloseReason::Aborted));
    }
}
