//! Finds Java and Maven, and lets Maven bring the jars of one Kafka version into the target folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run;

/// The logging back end that Kafka 4 wants; Kafka 3 brings reload4j along.
const LOG4J: &str = "2.25.4";

/// A Kafka version whose jars are here, and the Java that runs them.
#[derive(Clone, Debug)]
pub struct Kafka {
    /// The version, such as `4.3.1`.
    pub version: String,
    /// The folder of this version: `libs`, logging configurations, the compiled helper.
    pub home: PathBuf,
    java: PathBuf,
}

impl Kafka {
    /// Resolves a version: what is missing on this machine is an error that names it.
    pub fn resolve(version: &str) -> Result<Self> {
        if !version
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '.' || c == '-')
        {
            bail!("`{version}` is not a version of Kafka");
        }
        let java = java()?;
        let kafka = Self {
            version: version.to_owned(),
            home: home().join(version),
            java,
        };
        let complete = kafka.home.join("libs.complete");
        if !complete.exists() {
            kafka.download()?;
            fs::write(&complete, "")?;
        }
        fs::write(kafka.home.join("log4j2.properties"), LOG4J2_PROPERTIES)?;
        fs::write(kafka.home.join("log4j.properties"), LOG4J1_PROPERTIES)?;
        Ok(kafka)
    }

    /// The folder with the jars.
    pub fn libs(&self) -> PathBuf {
        self.home.join("libs")
    }

    /// The jar with the clients, which also holds Kafka's own message definitions.
    pub fn clients_jar(&self) -> PathBuf {
        self.libs()
            .join(format!("kafka-clients-{}.jar", self.version))
    }

    /// A Java process with Kafka's jars and `extra` on its class path, logging to its standard output.
    pub fn java(&self, extra: Option<&Path>) -> Command {
        let mut class_path = self.libs().join("*").into_os_string();
        if let Some(extra) = extra {
            class_path.push(if cfg!(windows) { ";" } else { ":" });
            class_path.push(extra);
        }
        let mut command = Command::new(&self.java);
        command
            .arg(format!(
                "-Dlog4j2.configurationFile={}",
                self.home.join("log4j2.properties").display()
            ))
            .arg(format!(
                "-Dlog4j.configuration=file:{}",
                self.home.join("log4j.properties").display()
            ))
            .args(["-XX:+UseSerialGC", "-Djava.awt.headless=true", "-cp"])
            .arg(class_path);
        command
    }

    /// The compiler that belongs to the Java that was found.
    pub fn javac(&self) -> PathBuf {
        self.java
            .with_file_name(if cfg!(windows) { "javac.exe" } else { "javac" })
    }

    fn download(&self) -> Result<()> {
        let maven = Path::new(if cfg!(windows) { "mvn.cmd" } else { "mvn" });
        if run::probe(maven, "-version")?.is_none() {
            bail!("Maven (mvn) was not found; it brings Kafka's jars (Debian: apt install maven)");
        }
        println!(
            "resolving Apache Kafka {} with Maven into {}",
            self.version,
            self.home.display()
        );
        fs::create_dir_all(&self.home)?;
        fs::write(self.home.join("pom.xml"), self.pom())?;
        let mut command = Command::new(maven);
        command
            .args([
                "-B",
                "-q",
                "dependency:copy-dependencies",
                "-DoutputDirectory=libs",
            ])
            .current_dir(&self.home);
        run::output(&mut command)
            .map(drop)
            .with_context(|| format!("Maven could not resolve Apache Kafka {}", self.version))
    }

    fn pom(&self) -> String {
        let version = &self.version;
        let mut dependencies = String::new();
        let mut depend = |group: &str, artifact: &str, version: &str| {
            dependencies.push_str(&format!(
                "    <dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{version}</version></dependency>\n"
            ));
        };
        depend("org.apache.kafka", "kafka_2.13", version);
        depend("org.apache.kafka", "kafka-tools", version);
        if !version.starts_with("3.") {
            depend("org.apache.logging.log4j", "log4j-core", LOG4J);
            depend("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J);
        }
        format!(
            "<project xmlns=\"http://maven.apache.org/POM/4.0.0\">\n  <modelVersion>4.0.0</modelVersion>\n  \
             <groupId>milena</groupId>\n  <artifactId>kafka</artifactId>\n  <version>1</version>\n  \
             <dependencies>\n{dependencies}  </dependencies>\n</project>\n"
        )
    }
}

/// The folder for everything about real Kafka.
pub fn home() -> PathBuf {
    run::target().join("kafka")
}

/// Java 17 or newer, with its compiler.
fn java() -> Result<PathBuf> {
    let name = if cfg!(windows) { "java.exe" } else { "java" };
    let java = match std::env::var_os("JAVA_HOME") {
        Some(home) => PathBuf::from(home).join("bin").join(name),
        None => on_path(name).unwrap_or_else(|| name.into()),
    };
    const WANTED: &str =
        "Kafka needs a JDK, 17 or newer (Debian: apt install openjdk-17-jdk-headless)";
    let Some(said) = run::probe(&java, "-version")? else {
        bail!("Java ({}) was not found; {WANTED}", java.display());
    };
    let major = said
        .split('"')
        .nth(1)
        .and_then(|version| version.split(['.', '-', '+']).next())
        .and_then(|major| major.parse::<u32>().ok())
        .with_context(|| format!("{} does not say which Java it is: {said}", java.display()))?;
    if major < 17 {
        bail!("{} is Java {major}; {WANTED}", java.display());
    }
    let javac = java.with_file_name(if cfg!(windows) { "javac.exe" } else { "javac" });
    if run::probe(&javac, "-version")?.is_none() {
        bail!(
            "the Java compiler ({}) was not found; {WANTED}",
            javac.display()
        );
    }
    Ok(java)
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())?;
    // A link such as /usr/bin/java leads to the folder that has javac too.
    Some(found.canonicalize().unwrap_or(found))
}

const LOG4J2_PROPERTIES: &str = "\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.target = ${sys:milena.log.target:-SYSTEM_OUT}
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %m (%c{1})%n%throwable
rootLogger.level = ${sys:milena.log.level:-info}
rootLogger.appenderRef.out.ref = out
";

const LOG4J1_PROPERTIES: &str = "\
milena.log.level=INFO
milena.log.target=System.out
log4j.rootLogger=${milena.log.level}, out
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.target=${milena.log.target}
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d %p %m (%c{1})%n
";
