//! Everything that needs no Java.

mod boundaries;
mod bytes;
mod codecs;
mod common;
mod reading;
mod splitting;
