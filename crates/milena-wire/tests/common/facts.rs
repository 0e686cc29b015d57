//! Reads the facts about Kafka's messages.

use std::ops::RangeInclusive;

/// What Kafka's schemas say; `cargo xtask schema` makes it from the jar.
pub const FACTS: &str = include_str!("../facts/messages.txt");

/// Versions, as Kafka's schemas write them: `0+`, `3-12`, `7`, `none`.
pub type Versions = RangeInclusive<i16>;

#[derive(Clone, Debug)]
pub struct Message {
    pub name: String,
    pub key: Option<i16>,
    pub versions: Versions,
    pub flexible: Versions,
    pub unstable: bool,
    pub fields: Vec<Field>,
}

#[derive(Clone, Debug)]
pub struct Field {
    /// From the top: `Topics.Partitions.Index`.
    pub path: String,
    pub ty: String,
    pub versions: Versions,
    pub nullable: Versions,
    pub default: Option<String>,
    pub ignorable: bool,
    pub tag: Option<(u32, Versions)>,
    pub flexible: Option<Versions>,
}

#[expect(clippy::reversed_empty_ranges, reason = "no versions at all")]
const NONE: Versions = 1..=0;

fn versions(text: &str) -> Versions {
    let number = |text: &str| text.parse().expect("a version");
    match text {
        "none" => NONE,
        _ => match (text.strip_suffix('+'), text.split_once('-')) {
            (Some(first), _) => number(first)..=i16::MAX,
            (None, Some((first, last))) => number(first)..=number(last),
            (None, None) => number(text)..=number(text),
        },
    }
}

/// Reads facts; a line that cannot be read is a mistake of the test, and panics.
pub fn parse(text: &str) -> Vec<Message> {
    let mut messages: Vec<Message> = Vec::new();
    for line in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        if let Some(rest) = line.strip_prefix("message ") {
            messages.push(message(rest));
        } else {
            let message = messages.last_mut().expect("fields follow a message");
            message.fields.push(field(line.trim()));
        }
    }
    messages
}

fn message(line: &str) -> Message {
    let mut words = line.split(' ');
    let name = words.next().expect("a name").to_owned();
    let mut message = Message {
        name,
        key: None,
        versions: NONE,
        flexible: NONE,
        unstable: false,
        fields: vec![],
    };
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("key", value) => message.key = Some(value.parse().expect("a key")),
            ("versions", value) => message.versions = versions(value),
            ("flexible", value) => message.flexible = versions(value),
            ("unstable", _) => message.unstable = true,
            other => panic!("{line}: {other:?}"),
        }
    }
    message
}

fn field(line: &str) -> Field {
    let mut words = line.split(' ');
    let mut next = || words.next().unwrap_or_else(|| panic!("{line}"));
    let mut field = Field {
        path: next().to_owned(),
        ty: next().to_owned(),
        versions: versions(next()),
        nullable: NONE,
        default: None,
        ignorable: false,
        tag: None,
        flexible: None,
    };
    for word in words {
        match word.split_once('=').unwrap_or((word, "")) {
            ("nullable", value) => field.nullable = versions(value),
            ("default", value) => field.default = Some(value.to_owned()),
            ("ignorable", _) => field.ignorable = true,
            ("tag", value) => {
                let (tag, range) = value.split_once('@').expect("a tag has versions");
                field.tag = Some((tag.parse().expect("a tag"), versions(range)));
            }
            ("flexible", value) => field.flexible = Some(versions(value)),
            other => panic!("{line}: {other:?}"),
        }
    }
    field
}

impl Message {
    /// The fields directly within the one at `parent`, or at the top if that is empty.
    pub fn children<'m>(&'m self, parent: &str) -> Vec<&'m Field> {
        let prefix = if parent.is_empty() {
            String::new()
        } else {
            format!("{parent}.")
        };
        self.fields
            .iter()
            .filter(|field| {
                field
                    .path
                    .strip_prefix(&prefix)
                    .is_some_and(|name| !name.contains('.'))
            })
            .collect()
    }
}

impl Field {
    /// Kafka's name of it.
    pub fn name(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }

    /// Whether it stands in the tagged section of a version.
    pub fn is_tagged_in(&self, version: i16) -> bool {
        self.tag
            .as_ref()
            .is_some_and(|(_, versions)| versions.contains(&version))
    }
}
