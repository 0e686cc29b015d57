//! One simulated connection: what is on its way in either direction.

use std::time::Duration;

use milena_sender::WriteJob;

/// A connection between the producer and a broker.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) broker: i32,
    /// Whether the producer's side is established.
    pub(crate) open: bool,
    /// The write that is under way.
    pub(crate) writing: Option<WriteJob>,
    /// Batches are being compressed for it.
    pub(crate) sealing: bool,
    /// When the last bytes sent arrive at the broker: later ones do not overtake them.
    pub(crate) arrives: Duration,
    /// When the last answer arrives.
    pub(crate) answers: Duration,
    /// Requests that wait behind one the broker holds, oldest first.
    pub(crate) held: Vec<Vec<u8>>,
    /// The broker holds a request.
    pub(crate) holding: bool,
    /// The broker says nothing any more.
    pub(crate) silent: bool,
    /// The broker has closed its side.
    pub(crate) closed_there: bool,
    /// When the producer's side wants to be asked again.
    pub(crate) timer: Option<Duration>,
}

impl Wire {
    pub(crate) fn new(broker: i32) -> Self {
        Self {
            broker,
            open: false,
            writing: None,
            sealing: false,
            arrives: Duration::ZERO,
            answers: Duration::ZERO,
            held: Vec::new(),
            holding: false,
            silent: false,
            closed_there: false,
            timer: None,
        }
    }
}
