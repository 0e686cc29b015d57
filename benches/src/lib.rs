//! What the benchmarks share: the layers, each as a loop of so many units, without sockets, clock or threads; and what
//! a process says of itself.

#![forbid(unsafe_code)]

pub mod layers;
pub mod pipeline;
pub mod usage;
