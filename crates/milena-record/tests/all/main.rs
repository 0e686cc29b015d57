//! Everything that needs no Java.

mod bytes;
mod codecs;
mod common;
mod reading;
mod splitting;
