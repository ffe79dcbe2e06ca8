//! The gates as `--gates FILE` has them: which there are, and what contradicts
//! itself. Pure.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{
    checks::{ExecGate, HttpGate, PrometheusGate},
    leader::{LeaderRule, OnLeader, PodCommand},
    values::{On, Scheme, Span},
};
use crate::{
    output::{Error, text::one_line},
    workload,
};

/// What must hold at an ordinal before the next one moves. Every field may be
/// left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Gates {
    /// The form of this file.
    pub schema: Schema,
    /// How long a pod may take to become available, and a gate to give an
    /// answer; 0s waits forever.
    pub deadline: Span,
    /// How long the pod must stay Ready without a restart. Left out: 30s where
    /// a container has no readiness probe, else 10s.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bake: Option<Span>,
    /// Commands that must succeed in a pod.
    pub exec: Vec<ExecGate>,
    /// URLs of a pod that must answer.
    pub http: Vec<HttpGate>,
    /// Queries to Prometheus whose every sample must compare.
    pub prometheus: Vec<PrometheusGate>,
    /// How many attempts at exec, http and prometheus must pass.
    pub tries: TryRule,
    /// How the pod that leads is told from the others.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<LeaderRule>,
    /// What makes another pod lead. It runs in the pod that leads now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub switchover: Option<PodCommand>,
    /// What to do when the next pod is the one that leads: switchover where
    /// there is such a command, else stop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_leader: Option<OnLeader>,
    /// Whether every PodDisruptionBudget must have room for one more pod down.
    pub budgets: bool,
    /// Commands that run where kubectl runs, before and after each step.
    pub hooks: Hooks,
    /// Whether to wait for a person after each step.
    pub pause_between: bool,
    /// What to do when a gate fails.
    pub on_failure: OnFailure,
}

impl Default for Gates {
    fn default() -> Gates {
        Gates {
            schema: Schema::V1,
            deadline: Span::minutes(10),
            bake: None,
            exec: Vec::new(),
            http: Vec::new(),
            prometheus: Vec::new(),
            tries: TryRule::default(),
            leader: None,
            switchover: None,
            on_leader: None,
            budgets: true,
            hooks: Hooks::default(),
            pause_between: false,
            on_failure: OnFailure::Pause,
        }
    }
}

/// The form of a file of gates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum Schema {
    #[serde(rename = "kubectl-stateful/gates/v1")]
    V1,
}

/// How many attempts must pass, and how they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct TryRule {
    /// How many attempts must pass.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub passes: u32,
    /// How many are made at most; what was inconclusive does not count.
    #[cfg_attr(test, schemars(range(min = 1)))]
    pub of: u32,
    /// The least time from one attempt to the next.
    pub interval: Span,
    /// How long one attempt may take.
    pub timeout: Span,
}

impl Default for TryRule {
    fn default() -> TryRule {
        let (interval, timeout) = (Duration::from_secs(5), Duration::from_secs(30));
        TryRule { passes: 2, of: 3, interval: Span(interval), timeout: Span(timeout) }
    }
}

impl TryRule {
    pub(super) fn fault(passes: u32, of: u32) -> Option<String> {
        if passes == 0 {
            Some(format!("{passes} of {of}: at least one attempt must pass"))
        } else if passes > of {
            Some(format!("{passes} of {of}: no more can pass than are made"))
        } else {
            None
        }
    }
}

/// Commands that run where kubectl runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Hooks {
    /// Before the pod is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// After its gates have passed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How long one may run.
    pub timeout: Span,
}

impl Default for Hooks {
    fn default() -> Hooks {
        Hooks { before: None, after: None, timeout: Span::minutes(5) }
    }
}

/// What to do when a gate fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// Stop there, with the lower ordinals untouched
    #[default]
    Pause,
    /// Go back to the stable revision
    Abort,
}

