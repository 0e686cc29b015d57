//! Sample bytes of every message, made from the facts alone and not by the crate's own writer.
//!
//! The values follow from a field's place; the Java helper that made the fixtures has the same rule.

use super::facts::{Field, Message};

/// Everything is there, arrays have two elements; no field has its default, except booleans
/// whose default is true.
pub const FULL: u8 = 0;
/// What may be null is null, booleans are false, arrays have one element.
pub const NULLS: u8 = 1;
/// Strings and arrays are empty.
pub const EMPTY: u8 = 2;

/// The bytes of a message in a version.
pub fn bytes(message: &Message, version: i16, variant: u8) -> Vec<u8> {
    let mut sample = Sample::new(message, version, variant, None);
    sample.fields("");
    sample.out
}

/// The same with as little as possible in it, but for the array at `path`: that one has very many
/// elements, and those it is within have one.
pub fn crowded(message: &Message, version: i16, path: &str) -> Vec<u8> {
    let mut sample = Sample::new(message, version, EMPTY, Some(path));
    sample.fields("");
    sample.out
}

struct Sample<'m> {
    message: &'m Message,
    version: i16,
    flexible: bool,
    variant: u8,
    crowded: Option<&'m str>,
    count: u32,
    out: Vec<u8>,
}

impl<'m> Sample<'m> {
    fn new(message: &'m Message, version: i16, variant: u8, crowded: Option<&'m str>) -> Self {
        let flexible = message.flexible.contains(&version);
        Self {
            message,
            version,
            flexible,
            variant,
            crowded,
            count: 0,
            out: vec![],
        }
    }

    fn fields(&mut self, parent: &str) {
        let message = self.message;
        let present: Vec<&Field> = message
            .children(parent)
            .into_iter()
            .filter(|field| field.versions.contains(&self.version))
            .collect();
        let version = self.version;
        for field in present.iter().filter(|field| !field.is_tagged_in(version)) {
            self.field(field);
        }
        if self.flexible {
            let mut tagged: Vec<(u32, &Field)> = present
                .into_iter()
                .filter(|field| field.is_tagged_in(self.version))
                .filter_map(|field| Some((field.tag.as_ref()?.0, field)))
                .collect();
            tagged.sort_by_key(|(tag, _)| *tag);
            self.tagged(&tagged);
        }
    }

    fn tagged(&mut self, tagged: &[(u32, &Field)]) {
        // A default is never written, so only the full variant has any.
        let wanted = |field: &Field| match self.crowded {
            Some(path) => format!("{path}.").starts_with(&format!("{}.", field.path)),
            None => self.variant == FULL,
        };
        let wanted: Vec<_> = tagged.iter().filter(|(_, field)| wanted(field)).collect();
        self.uvarint(wanted.len());
        for (tag, field) in wanted {
            let before = std::mem::take(&mut self.out);
            self.field(field);
            let body = std::mem::replace(&mut self.out, before);
            self.uvarint(*tag as usize);
            self.uvarint(body.len());
            self.out.extend(body);
        }
    }

    fn field(&mut self, field: &Field) {
        let null = self.variant == NULLS && field.nullable.contains(&self.version);
        if let Some(element) = field.ty.strip_prefix("[]") {
            let count = match self.crowded {
                Some(path) if path == field.path => Some(1000),
                Some(path) if path.starts_with(&format!("{}.", field.path)) => Some(1),
                _ if null => None,
                _ => Some(usize::from(2 - self.variant)),
            };
            self.length(true, count);
            for _ in 0..count.unwrap_or(0) {
                self.value(element, &field.path, false);
            }
        } else {
            self.value(&field.ty, &field.path, null);
        }
    }

    fn value(&mut self, ty: &str, path: &str, null: bool) {
        match ty {
            "string" | "bytes" | "records" => {
                let wide = ty != "string";
                if null {
                    return self.length(wide, None);
                }
                let mut text = String::new();
                if self.variant != EMPTY {
                    self.count += 1;
                    text = format!("v{}", self.count);
                }
                self.length(wide, Some(text.len()));
                self.out.extend(text.into_bytes());
            }
            _ if ty.starts_with(char::is_uppercase) => self.fields(path),
            _ => self.fixed(ty),
        }
    }

    fn fixed(&mut self, ty: &str) {
        self.count += 1;
        let n = i64::from(self.count % 10_000);
        let bytes = (10_000_000_000 + n).to_be_bytes();
        match ty {
            "bool" => self.out.push(u8::from(self.variant == FULL)),
            "int8" => self.out.push(u8::try_from(1 + n % 100).expect("small")),
            "int16" => self
                .out
                .extend(i16::try_from(1000 + n).expect("small").to_be_bytes()),
            "int32" => self
                .out
                .extend(i32::try_from(100_000 + n).expect("small").to_be_bytes()),
            "int64" => self.out.extend(bytes),
            "uuid" => self.out.extend([n.to_be_bytes(), n.to_be_bytes()].concat()),
            other => panic!("type {other}"),
        }
    }

    fn length(&mut self, wide: bool, len: Option<usize>) {
        match (self.flexible, wide) {
            (true, _) => self.uvarint(len.map_or(0, |len| len + 1)),
            (false, true) => {
                let len = len.map_or(-1, |len| i32::try_from(len).expect("small"));
                self.out.extend(len.to_be_bytes());
            }
            (false, false) => {
                let len = len.map_or(-1, |len| i16::try_from(len).expect("small"));
                self.out.extend(len.to_be_bytes());
            }
        }
    }

    fn uvarint(&mut self, mut value: usize) {
        while value >= 0x80 {
            self.out.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }
}
