//! What the benchmarks share: the layers, each as a loop of so many units, without sockets, clock or threads.

#![forbid(unsafe_code)]

pub mod layers;
pub mod pipeline;
