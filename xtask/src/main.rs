//! `cargo xtask`: the project's own commands, in one table.

#![forbid(unsafe_code)]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool talks on the terminal"
)]

use std::process::ExitCode;

use lexopt::{Arg, Parser};

/// One command: its name, what may follow it, what it does, and the function that does it.
struct Command {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(Parser) -> anyhow::Result<()>,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "test",
        arguments: "",
        about: "every test that needs only cargo",
        run: xtask::test::main,
    },
    Command {
        name: "layers",
        arguments: "",
        about: "compare the crates' dependencies with the layers of ARCHITECTURE.md",
        run: xtask::layers::main,
    },
    Command {
        name: "tidy",
        arguments: "[--sizes]",
        about: "check what a reader relies on in every file; report sizes",
        run: xtask::tidy::main,
    },
    Command {
        name: "schema",
        arguments: "[--jar PATH] [--write]",
        about: "compare the facts about Kafka's messages with its own schemas",
        run: xtask::schema::main,
    },
    Command {
        name: "sim",
        arguments: "[--seeds N] [--from S] | --seed S | --plants",
        about: "the producer against the model in virtual time, by seeds",
        run: xtask::sim::main,
    },
    Command {
        name: "kafka",
        arguments: "up|down|status|restart|kill|move|java|test",
        about: "a real Kafka cluster on loopback, and the suite against it",
        run: xtask::kafka::main,
    },
    Command {
        name: "bench",
        arguments: "[gate [--update]|budgets|peers [--quick]]",
        about: "the layers; their instructions; budgets; milena beside its peers",
        run: xtask::bench::main,
    },
    Command {
        name: "ci",
        arguments: "[--quick]",
        about: "everything that .ci/run does, in the same order",
        run: xtask::ci::main,
    },
];

fn main() -> ExitCode {
    let mut parser = Parser::from_env();
    let name = match parser.next() {
        Ok(Some(Arg::Value(name))) => name.to_string_lossy().into_owned(),
        Ok(Some(Arg::Long("help") | Arg::Short('h')) | None) => {
            usage();
            return ExitCode::SUCCESS;
        }
        Ok(Some(other)) => {
            eprintln!("error: {}", other.unexpected());
            return ExitCode::FAILURE;
        }
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        eprintln!("error: there is no command `{name}`\n");
        usage();
        return ExitCode::FAILURE;
    };
    match (command.run)(parser) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn usage() {
    println!("cargo xtask <command>\n");
    for command in COMMANDS {
        println!(
            "  {:<8} {:<44} {}",
            command.name, command.arguments, command.about
        );
    }
}
