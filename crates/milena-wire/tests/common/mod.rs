//! What the tests of this crate share.
#![allow(
    unreachable_pub,
    dead_code,
    unused_macros,
    unused_imports,
    reason = "each test uses a part of it"
)]

pub mod counting;
mod every_api;
pub mod facts;
pub mod sample;

pub(crate) use every_api::every_api;

/// How a field of Kafka is called here.
pub fn snake(name: &str) -> String {
    let mut out = String::new();
    let mut before = 'A';
    for letter in name.chars() {
        if letter.is_uppercase() && !before.is_uppercase() {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
        before = letter;
    }
    out
}
