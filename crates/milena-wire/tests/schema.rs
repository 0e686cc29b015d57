//! Every declaration against Kafka's own schemas, in every version and in both directions; and
//! that this comparison notices mistakes.

#![allow(clippy::print_stdout, reason = "the numbers are meant to be read")]
#![allow(
    unreachable_pub,
    reason = "declarations are public, and so is what tests share"
)]
#![allow(
    elided_lifetimes_in_paths,
    reason = "the list of messages does not say who borrows"
)]

mod common;

use std::collections::BTreeSet;

use common::facts::{self, FACTS, Message};
use common::{every_api, snake};
use milena_wire::{Request, Schema, Type, message};

/// A message of this crate, as it was declared.
#[derive(Clone)]
struct Declared {
    name: String,
    key: i16,
    versions: (i16, i16),
    flexible: i16,
    stable: i16,
    schema: Schema,
}

fn declared<Q: Request>(schema: Schema) -> Declared {
    Declared {
        name: schema.name.to_owned(),
        key: Q::KEY.0,
        versions: (*Q::VERSIONS.start(), *Q::VERSIONS.end()),
        flexible: Q::FLEXIBLE,
        stable: Q::STABLE,
        schema,
    }
}

/// Every message of this crate.
fn all() -> Vec<Declared> {
    macro_rules! collect {
        ($($module:ident $request:ident $response:ident,)*) => {
            vec![$(
                declared::<milena_wire::$request>(milena_wire::$request::SCHEMA),
                declared::<milena_wire::$request>(milena_wire::$response::SCHEMA),
            )*]
        };
    }
    every_api!(collect)
}

/// How Kafka calls a type, without its nullability, and the struct within it.
fn kafka_type(ty: &Type) -> (String, Option<&'static Schema>) {
    match ty {
        Type::Nullable(inner) => kafka_type(inner),
        Type::Array(inner) => {
            let (name, schema) = kafka_type(inner);
            (format!("[]{name}"), schema)
        }
        Type::Struct(schema) => (schema.name.to_owned(), Some(schema)),
        simple => (format!("{simple:?}").to_lowercase(), None),
    }
}

/// How Kafka would write a default that Rust prints as `text`; `None` for a struct.
fn kafka_default(ty: &Type, text: String) -> Option<String> {
    Some(match ty {
        Type::Struct(_) => return None,
        Type::Nullable(_) if text == "None" => "null".to_owned(),
        Type::Nullable(inner) => {
            let within = text
                .strip_prefix("Some(")
                .and_then(|text| text.strip_suffix(')'));
            return kafka_default(inner, within.unwrap_or(&text).to_owned());
        }
        Type::Uuid if text == "Uuid(AAAAAAAAAAAAAAAAAAAAAA)" => "zero".to_owned(),
        Type::Bytes if text == "[]" => "empty".to_owned(),
        _ => text,
    })
}

/// Compares one message; what differs goes to `wrong`. Returns how many pairs of a field and
/// a version there were.
fn compare(truth: &Message, ours: &Declared, wrong: &mut Vec<String>) -> usize {
    let mut check = |what: &str, same: bool| {
        if !same {
            wrong.push(format!("{}: {what}", ours.name));
        }
    };
    check("name", truth.name == ours.name);
    check("key", truth.key == Some(ours.key));
    check(
        "versions",
        truth.versions == (ours.versions.0..=ours.versions.1),
    );
    let stable = ours.versions.1 - i16::from(truth.unstable);
    // Only requests say what is unstable; an answer goes by its request.
    check(
        "stable",
        truth.name.ends_with("Response") || ours.stable == stable,
    );
    for version in truth.versions.clone() {
        let flexible = truth.flexible.contains(&version);
        check(
            &format!("v{version}: flexible"),
            flexible == (version >= ours.flexible),
        );
    }
    let versions = truth.versions.clone();
    versions
        .map(|version| fields(truth, "", &ours.schema, version, wrong))
        .sum()
}