impl Gates {
    /// Reads a file of gates; `origin` names it.
    ///
    /// # Errors
    /// `Usage`, with the place in the file.
    pub fn read(text: &str, origin: &str) -> Result<Gates, Error> {
        let is_blank = |line: &str| line.trim().is_empty() || line.trim().starts_with('#');
        if text.lines().all(is_blank) {
            return Err(Error::usage(format!("{origin} is empty: it has no gates"))
                .hint("docs/examples/gates.yaml has one of each"));
        }
        serde_saphyr::from_str(text).map_err(|error| {
            Error::usage(format!("{origin} is no file of gates"))
                .caused_by(error)
                .hint("docs/examples/gates.yaml has one of each")
        })
    }

    /// What contradicts itself, if anything: the field, its value and the flag.
    pub(crate) fn fault(&self) -> Option<String> {
        let TryRule { passes, of, timeout, .. } = self.tries;
        if let Some(why) = TryRule::fault(passes, of) {
            return Some(format!("tries (--gate-tries) is {why}"));
        }
        if timeout.is_zero() {
            return Some("tries.timeout (--gate-timeout) is 0s: an attempt must end".to_owned());
        }
        if self.hooks.timeout.is_zero() {
            return Some("hooks.timeout (--hook-timeout) is 0s: a hook must end".to_owned());
        }
        for (field, hook) in [
            ("hooks.before (--before)", &self.hooks.before),
            ("hooks.after (--after)", &self.hooks.after),
        ] {
            if hook.as_ref().is_some_and(|hook| hook.trim().is_empty()) {
                return Some(format!("{field} is {:?}: the command is empty", ""));
            }
        }
        for HttpGate { port, path, .. } in &self.http {
            if let Some(why) = port.fault() {
                return Some(format!("http.port (--gate-http): {why}"));
            }
            let fits = |c: char| c.is_ascii_graphic() && c != '#';
            if !path.starts_with('/') || !path.chars().all(fits) {
                return Some(format!(
                    "http.path (--gate-http) is {path:?}: a path begins with / and has no blanks \
                     in it"
                ));
            }
        }
        if let Some(why) = self.prometheus.iter().find_map(PrometheusGate::fault) {
            return Some(format!("prometheus (--gate-prom): {why}"));
        }
        let needs_leader = [
            (
                "switchover (--switchover-exec)",
                self.switchover.as_ref().map(|s| s.exec.to_string()),
            ),
            ("onLeader (--on-leader)", self.on_leader.map(|policy| policy.name().to_owned())),
        ];
        if self.leader.is_none()
            && let Some((field, value)) =
                needs_leader.into_iter().find_map(|(field, value)| Some((field, value?)))
        {
            return Some(format!(
                "{field} is {value:?} and nothing says which pod leads: give leader \
                 (--leader-label, --leader-exec)"
            ));
        }
        if self.on_leader == Some(OnLeader::Switchover) && self.switchover.is_none() {
            return Some(
                "onLeader (--on-leader) is \"switchover\" and there is no switchover \
                 (--switchover-exec)"
                    .to_owned(),
            );
        }
        None
    }

    /// Whether any check runs, besides watching the pod.
    pub fn has_checks(&self) -> bool {
        !(self.exec.is_empty() && self.http.is_empty() && self.prometheus.is_empty())
    }

    /// What to do when the next pod leads.
    pub fn at_leader(&self) -> OnLeader {
        self.on_leader.unwrap_or(match self.switchover {
            Some(_) => OnLeader::Switchover,
            None => OnLeader::Stop,
        })
    }

