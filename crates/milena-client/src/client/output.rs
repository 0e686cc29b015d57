//! What to do now.
use std::time::Instant;

use super::Client;
use crate::{Action, ConnectionId, Event};

impl<R> Client<R> {
    /// The next thing for the driver to do.
    pub fn poll_action(&mut self, _now: Instant) -> Option<Action> {
        self.actions.pop_front()
    }

    /// A frame of the client's own (its length in front) to be written whole on this connection
    /// before anything else; then [`handle_written`](Self::handle_written) is due. At most one at a
    /// time.
    pub fn poll_transmit(&mut self, _now: Instant, connection: ConnectionId) -> Option<Vec<u8>> {
        let connection = self.connections.get_mut(&connection)?;
        let frame = connection.outgoing.take()?;
        if let Some(writing) = &mut connection.writing {
            writing.begun = true;
        }
        Some(frame)
    }

    /// The next thing for the owner to know.
    pub fn poll_event(&mut self) -> Option<Event<R>> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) should be called, if nothing else is called
    /// before.
    ///
    /// Cheap. It may be earlier than necessary, never later.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timer
    }
}
