//! API keys and error codes against Kafka's own.

use milena_wire::{ApiKey, ErrorCode};

/// Made by `tests/java/Numbers.java`.
const NUMBERS: &str = include_str!("fixtures/numbers-4.3.1.txt");

fn lines(kind: &str) -> Vec<Vec<&'static str>> {
    let lines = NUMBERS
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>());
    lines.filter(|words| words[0] == kind).collect()
}

#[test]
fn error_codes_have_kafkas_names_and_classes() {
    let kafka = lines("error");
    assert_eq!(ErrorCode::all().count(), kafka.len());
    for words in kafka {
        let code = ErrorCode(words[1].parse().unwrap());
        let ours = (code.name(), format!("{:?}", code.class()));
        assert_eq!(ours, (Some(words[2]), words[3].to_owned()), "{code:?}");
    }
}

#[test]
fn api_keys_have_kafkas_names() {
    let mut named = 0;
    for words in lines("api") {
        let key = ApiKey(words[1].parse().unwrap());
        assert_eq!(key.name(), Some(words[2]));
        named += 1;
    }
    let ours = (i16::MIN..=i16::MAX)
        .filter(|key| ApiKey(*key).name().is_some())
        .count();
    // Keys of APIs that Kafka 4 has given up keep their names.
    assert!(named > 80 && ours - named < 6, "{ours} and {named}");
}