    /// A fingerprint of the gates: 8 hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        // Strings and finite numbers: this always serializes.
        workload::digest(&serde_json::to_value(self).unwrap_or_default(), 8)
    }

    /// One line per gate, in the order in which they are judged. `bake` is how
    /// long a pod is watched, by these gates or by default.
    pub fn summary(&self, bake: Span) -> Vec<String> {
        let mut lines = Vec::new();
        if self.budgets {
            lines.push("disruption budgets".to_owned());
        }
        if let Some(rule) = &self.leader {
            let rule = match rule {
                LeaderRule::Label { key, value } => format!("{key}={value}"),
                LeaderRule::Exec(command) => one_line(&command.exec.to_string()),
            };
            lines.push(format!("leader by {rule}: {}", self.at_leader().name()));
        }
        if let Some(hook) = &self.hooks.before {
            lines.push(format!("before each step: {}", one_line(hook)));
        }
        lines.extend(["identity", "health", "ready"].map(str::to_owned));
        if !bake.is_zero() {
            lines.push(format!("bake {bake}"));
        }
        let TryRule { passes, of, .. } = self.tries;
        let mut tried = |what: String, on: On| {
            let on = match on {
                On::Canary => "",
                On::All => " in all pods",
            };
            lines.push(format!("{what}{on}, {passes} of {of}"));
        };
        for gate in &self.exec {
            tried(format!("exec: {}", one_line(&gate.command.to_string())), gate.on);
        }
        for HttpGate { port, path, scheme, on } in &self.http {
            let scheme = match scheme {
                Scheme::Http => "",
                Scheme::Https => "https:",
            };
            tried(format!("http: {scheme}{port}{path}"), *on);
        }
        for PrometheusGate { query, op, value, .. } in &self.prometheus {
            tried(format!("prometheus: {} {op} {value}", one_line(query)), On::Canary);
        }
        if let Some(hook) = &self.hooks.after {
            lines.push(format!("after each step: {}", one_line(hook)));
        }
        if self.pause_between {
            lines.push("pause between steps".to_owned());
        }
        if self.on_failure == OnFailure::Abort {
            lines.push("on failure: abort".to_owned());
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_gates_has_the_defaults() {
        for text in ["{}", "# nothing\n{}", "schema: kubectl-stateful/gates/v1"] {
            assert_eq!(Gates::read(text, "gates.yaml").unwrap(), Gates::default(), "{text:?}");
        }
        let gates = Gates::default();
        assert_eq!(gates.fault(), None);
        assert_eq!(gates.at_leader(), OnLeader::Stop);
        let summary = gates.summary(Span(Duration::ZERO));
        assert_eq!(summary, ["disruption budgets", "identity", "health", "ready"]);
        assert_eq!(gates.summary(Span(Duration::from_secs(10)))[4], "bake 10s");
        assert_eq!(gates.deadline.to_string(), "10m");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = "\
bake: 1m30s
exec: [{command: mysqladmin ping, container: mysql, on: all}, {command: '[\"true\"]'}]
http: [{port: 8080}, {port: 8443, path: /ready?full=1, scheme: https}]
prometheus: [{at: svc/monitoring/prom:9090, query: 'up{pod=\"$(POD)\"}', op: '>=', value: 1}]
tries: {passes: 1, of: 1, interval: 500ms}
leader: {exec: am-i-leader, container: db}
switchover: {exec: step-down}
hooks: {before: 'echo $STATEFUL_POD', timeout: 30}
pauseBetween: true
onFailure: abort
budgets: false
";
        let gates = Gates::read(text, "gates.yaml").unwrap();
        assert_eq!(gates.fault(), None);
        let written = serde_json::to_string(&gates).unwrap();
        assert_eq!(Gates::read(&written, "again").unwrap(), gates);
        assert_eq!(gates.at_leader(), OnLeader::Switchover);
        assert_eq!(gates.hooks.timeout, Span(Duration::from_secs(30)));
        assert_eq!(
            gates.summary(Span(Duration::from_secs(90))),
            [
                "leader by am-i-leader: switchover",
                "before each step: echo $STATEFUL_POD",
                "identity",
                "health",
                "ready",
                "bake 1m30s",
                "exec: mysqladmin ping in all pods, 1 of 1",
                r#"exec: ["true"], 1 of 1"#,
                "http: 8080/, 1 of 1",
                "http: https:8443/ready?full=1, 1 of 1",
                r#"prometheus: up{pod="$(POD)"} >= 1, 1 of 1"#,
                "pause between steps",
                "on failure: abort",
            ]
        );
        let before =
            Gates::read("{leader: {label: a=b}, hooks: {before: x, after: y}}", "").unwrap();
        assert_eq!(
            before.summary(Span(Duration::ZERO)),
            [
                "disruption budgets",
                "leader by a=b: stop",
                "before each step: x",
                "identity",
                "health",
                "ready",
                "after each step: y",
            ]
        );
        let fingerprint = gates.fingerprint();
        assert_eq!(fingerprint.len(), 8);
        assert_ne!(fingerprint, Gates { pause_between: false, ..gates }.fingerprint());
    }

    /// A redirection that went wrong, a file that was never filled: a canary
    /// without the gates that somebody believes in is worse than none.
    #[test]
    fn an_empty_file_is_a_mistake() {
        for text in ["", " \n\n", "# gates of the shop\n"] {
            let error = Gates::read(text, "gates.yaml").unwrap_err();
            assert_eq!(error.exit, crate::output::Exit::Usage);
            assert_eq!(error.headline(), "error: gates.yaml is empty: it has no gates");
        }
    }

    #[test]
    fn a_file_that_is_off_says_where() {
        for (text, said) in [
            ("bakes: 5m", "bakes"),
            ("bake: soon", "write a number of seconds"),
            ("bake: -5s", "is no duration"),
            ("leader: {label: role}", "\"role\" is not KEY=VALUE"),
            ("leader: {label: a=b, exec: x}", "either label, or exec"),
            ("leader: {}", "either label, or exec"),
            ("exec: [{command: '  '}]", "the command is empty"),
            ("exec: [{command: '[ -f /tmp/ok ]'}]", "write test"),
            ("exec: [{command: '[]'}]", "not a JSON list"),
            ("http: [{port: 0}]", "a number from 1 to 65535, or a name"),
            ("http: [{port: 70000}]", "a number from 1 to 65535, or a name"),
            ("prometheus: [{at: prom, query: up, op: <, value: 1}]", "neither a URL nor svc/"),
            ("prometheus: [{at: 'http://p', query: up, op: '=', value: 1}]", "op"),
            ("schema: kubectl-stateful/gates/v2", "v2"),
            ("onLeader: run", "run"),
            ("- a", ""),
        ] {
            let error = Gates::read(text, "gates.yaml").unwrap_err();
            assert_eq!(error.headline(), "error: gates.yaml is no file of gates", "{text}");
            assert!(error.to_string().contains(said), "{text}: {error}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_named() {
        for (text, said) in [
            ("tries: {passes: 4}", "tries (--gate-tries) is 4 of 3"),
            ("tries: {passes: 0}", "tries (--gate-tries) is 0 of 3"),
            ("tries: {timeout: 0s}", "tries.timeout (--gate-timeout) is 0s"),
            ("hooks: {timeout: 0s}", "hooks.timeout (--hook-timeout) is 0s"),
            ("hooks: {before: ' '}", "hooks.before (--before)"),
            ("http: [{port: Web}]", "http.port (--gate-http): \"Web\" is neither"),
            ("http: [{port: 1, path: x}]", "http.path (--gate-http) is \"x\""),
            ("http: [{port: 1, path: /a b}]", "http.path (--gate-http) is \"/a b\""),
            (
                "prometheus: [{at: 'http://p', query: ' ', op: <, value: 1}]",
                "prometheus (--gate-prom): the query is empty",
            ),
            (
                "prometheus: [{at: 'http://p', query: up, op: <, value: .nan}]",
                "prometheus (--gate-prom): NaN",
            ),
            ("switchover: {exec: go}", "switchover (--switchover-exec) is \"go\""),
            ("onLeader: last", "onLeader (--on-leader) is \"last\""),
            ("{leader: {label: a=b}, onLeader: switchover}", "there is no switchover"),
        ] {
            let fault = Gates::read(text, "gates.yaml").unwrap().fault().unwrap_or_default();
            assert!(fault.contains(said), "{text}: {fault:?}");
        }
    }
}
