//! What the sender tells whoever drives it.

use milena_client::{Address, NodeId, Unreachable};

/// Something a user may want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A bootstrap server has answered: the producer is connected.
    Connected,
    /// None of the bootstrap servers could be used; they are tried again after a while.
    Unreachable(Vec<Unreachable>),
    /// A broker cannot be reached at the address the cluster advertises for it.
    AdvertisedUnreachable {
        /// The broker.
        node: NodeId,
        /// Its address, as advertised.
        advertised: Address,
        /// All of it in words.
        explanation: String,
    },
}

/// What the client remembers of a request of the sender's.
#[derive(Debug)]
pub(crate) enum Request {
    /// Batches of these partitions, in this order.
    Produce(Vec<milena_accumulator::Slot>),
    /// A producer id.
    InitProducerId,
}
