//! Addresses of bootstrap servers: `host:port`, with brackets around IPv6 and an optional scheme.

use std::fmt;

/// A broker's address as it was configured, its name not yet looked up
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Address {
    /// The host's name or number, without brackets
    pub host: String,
    /// The TCP port
    pub port: u16,
}

impl Address {
    /// Reads `host:port`, `[v6]:port`, either with a `scheme://` in front
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-%._".contains(&b);
        let rest = match text.split_once("://") {
            Some((scheme, rest)) => scheme.bytes().all(allowed).then_some(rest)?,
            None => text,
        };
        let (host, port) = rest.rsplit_once(':')?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']')?,
            None => host,
        };
        if host.is_empty() || !host.bytes().all(|b| allowed(b) || b == b':') {
            return None;
        }
        let digits = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let port = digits.then(|| port.parse().ok())??;
        Some(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Splits a list at its commas, as Kafka's lists are: white space around elements is dropped
///
/// Empty elements are kept, so that whoever checks the list can refuse them.
pub(super) fn split_list(text: &str) -> Vec<String> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    text.split(',').map(|part| part.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_kafka_reads() {
        for (text, host, port) in [
            ("b1:9092", "b1", 9092),
            ("PLAINTEXT://b1.example.com:1", "b1.example.com", 1),
            ("[::1]:9092", "::1", 9092),
            ("::1:9092", "::1", 9092),
            ("[fe80::1%eth0]:9092", "fe80::1%eth0", 9092),
            ("127.0.0.1:65535", "127.0.0.1", 65535),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(
                (address.host.as_str(), address.port),
                (host, port),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_the_rest() {
        for text in [
            "",
            "b1",
            "b1:",
            ":9092",
            "b1:65536",
            "b1:-1",
            "b1:+1",
            "b 1:9092",
            "[::1:9092",
            "a/b:1",
        ] {
            assert_eq!(Address::parse(text), None, "{text}");
        }
    }

    #[test]
    fn shows_ipv6_in_brackets() {
        assert_eq!(
            Address::parse("[::1]:9092").unwrap().to_string(),
            "[::1]:9092"
        );
        assert_eq!(Address::parse("b:9092").unwrap().to_string(), "b:9092");
    }

    #[test]
    fn a_list_keeps_its_holes() {
        assert_eq!(split_list(" a:1 , b:2,"), ["a:1", "b:2", ""]);
        assert!(split_list("  ").is_empty());
    }
}