/// Compares the fields of one struct in one version, then those of the structs within, whether or
/// not the version has them. Returns how many fields the version has.
fn fields(
    truth: &Message,
    parent: &str,
    ours: &Schema,
    version: i16,
    wrong: &mut Vec<String>,
) -> usize {
    let place = format!("{} v{version} {parent}", truth.name);
    let kafka = truth.children(parent);
    // The order on the wire, both directions at once: what is missing, and what is too much.
    let names = |tagged: bool| -> Vec<String> {
        kafka
            .iter()
            .filter(|field| field.versions.contains(&version))
            .filter(|field| field.is_tagged_in(version) == tagged)
            .map(|field| snake(field.name()))
            .collect()
    };
    let our_names = |tagged: bool| -> Vec<String> {
        ours.fields
            .iter()
            .filter(|field| (field.present)(version) && field.tag.is_some() == tagged)
            .map(|field| field.name.to_owned())
            .collect()
    };
    if names(false) != our_names(false) {
        wrong.push(format!(
            "{place}: {:?} are {:?}",
            names(false),
            our_names(false)
        ));
    }
    let set = |names: Vec<String>| names.into_iter().collect::<BTreeSet<_>>();
    if set(names(true)) != set(our_names(true)) {
        wrong.push(format!(
            "{place}: tagged {:?} are {:?}",
            names(true),
            our_names(true)
        ));
    }
    // Fields that no version has, or that only one side knows.
    for field in ours.fields {
        if !kafka.iter().any(|other| snake(other.name()) == field.name) {
            wrong.push(format!("{place}: {} is not Kafka's", field.name));
        }
    }
    let mut pairs = 0;
    for field in kafka {
        let Some(own) = ours
            .fields
            .iter()
            .find(|own| own.name == snake(field.name()))
        else {
            wrong.push(format!("{place}: {} is missing", field.name()));
            continue;
        };
        let present = field.versions.contains(&version);
        let (ty, inner) = kafka_type(&own.ty);
        let mut check = |what: &str, same: bool| {
            if !same {
                wrong.push(format!("{place}: {what} of {}", own.name));
            }
        };
        check("type", field.ty == ty);
        check("versions", present == (own.present)(version));
        check(
            "nullable",
            (present && field.nullable.contains(&version)) == (own.nullable)(version),
        );
        check(
            "default",
            field.default == kafka_default(&own.ty, (own.default)()),
        );
        check("ignorable", field.ignorable == own.ignorable);
        check("tag", field.tag.as_ref().map(|tag| tag.0) == own.tag);
        check("flexible", field.flexible.is_none());
        let within = inner.map_or(0, |inner| fields(truth, &field.path, inner, version, wrong));
        pairs += if present { 1 + within } else { 0 };
    }
    pairs
}

/// Compares everything; the number of pairs, and what is wrong.
fn compare_all(facts: &str, ours: &[Declared]) -> (usize, Vec<String>) {
    let mut wrong = vec![];
    let mut pairs = 0;
    let truth: Vec<Message> = facts::parse(facts)
        .into_iter()
        .filter(|message| message.key.is_some())
        .collect();
    for message in &truth {
        match ours.iter().find(|own| own.name == message.name) {
            Some(own) => pairs += compare(message, own, &mut wrong),
            None => wrong.push(format!("{} is missing", message.name)),
        }
    }
    for own in ours {
        if !truth.iter().any(|message| message.name == own.name) {
            wrong.push(format!("{} is not Kafka's", own.name));
        }
    }
    (pairs, wrong)
}

