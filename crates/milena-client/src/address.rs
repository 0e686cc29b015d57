//! Where a broker listens, and how a list of such places is written.
use std::fmt;
use std::str::FromStr;

/// A host (a name, or an IP address without brackets) and its port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The host, as it was given; it is looked up anew for each connection.
    pub host: String,
    /// The TCP port.
    pub port: u16,
}

/// Why a text is no address of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BadAddress {
    /// The list has no entry.
    Empty,
    /// There is no port.
    NoPort,
    /// The port is no number from 1 to 65535.
    Port,
    /// The host is empty or has characters that no host has.
    Host,
    /// The list names a server twice.
    Twice,
}

impl fmt::Display for BadAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "no server is named: give at least one as host:port",
            Self::NoPort => {
                "the port is missing: write the server as host:port, an IPv6 address in brackets"
            }
            Self::Port => "the port must be a number from 1 to 65535",
            Self::Host => {
                "the host must be a name, an IPv4 address, or an IPv6 address in brackets"
            }
            Self::Twice => "the same server is named twice",
        })
    }
}

impl std::error::Error for BadAddress {}

impl Address {
    /// The address of a port at a host.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
        }
    }

    /// Reads a list of servers separated by commas, as `bootstrap.servers` has it.
    ///
    /// # Errors
    /// [`BadAddress`] and the entry that it is about.
    pub fn parse_list(list: &str) -> Result<Vec<Self>, (String, BadAddress)> {
        let mut addresses = Vec::new();
        for entry in list
            .split(',')
            .map(str::trim)
            .filter(|entry| !entry.is_empty())
        {
            let address: Self = entry.parse().map_err(|why| (entry.to_owned(), why))?;
            if addresses.iter().any(|other: &Self| other.is_same(&address)) {
                return Err((entry.to_owned(), BadAddress::Twice));
            }
            addresses.push(address);
        }
        if addresses.is_empty() {
            return Err((list.to_owned(), BadAddress::Empty));
        }
        Ok(addresses)
    }

    /// Whether both mean the same place without asking a resolver: hosts are compared without case.
    pub fn is_same(&self, other: &Self) -> bool {
        self.port == other.port && self.host.eq_ignore_ascii_case(&other.host)
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    /// Reads `host:port`, `[ipv6]:port`, or either after `scheme://`.
    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
        let (host, port) = rest.rsplit_once(':').ok_or(BadAddress::NoPort)?;
        let host = match host.strip_prefix('[') {
            Some(inner) => inner.strip_suffix(']').ok_or(BadAddress::Host)?,
            None => host,
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || "-%._:".contains(c);
        if host.is_empty() || !host.chars().all(fits) {
            return Err(BadAddress::Host);
        }
        if port.is_empty() {
            return Err(BadAddress::NoPort);
        }
        match port.parse::<u16>() {
            Ok(port) if port > 0 => Ok(Self::new(host, port)),
            _ => Err(BadAddress::Port),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_names_and_numbers() {
        for (text, host, port) in [
            ("localhost:9092", "localhost", 9092),
            ("127.0.0.1:1", "127.0.0.1", 1),
            ("[::1]:9092", "::1", 9092),
            (
                "PLAINTEXT://my_host.example:65535",
                "my_host.example",
                65535,
            ),
            ("[fe80::1%eth0]:9092", "fe80::1%eth0", 9092),
        ] {
            assert_eq!(text.parse(), Ok(Address::new(host, port)), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_address() {
        for (text, why) in [
            ("localhost", BadAddress::NoPort),
            ("localhost:", BadAddress::NoPort),
            (":9092", BadAddress::Host),
            ("a b:9092", BadAddress::Host),
            ("[::1:9092", BadAddress::Host),
            ("localhost:0", BadAddress::Port),
            ("localhost:65536", BadAddress::Port),
            ("localhost:kafka", BadAddress::Port),
        ] {
            assert_eq!(text.parse::<Address>(), Err(why), "{text}");
        }
    }

    #[test]
    fn reads_lists() {
        let list = Address::parse_list(" a:1, b:2 ,").expect("good");
        assert_eq!(list, [Address::new("a", 1), Address::new("b", 2)]);
        assert_eq!(
            Address::parse_list(" , "),
            Err((" , ".to_owned(), BadAddress::Empty))
        );
        assert_eq!(
            Address::parse_list("a:1,A:1"),
            Err(("A:1".to_owned(), BadAddress::Twice))
        );
        assert_eq!(
            Address::parse_list("a:1,b"),
            Err(("b".to_owned(), BadAddress::NoPort))
        );
    }

    #[test]
    fn writes_what_it_reads() {
        for text in ["localhost:9092", "[::1]:9092"] {
            assert_eq!(text.parse::<Address>().expect("good").to_string(), text);
        }
    }
}
