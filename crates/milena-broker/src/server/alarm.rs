//! Waiting for an answer to be due: tokio's timers go by the millisecond, a delay of one may not become two.

use tokio::time::{Instant, sleep_until};

/// The alarm of one connection.
pub(super) struct Alarm {
    #[cfg(target_os = "linux")]
    exact: Option<exact::Timer>,
}

impl Alarm {
    pub(super) fn new() -> Self {
        Self {
            #[cfg(target_os = "linux")]
            exact: None,
        }
    }

    /// Ends when `due` has come, or never. On Linux it is late by microseconds, elsewhere by a millisecond or two.
    pub(super) async fn at(&mut self, due: Option<Instant>) {
        let Some(due) = due else {
            return std::future::pending().await;
        };
        #[cfg(target_os = "linux")]
        {
            if self.exact.is_none() {
                self.exact = exact::Timer::new().ok();
            }
            if let Some(timer) = &mut self.exact
                && timer.set(due).is_ok()
            {
                tokio::select! {
                    () = timer.rung() => return,
                    // What a runtime with a clock of its own goes by.
                    () = sleep_until(due) => return,
                }
            }
        }
        sleep_until(due).await;
    }
}

#[cfg(target_os = "linux")]
mod exact {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    use super::Instant;

    /// A timer of the system's.
    pub(super) struct Timer {
        file: AsyncFd<OwnedFd>,
        /// What it is set to.
        due: Option<Instant>,
    }

    impl Timer {
        pub(super) fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            #[allow(
                deprecated,
                reason = "sound for an `OwnedFd`, and what replaces it is unsafe to call"
            )]
            let file = AsyncFd::with_interest(timer, Interest::READABLE)?;
            Ok(Self { file, due: None })
        }

        pub(super) fn set(&mut self, due: Instant) -> io::Result<()> {
            if self.due == Some(due) {
                return Ok(());
            }
            // Nothing left would disarm it.
            let left = due.saturating_duration_since(Instant::now());
            let left = left.max(Duration::from_nanos(1));
            let value = Itimerspec {
                it_interval: Timespec::default(),
                it_value: Timespec::try_from(left).map_err(io::Error::other)?,
            };
            timerfd_settime(self.file.get_ref(), TimerfdTimerFlags::empty(), &value)?;
            self.due = Some(due);
            Ok(())
        }

        pub(super) async fn rung(&mut self) {
            while let Ok(mut ready) = self.file.readable().await {
                let read = ready.try_io(|file| {
                    rustix::io::read(file.get_ref(), &mut [0; 8]).map_err(io::Error::from)
                });
                // Readiness that was left from the time before ends with nothing read.
                if read.is_ok() {
                    self.due = None;
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn it_never_rings_early_and_can_be_set_again() {
        let mut alarm = Alarm::new();
        for micros in [1500, 0, 200, 2700] {
            let due = Instant::now() + Duration::from_micros(micros);
            alarm.at(Some(due)).await;
            assert!(Instant::now() >= due, "{micros}");
        }
        // Given up before it rang, it is set to another time.
        let later = Instant::now() + Duration::from_secs(60);
        let given_up = tokio::time::timeout(Duration::from_millis(3), alarm.at(Some(later))).await;
        assert!(given_up.is_err());
        let due = Instant::now() + Duration::from_micros(300);
        alarm.at(Some(due)).await;
        assert!((due..later).contains(&Instant::now()));
    }
}