#[test]
fn every_declaration_says_what_kafka_says() {
    let ours = all();
    let (pairs, wrong) = compare_all(FACTS, &ours);
    assert!(
        wrong.is_empty(),
        "{} differences:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let ignorable = FACTS
        .lines()
        .filter(|line| line.contains(" ignorable"))
        .count();
    println!(
        "{} messages, {ignorable} ignorable fields: {pairs} pairs of a field and a version",
        ours.len()
    );
    assert_eq!(ours.len(), 44);
    assert!(pairs > 2200, "{pairs}");
}

/// The headers are written by hand; this is what they rely on.
#[test]
fn the_headers_are_as_they_were() {
    let headers: Vec<&str> = FACTS
        .lines()
        .skip_while(|line| !line.starts_with("message"))
        .take_while(|line| !line.contains("ProduceRequest"))
        .filter(|line| !line.is_empty())
        .collect();
    assert_eq!(
        headers,
        [
            "message RequestHeader versions=1-2 flexible=2+",
            "  RequestApiKey int16 0+ default=0",
            "  RequestApiVersion int16 0+ default=0",
            "  CorrelationId int32 0+ default=0",
            "  ClientId string 1+ nullable=1+ default=\"\" flexible=none",
            "message ResponseHeader versions=0-1 flexible=1+",
            "  CorrelationId int32 0+ default=0",
        ]
    );
}

/// Mistakes in copies of the facts: what is written, what it becomes, and what the comparison
/// must say.
const PLANTED: &[(&str, &str, &str)] = &[
    // A field appears one version later, or earlier, or never ends.
    (
        "LogStartOffset int64 5+ default=-1 ignorable",
        "LogStartOffset int64 6+ default=-1 ignorable",
        "ProduceResponse v5 Responses.PartitionResponses",
    ),
    (
        "ErrorMessage string 8+ nullable=8+ default=null",
        "ErrorMessage string 7+ nullable=8+ default=null",
        "versions of batch_index_error_message",
    ),
    (
        "IncludeClusterAuthorizedOperations bool 8-10",
        "IncludeClusterAuthorizedOperations bool 8+",
        "MetadataRequest v11",
    ),
    // Types.
    ("Acks int16", "Acks int8", "type of acks"),
    (
        "ReplicaNodes []int32",
        "ReplicaNodes []int64",
        "type of replica_nodes",
    ),
    (
        "CurrentLeader LeaderIdAndEpoch 10+",
        "CurrentLeader LeaderAndEpoch 10+",
        "type of current_leader",
    ),
    // Null.
    (
        "TransactionalId string 0+ nullable=0+",
        "TransactionalId string 0+",
        "InitProducerIdRequest v0 : nullable",
    ),
    (
        "Name string 0+ nullable=12+",
        "Name string 0+ nullable=11+",
        "MetadataResponse v11 Topics: nullable of name",
    ),
    (
        "CoordinatorKeys []string 4+",
        "CoordinatorKeys []string 4+ nullable=5+",
        "nullable of coordinator_keys",
    ),
    // Defaults.
    (
        "AllowAutoTopicCreation bool 4+ default=true",
        "AllowAutoTopicCreation bool 4+ default=false",
        "default of allow_auto_topic_creation",
    ),
    (
        "timeoutMs int32 0+ default=60000",
        "timeoutMs int32 0+ default=0",
        "default of timeout_ms",
    ),
    (
        "ClusterId string 2+ nullable=2+ default=null",
        "ClusterId string 2+ nullable=2+ default=\"\"",
        "default of cluster_id",
    ),
    // Ignorable.
    (
        "CommittedLeaderEpoch int32 2+ default=-1 ignorable",
        "CommittedLeaderEpoch int32 2+ default=-1",
        "ignorable of committed_leader_epoch",
    ),
    (
        "KeyType int8 1+ default=0",
        "KeyType int8 1+ default=0 ignorable",
        "ignorable of key_type",
    ),
    // Tags.
    (
        "FinalizedFeaturesEpoch int64 3+ default=-1 ignorable tag=1@3+",
        "FinalizedFeaturesEpoch int64 3+ default=-1 ignorable tag=2@3+",
        "tag of finalized_features_epoch",
    ),
    (
        "TopicConfigErrorCode int16 5+ default=0 ignorable tag=0@5+",
        "TopicConfigErrorCode int16 5+ default=0 ignorable",
        "tag of topic_config_error_code",
    ),
    // Whole fields, too many and too few, and their order.
    (
        "  Committed bool 0+ default=false\n",
        "",
        "committed is not Kafka's",
    ),
    (
        "  Committed bool 0+ default=false\n",
        "  Committed bool 0+ default=false\n  Certain bool 5+ default=false\n",
        "Certain is missing",
    ),
    (
        "  GroupId string 0+ default=\"\"\n  ProducerId int64 0+ default=0\n",
        "  ProducerId int64 0+ default=0\n  GroupId string 0+ default=\"\"\n",
        "TxnOffsetCommitRequest v0 : [",
    ),
    // The message itself.
    (
        "message EndTxnRequest key=26",
        "message EndTxnRequest key=27",
        "EndTxnRequest: key",
    ),
    (
        "message EndTxnRequest key=26 versions=0-5",
        "message EndTxnRequest key=26 versions=0-6",
        "EndTxnRequest: versions",
    ),
    (
        "message FetchResponse key=1 versions=4-18 flexible=12+",
        "message FetchResponse key=1 versions=4-18 flexible=13+",
        "FetchResponse: v12: flexible",
    ),
    (
        "key=22 versions=0-6 flexible=2+ unstable",
        "key=22 versions=0-6 flexible=2+",
        "InitProducerIdRequest: stable",
    ),
    (
        "message PushTelemetryResponse",
        "message PushMetricsResponse",
        "PushTelemetryResponse is not Kafka's",
    ),
];

#[test]
fn mistakes_in_the_facts_are_noticed() {
    let ours = all();
    // A checkout on Windows may have other ends of lines.
    let facts = FACTS.replace('\r', "");
    for (right, planted, said) in PLANTED {
        assert!(facts.contains(right), "the facts no longer say {right:?}");
        let (_, wrong) = compare_all(&facts.replacen(right, planted, 1), &ours);
        assert!(
            wrong.iter().any(|wrong| wrong.contains(said)),
            "{planted:?} should give {said:?}, gave {wrong:?}"
        );
    }
    println!(
        "{} planted mistakes in the facts, each noticed",
        PLANTED.len()
    );
}

/// The same from the other side: declarations that are wrong.
mod mistaken {
    use super::*;

    macro_rules! declaration {
        ($($name:ident { $($body:tt)* })*) => {$(
            mod $name {
                use super::*;
                message! {
                    /// Like the real one, with a mistake.
                    pub struct EndTxnResponse { $($body)* }
                }
            }
        )*};
    }

    declaration! {
        right {
            /// .
            0.. => throttle_time_ms: i32,
            /// .
            0.. => error_code: i16,
            /// .
            5.. => producer_id: i64 = -1; ignorable,
            /// .
            5.. => producer_epoch: i16 = -1; ignorable,
        }
        late {
            /// .
            1.. => throttle_time_ms: i32,
            /// .
            0.. => error_code: i16,
            /// .
            5.. => producer_id: i64 = -1; ignorable,
            /// .
            5.. => producer_epoch: i16 = -1; ignorable,
        }
        short {
            /// .
            0.. => throttle_time_ms: i32,
            /// .
            0.. => error_code: i16,
            /// .
            5.. => producer_id: i64 = -1; ignorable,
        }
        swapped {
            /// .
            0.. => error_code: i16,
            /// .
            0.. => throttle_time_ms: i32,
            /// .
            5.. => producer_id: i64 = -1; ignorable,
            /// .
            5.. => producer_epoch: i16 = -1; ignorable,
        }
        narrow {
            /// .
            0.. => throttle_time_ms: i32,
            /// .
            0.. => error_code: i16,
            /// .
            5.. => producer_id: i32 = -1; ignorable,
            /// .
            5.. => producer_epoch: i16 = -1; ignorable,
        }
        zero {
            /// .
            0.. => throttle_time_ms: i32,
            /// .
            0.. => error_code: i16,
            /// .
            5.. => producer_id: i64; ignorable,
            /// .
            5.. => producer_epoch: i16 = -1; ignorable,
        }
        strict {
            /// .
            0.. => throttle_time_ms: i32,
            /// .
            0.. => error_code: i16,
            /// .
            5.. => producer_id: i64 = -1,
            /// .
            5.. => producer_epoch: i16 = -1; ignorable,
        }
        surplus {
            /// .
            0.. => throttle_time_ms: i32,
            /// .
            0.. => error_code: i16,
            /// .
            5.. => producer_id: i64 = -1; ignorable,
            /// .
            5.. => producer_epoch: i16 = -1; ignorable,
            /// .
            6.. => another: bool,
        }
        ending {
            /// .
            0.. => throttle_time_ms: i32,
            /// .
            0..=4 => error_code: i16,
            /// .
            5.. => producer_id: i64 = -1; ignorable,
            /// .
            5.. => producer_epoch: i16 = -1; ignorable,
        }
    }

    #[test]
    fn mistakes_in_a_declaration_are_noticed() {
        let truth = facts::parse(FACTS);
        let truth = truth
            .iter()
            .find(|message| message.name == "EndTxnResponse")
            .unwrap();
        let differences = |schema| {
            let mut wrong = vec![];
            compare(
                truth,
                &declared::<milena_wire::EndTxnRequest<'_>>(schema),
                &mut wrong,
            );
            wrong
        };
        assert_eq!(
            differences(right::EndTxnResponse::SCHEMA),
            Vec::<String>::new()
        );
        for (schema, said) in [
            (
                late::EndTxnResponse::SCHEMA,
                "v0 : versions of throttle_time_ms",
            ),
            (
                short::EndTxnResponse::SCHEMA,
                "v5 : ProducerEpoch is missing",
            ),
            (
                swapped::EndTxnResponse::SCHEMA,
                "v0 : [\"throttle_time_ms\", \"error_code\"] are",
            ),
            (narrow::EndTxnResponse::SCHEMA, "v5 : type of producer_id"),
            (zero::EndTxnResponse::SCHEMA, "v5 : default of producer_id"),
            (
                strict::EndTxnResponse::SCHEMA,
                "v5 : ignorable of producer_id",
            ),
            (surplus::EndTxnResponse::SCHEMA, "another is not Kafka's"),
            (
                ending::EndTxnResponse::SCHEMA,
                "v5 : versions of error_code",
            ),
        ] {
            let wrong = differences(schema);
            assert!(
                wrong.iter().any(|wrong| wrong.contains(said)),
                "{said:?}: {wrong:?}"
            );
        }
    }
}
