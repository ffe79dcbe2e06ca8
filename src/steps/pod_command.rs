//! A command in a pod, as flags and files have it, and what its end means.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use super::attempt::{Attempt, with_output};
use crate::cluster::{Cluster, Executed, shell_quoted};

/// What a command is told, in the order in which it is shown.
pub type Variables = Vec<(&'static str, String)>;

/// A command of a file or a flag: words for `sh -c`, or a JSON list of
/// arguments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct Command(String);

impl Command {
    /// What is run: the shell, after it was told `exports`, or the arguments
    /// as they stand, which no variable reaches.
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
                "{:?} begins with [ and is no JSON list of strings; the shell's [ is also called \
                 test",
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

/// A line for a shell in a pod: exec brings no environment along.
pub fn exports(variables: &[(&'static str, String)]) -> String {
    let words = variables.iter().map(|(name, value)| format!(" {name}={}", shell_quoted(value)));
    format!("export{}\n", words.collect::<String>())
}

/// A command fails only where it ran and said so itself.
fn judge_command(executed: Executed, timeout: Duration) -> Attempt {
    let (code, stdout, stderr) = match executed {
        Executed::Ended { code, stdout, stderr } => (code, stdout, stderr),
        Executed::TimedOut => return Attempt::inconclusive(format!("no end within {timeout:?}")),
    };
    let output = if stderr.trim().is_empty() { stdout } else { stderr };
    let said = |what: String| with_output(what, &output);
    match code {
        0 => Attempt::pass(said("exit 0".to_owned())),
        126 => Attempt::inconclusive(said("exit 126, not executable".to_owned())),
        127 => Attempt::inconclusive(said("exit 127, not found".to_owned())),
        129.. => {
            Attempt::inconclusive(said(format!("exit {code}, ended by signal {}", code - 128)))
        }
        _ => Attempt::fail(said(format!("exit {code}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::attempt::Verdict;

    fn ended(code: i32, stdout: &str, stderr: &str) -> Attempt {
        let (stdout, stderr) = (stdout.to_owned(), stderr.to_owned());
        judge_command(Executed::Ended { code, stdout, stderr }, Duration::from_secs(3))
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
        assert_eq!(ended(137, "", "").said, "exit 137, ended by signal 9");
        let late = judge_command(Executed::TimedOut, Duration::from_secs(3));
        assert_eq!(late, Attempt::inconclusive("no end within 3s"));
        let long = ended(1, "", &"x".repeat(1000)).said;
        assert!(long.chars().count() < 200 && long.ends_with('…'), "{long}");
    }

    #[test]
    fn a_command_is_for_the_shell_unless_it_is_a_list() {
        let argv = |text: &str| text.parse::<Command>().unwrap().argv("export A=1\n");
        assert_eq!(argv(" ping -c1 "), ["sh", "-c", "export A=1\nping -c1"]);
        assert_eq!(argv(r#"["a", "b c"]"#), ["a", "b c"]);
    }
}
