//! A command in a pod: its form in flags and files, and what its exit code means.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::attempt::{Attempt, with_output};
use crate::{
    cluster::{Cluster, ExecOutcome, shell_quoted},
    workload::PodTemplate,
};

/// Environment variables, in the order in which they are documented.
pub type Variables = Vec<(&'static str, String)>;

/// A command from a file or a flag: a line for `sh -c`, or a JSON list of
/// arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct Command(String);

impl Command {
    /// The arguments to exec: the shell with `exports` before the line, or the
    /// list as it stands, which gets no variables.
    pub fn argv(&self, exports: &str) -> Vec<String> {
        match self.arguments() {
            Some(argv) => argv,
            None => vec!["sh".to_owned(), "-c".to_owned(), format!("{exports}{}", self.0)],
        }
    }

    fn arguments(&self) -> Option<Vec<String>> {
        self.0.starts_with('[').then(|| serde_json::from_str(&self.0).ok())?
    }
}

impl FromStr for Command {
    type Err = String;

    fn from_str(text: &str) -> Result<Command, String> {
        let command = Command(text.trim().to_owned());
        if command.0.is_empty() {
            return Err("the command is empty".to_owned());
        }
        if command.0.starts_with('[') && command.arguments().is_none_or(|argv| argv.is_empty()) {
            return Err(format!(
                "{:?} begins with [ and is not a JSON list of strings; for the shell's [ \
                 write test",
                command.0
            ));
        }
        Ok(command)
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Command {
    type Error = String;

    fn try_from(text: String) -> Result<Command, String> {
        text.parse()
    }
}

impl From<Command> for String {
    fn from(command: Command) -> String {
        command.0
    }
}

/// The container that a command runs in: a server that is asked for exec in a pod of
/// several containers wants a name. kubectl takes the one that the annotation says,
/// or the first one.
pub fn container_of<'a>(named: Option<&'a str>, template: &'a PodTemplate) -> Option<&'a str> {
    let own = template.containers.iter().filter(|one| !one.init).map(|one| one.name.as_str());
    let annotations = &template.raw["metadata"]["annotations"];
    default_container(named, own, annotations["kubectl.kubernetes.io/default-container"].as_str())
}

/// The same from the names of the `containers` of a pod, and what its annotation says.
pub fn default_container<'a>(
    named: Option<&'a str>,
    mut containers: impl Iterator<Item = &'a str> + Clone,
    default: Option<&str>,
) -> Option<&'a str> {
    let by_annotation = || containers.clone().find(|name| Some(*name) == default);
    named.or_else(by_annotation).or_else(|| containers.next())
}

/// Runs a command in a pod.
pub async fn in_pod(
    cluster: &Cluster,
    command: &Command,
    container: Option<&str>,
    pod: &str,
    variables: &[(&'static str, String)],
    timeout: Duration,
) -> Attempt {
    let argv = command.argv(&exports(variables));
    match cluster.exec(pod, container, &argv, timeout).await {
        Ok(executed) => judge_command(executed, timeout),
        Err(failure) => Attempt::inconclusive(failure.to_string()),
    }
}

/// An export line for a shell in a pod: exec passes no environment.
pub fn exports(variables: &[(&'static str, String)]) -> String {
    let words = variables.iter().map(|(name, value)| format!(" {name}={}", shell_quoted(value)));
    format!("export{}\n", words.collect::<String>())
}

/// Only a command that ran can fail; anything else is inconclusive.
fn judge_command(executed: ExecOutcome, timeout: Duration) -> Attempt {
    let (code, stdout, stderr) = match executed {
        ExecOutcome::Ended { code, stdout, stderr } => (code, stdout, stderr),
        ExecOutcome::TimedOut => {
            // Closing the connection does not end it.
            let message = format!("no exit within {timeout:?}; it may still run in the pod");
            return Attempt::inconclusive(message);
        }
    };
    let output = if stderr.trim().is_empty() { stdout } else { stderr };
    let detail = |what: String| with_output(what, &output);
    match code {
        0 => Attempt::pass(detail("exit 0".to_owned())),
        126 => Attempt::inconclusive(detail("exit 126, not executable".to_owned())),
        127 => Attempt::inconclusive(detail("exit 127, not found".to_owned())),
        129.. => {
            Attempt::inconclusive(detail(format!("exit {code}, killed by signal {}", code - 128)))
        }
        _ => Attempt::fail(detail(format!("exit {code}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{steps::attempt::Verdict, workload::Container};

    fn ended(code: i32, stdout: &str, stderr: &str) -> Attempt {
        let (stdout, stderr) = (stdout.to_owned(), stderr.to_owned());
        judge_command(ExecOutcome::Ended { code, stdout, stderr }, Duration::from_secs(3))
    }

    #[test]
    fn a_command_fails_only_where_it_ran() {
        assert_eq!(ended(0, "", ""), Attempt::pass("exit 0"));
        assert_eq!(ended(0, "alive\n", ""), Attempt::pass("exit 0: alive"));
        assert_eq!(ended(1, "out", "a\nlag 9s\n\n"), Attempt::fail("exit 1: lag 9s"));
        for code in [2, 125, 128] {
            assert_eq!(ended(code, "", "").verdict, Verdict::Fail, "{code}");
        }
        for code in [126, 127, 129, 137, 255] {
            assert_eq!(ended(code, "", "").verdict, Verdict::Inconclusive, "{code}");
        }
        assert_eq!(ended(137, "", "").detail, "exit 137, killed by signal 9");
        let late = judge_command(ExecOutcome::TimedOut, Duration::from_secs(3));
        assert_eq!(late, Attempt::inconclusive("no exit within 3s; it may still run in the pod"));
        let long = ended(1, "", &"x".repeat(1000)).detail;
        assert!(long.chars().count() < 200 && long.ends_with('…'), "{long}");
    }

    #[test]
    fn a_command_is_for_the_shell_unless_it_is_a_list() {
        let argv = |text: &str| text.parse::<Command>().unwrap().argv("export A=1\n");
        assert_eq!(argv(" ping -c1 "), ["sh", "-c", "export A=1\nping -c1"]);
        assert_eq!(argv(r#"["a", "b c"]"#), ["a", "b c"]);
    }

    #[test]
    fn the_container_is_the_one_that_kubectl_takes() {
        let container = |name: &str, init: bool| Container {
            name: name.to_owned(),
            image: "i".to_owned(),
            init,
            env_names: Vec::new(),
            probes: Vec::new(),
            has_readiness_probe: false,
            probed: false,
        };
        let key = "kubectl.kubernetes.io/default-container";
        let template = |default: &str| PodTemplate {
            labels: [].into(),
            containers: vec![
                container("init", true),
                container("proxy", false),
                container("db", false),
            ],
            raw: serde_json::json!({"metadata": {"annotations": {key: default}}}),
        };
        assert_eq!(container_of(None, &template("db")), Some("db"));
        assert_eq!(container_of(None, &template("none")), Some("proxy"));
        assert_eq!(container_of(Some("proxy"), &template("db")), Some("proxy"));
    }
}
