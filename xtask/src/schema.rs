//! `cargo xtask schema`: the facts about Kafka's messages, made from the schemas in the
//! `kafka-clients` jar, and compared with those that the tests of `milena-wire` use.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use lexopt::{Arg, Parser, ValueExt};
use serde_json::Value;

use crate::kafka::VERSION;
use crate::kafka::resolve::Kafka;

/// The APIs that `milena-wire` has.
const APIS: &[&str] = &[
    "Produce",
    "Fetch",
    "ListOffsets",
    "Metadata",
    "OffsetFetch",
    "FindCoordinator",
    "SaslHandshake",
    "ApiVersions",
    "CreateTopics",
    "DeleteTopics",
    "InitProducerId",
    "AddPartitionsToTxn",
    "AddOffsetsToTxn",
    "EndTxn",
    "TxnOffsetCommit",
    "DescribeConfigs",
    "SaslAuthenticate",
    "CreatePartitions",
    "DescribeProducers",
    "DescribeTransactions",
    "GetTelemetrySubscriptions",
    "PushTelemetry",
];

/// Where the facts are kept.
pub const FACTS: &str = "crates/milena-wire/tests/facts/messages.txt";

const HEAD: &str = "\
# What Kafka's own schemas say about the messages of milena-wire, one field a line. Made by
# `cargo xtask schema --jar kafka-clients-4.3.1.jar --write`; not to be edited.
#
# message NAME key=API versions=RANGE flexible=RANGE [unstable: its newest version]
#   PATH TYPE VERSIONS [nullable=RANGE] [default=VALUE] [ignorable] [tag=N@RANGE] [flexible=RANGE]
#
# Defaults are spelled out where the schema leaves them to the type. A struct has none of its own.
";

/// `cargo xtask schema [--jar PATH] [--write]`: makes the facts anew from the jar and compares them
/// with those in the repository, or replaces those. Without a path, Maven brings the jar.
///
/// # Errors
/// The jar cannot be read, or the facts differ.
pub fn main(mut arguments: Parser) -> Result<()> {
    let mut jar: Option<PathBuf> = None;
    let mut write = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Arg::Long("jar") => jar = Some(arguments.value()?.parse()?),
            Arg::Long("write") => write = true,
            other => return Err(other.unexpected().into()),
        }
    }
    let jar = match jar {
        Some(jar) => jar,
        None => Kafka::resolve(VERSION)?.clients_jar(),
    };
    let facts = root().join(FACTS);
    if write {
        std::fs::write(&facts, generate(&jar)?)?;
        println!("{FACTS} written");
        return Ok(());
    }
    let fields = compare(&jar)?;
    println!("{FACTS} says what the jar says: {fields} fields");
    Ok(())
}

/// Compares the facts in the repository with the jar; the number of fields.
///
/// # Errors
/// The jar cannot be read, or the facts differ: the first line that does is named.
pub fn compare(jar: &Path) -> Result<usize> {
    let made = generate(jar)?;
    let path = root().join(FACTS);
    let kept = std::fs::read_to_string(&path).with_context(|| format!("cannot read {FACTS}"))?;
    for (number, (made, kept)) in made.lines().zip(kept.lines()).enumerate() {
        ensure!(
            made == kept,
            "{FACTS}:{}:\n  kept: {kept}\n  jar:  {made}",
            number + 1
        );
    }
    ensure!(
        made.lines().count() == kept.lines().count(),
        "{FACTS} and the jar differ in length"
    );
    Ok(made.lines().filter(|line| line.starts_with("  ")).count())
}

/// The facts, from the jar alone.
///
/// # Errors
/// The jar has no such schemas, or they are not as they were in Kafka 4.3.
pub fn generate(jar: &Path) -> Result<String> {
    let mut out = HEAD.to_owned();
    let messages = APIS
        .iter()
        .flat_map(|api| [format!("{api}Request"), format!("{api}Response")]);
    for name in ["RequestHeader", "ResponseHeader"]
        .map(str::to_owned)
        .into_iter()
        .chain(messages)
    {
        let schema = read(jar, &name).with_context(|| format!("schema of {name}"))?;
        message(&mut out, &schema).with_context(|| format!("schema of {name}"))?;
    }
    Ok(out)
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap_or_else(|| Path::new("."))
}

/// One schema of the jar, its comments removed.
fn read(jar: &Path, name: &str) -> Result<Value> {
    let output = Command::new("unzip")
        .arg("-p")
        .arg(jar)
        .arg(format!("common/message/{name}.json"))
        .output()
        .context("cannot run unzip; is it installed?")?;
    ensure!(
        output.status.success(),
        "{} has no such entry: {}",
        jar.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    let text = String::from_utf8(output.stdout)?;
    Ok(serde_json::from_str(&without_comments(&text))?)
}

/// JSON without its `//` comments, which may not begin within a string.
fn without_comments(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        let (mut quoted, mut escaped, mut end) = (false, false, line.len());
        for (index, byte) in line.bytes().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                b'/' if !quoted && line[index..].starts_with("//") => {
                    end = index;
                    break;
                }
                _ => {}
            }
        }
        out.push_str(&line[..end]);
        out.push('\n');
    }
    out
}

