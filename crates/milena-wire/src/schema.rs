//! What a declaration says, for tests and tools.

use crate::Type;

/// A struct as it was declared.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    /// Its name, which is Kafka's.
    pub name: &'static str,
    /// Its fields in wire order, then the tagged ones.
    pub fields: &'static [Field],
}

/// A field as it was declared.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name: Kafka's, in snake case.
    pub name: &'static str,
    /// Its type.
    pub ty: Type,
    /// Its tag, if it is a tagged field.
    pub tag: Option<u32>,
    /// Whether it is dropped silently in versions that lack it.
    pub ignorable: bool,
    /// Whether a version has it.
    pub present: fn(i16) -> bool,
    /// Whether a version has it and lets it be null.
    pub nullable: fn(i16) -> bool,
    /// Its default, as `{:?}` prints it.
    pub default: fn() -> String,
}