fn message(out: &mut String, schema: &Value) -> Result<()> {
    writeln!(out)?;
    write!(out, "message {}", text(schema, "name")?)?;
    if let Some(key) = schema["apiKey"].as_i64() {
        write!(out, " key={key}")?;
    }
    let flexible = text(schema, "flexibleVersions")?;
    write!(
        out,
        " versions={} flexible={flexible}",
        text(schema, "validVersions")?
    )?;
    if schema["latestVersionUnstable"].as_bool() == Some(true) {
        out.push_str(" unstable");
    }
    out.push('\n');
    let common: BTreeMap<&str, &Value> = schema["commonStructs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|common| Some((common["name"].as_str()?, &common["fields"])))
        .collect();
    fields(out, "", &schema["fields"], &common)
}

fn fields(
    out: &mut String,
    parent: &str,
    list: &Value,
    common: &BTreeMap<&str, &Value>,
) -> Result<()> {
    for field in list.as_array().context("fields are not a list")? {
        let path = format!("{parent}{}", text(field, "name")?);
        let ty = text(field, "type")?;
        write!(out, "  {path} {ty} {}", text(field, "versions")?)?;
        if let Some(versions) = field["nullableVersions"].as_str() {
            write!(out, " nullable={versions}")?;
        }
        if let Some(default) = default(field, ty)? {
            write!(out, " default={default}")?;
        }
        if field["ignorable"].as_bool() == Some(true) {
            out.push_str(" ignorable");
        }
        if let Some(tag) = field["tag"].as_i64() {
            write!(out, " tag={tag}@{}", text(field, "taggedVersions")?)?;
        }
        if let Some(versions) = field["flexibleVersions"].as_str() {
            write!(out, " flexible={versions}")?;
        }
        out.push('\n');
        let inner = match common.get(ty.trim_start_matches("[]")) {
            Some(inner) => inner,
            None => &field["fields"],
        };
        if !inner.is_null() {
            fields(out, &format!("{path}."), inner, common)?;
        }
    }
    Ok(())
}

/// The default as Kafka understands it; `None` for a struct.
fn default(field: &Value, ty: &str) -> Result<Option<String>> {
    let given = match &field["default"] {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    let nothing = |empty: &str| match given.as_deref() {
        None | Some("") => Ok(empty.to_owned()),
        Some("null") => Ok("null".to_owned()),
        Some(other) => bail!("default {other} of a {ty}"),
    };
    Ok(Some(match ty {
        "bool" => given.unwrap_or_else(|| "false".to_owned()),
        "int8" | "int16" | "uint16" | "int32" | "uint32" | "int64" => match given.as_deref() {
            None => "0".to_owned(),
            Some(text) => match text.strip_prefix("0x") {
                Some(digits) => i64::from_str_radix(digits, 16)?.to_string(),
                None => text.parse::<i64>()?.to_string(),
            },
        },
        "float64" => given.unwrap_or_else(|| "0.0".to_owned()),
        "uuid" => given.unwrap_or_else(|| "zero".to_owned()),
        "string" if given.as_deref() == Some("null") => "null".to_owned(),
        "string" => format!("{:?}", given.unwrap_or_default()),
        "bytes" => nothing("empty")?,
        // Kafka starts records at null, whatever the schema says of them.
        "records" => "null".to_owned(),
        _ if ty.starts_with("[]") => nothing("[]")?,
        _ => {
            ensure!(given.is_none(), "a struct with a default is not expected");
            return Ok(None);
        }
    }))
}

fn text<'v>(value: &'v Value, key: &str) -> Result<&'v str> {
    value[key]
        .as_str()
        .with_context(|| format!("{key} is missing in {}", value["name"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_strings_stay() {
        let text = "// all of it\n{ \"a\": \"http://b\", // the end\n\"c\": \"\\\"//\" }";
        let value: Value = serde_json::from_str(&without_comments(text)).unwrap();
        assert_eq!(
            (&value["a"], &value["c"]),
            (&"http://b".into(), &"\"//".into())
        );
    }

    #[test]
    fn defaults_are_spelled_out() {
        let of = |ty: &str, field: Value| default(&field, ty).unwrap();
        assert_eq!(
            of("int32", serde_json::json!({"default": "0x7fffffff"})).unwrap(),
            "2147483647"
        );
        assert_eq!(
            of("int64", serde_json::json!({"default": -1})).unwrap(),
            "-1"
        );
        assert_eq!(
            of("string", serde_json::json!({"nullableVersions": "0+"})).unwrap(),
            "\"\""
        );
        assert_eq!(
            of("[]int32", serde_json::json!({"default": "null"})).unwrap(),
            "null"
        );
        assert_eq!(of("LeaderIdAndEpoch", serde_json::json!({})), None);
    }
}
