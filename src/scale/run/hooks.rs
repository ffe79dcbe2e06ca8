//! What runs around an ordinal: here, in its pod, or asked of it over HTTP.

use std::time::Duration;

use crate::{
    cluster::{Answer, Cluster},
    output::Terminal,
    scale::{args::HookArgs, rules},
    steps::{
        attempt::{Attempt, Verdict, with_output},
        hook,
        pod_command::{Variables, in_pod},
    },
    workload::{Finding, PodTemplate, Rule},
};

/// Everything that a hook needs, so that the set may move on meanwhile.
#[derive(Clone)]
pub struct Hooks {
    pub cluster: Cluster,
    pub terminal: Terminal,
    pub args: HookArgs,
    pub template: PodTemplate,
    pub namespace: String,
    pub set: String,
    pub from: u32,
    pub to: u32,
    pub ordinals: Vec<Around>,
}

/// An ordinal that leaves or comes.
#[derive(Clone, Debug)]
pub struct Around {
    pub pod: String,
    pub ordinal: u32,
    pub claims: Vec<String>,
    /// Whether there is a pod to be asked.
    pub leaves: bool,
}

impl Hooks {
    /// Before the ordinals leave or come, one after the other.
    pub async fn before(self) -> Result<(), Finding> {
        for around in &self.ordinals {
            if let Some(command) = &self.args.before {
                self.here(command, "before", around, &rules::HOOK_FAILED).await?;
            }
            if !around.leaves {
                continue;
            }
            let timeout = self.args.hook_timeout;
            if let Some(command) = &self.args.before_exec {
                let container = self.args.container.as_deref();
                self.terminal.say(&format!("before-exec {}: {command}", around.pod));
                let variables = self.variables("before", around);
                let asked =
                    in_pod(&self.cluster, command, container, &around.pod, &variables, timeout);
                judge("before-exec", around, &asked.await, &rules::HOOK_FAILED)?;
            }
            if let Some(request) = &self.args.before_http {
                self.terminal.say(&format!("before-http {}: {request}", around.pod));
                judge(
                    "before-http",
                    around,
                    &self.http(around, timeout).await,
                    &rules::HOOK_FAILED,
                )?;
            }
        }
        Ok(())
    }

    /// After they have left or come, and all others are well.
    pub async fn after(self) -> Result<(), Finding> {
        for around in &self.ordinals {
            if let Some(command) = &self.args.after {
                self.here(command, "after", around, &rules::HOOK_FAILED).await?;
            }
        }
        if let (Some(command), Some(around)) = (&self.args.check, self.ordinals.last()) {
            self.here(command, "check", around, &rules::CHECK_FAILED).await?;
        }
        Ok(())
    }

    /// Takes back what was done before ordinals that stay after all; what went
    /// wrong with that.
    pub async fn undo(self) -> Vec<Finding> {
        let mut wrong = Vec::new();
        let Some(command) = &self.args.on_abort else { return wrong };
        for around in &self.ordinals {
            if let Err(finding) = self.here(command, "on-abort", around, &rules::HOOK_FAILED).await
            {
                wrong.push(finding);
            }
        }
        wrong
    }

    async fn here(
        &self,
        command: &str,
        name: &'static str,
        around: &Around,
        rule: &Rule,
    ) -> Result<(), Finding> {
        let prefix = format!("{name} {}: ", around.pod);
        let say = |line: &str| self.terminal.say(&format!("{prefix}{line}"));
        let variables = self.variables(name, around);
        let attempt = hook::run(command, &variables, self.args.hook_timeout, say).await;
        judge(name, around, &attempt, rule)
    }

    async fn http(&self, around: &Around, timeout: Duration) -> Attempt {
        let Some(request) = &self.args.before_http else { return Attempt::pass("nothing asked") };
        let port = match request.port(&self.template) {
            Ok(port) => port,
            Err(why) => return Attempt::inconclusive(why),
        };
        let (method, https, path) = (&request.method, request.https, &request.path);
        match self.cluster.pod_http(method, &around.pod, &port, https, path, timeout).await {
            Ok(Answer::Status { code: code @ 200..300, .. }) => {
                Attempt::pass(format!("HTTP {code}"))
            }
            Ok(Answer::Status { code, body }) => {
                Attempt::fail(with_output(format!("HTTP {code}"), &body))
            }
            Ok(Answer::Unreachable { why }) => Attempt::inconclusive(why),
            Err(failure) => Attempt::inconclusive(failure.to_string()),
        }
    }

    fn variables(&self, step: &'static str, around: &Around) -> Variables {
        vec![
            ("STATEFUL_NAMESPACE", self.namespace.clone()),
            ("STATEFUL_SET", self.set.clone()),
            ("STATEFUL_POD", around.pod.clone()),
            ("STATEFUL_ORDINAL", around.ordinal.to_string()),
            ("STATEFUL_FROM", self.from.to_string()),
            ("STATEFUL_TO", self.to.to_string()),
            ("STATEFUL_PVCS", around.claims.join(" ")),
            ("STATEFUL_STEP", step.to_owned()),
        ]
    }
}

/// What gave no answer has not succeeded either.
fn judge(name: &str, around: &Around, attempt: &Attempt, rule: &Rule) -> Result<(), Finding> {
    if attempt.verdict == Verdict::Pass {
        return Ok(());
    }
    let message = format!("--{name} for {}: {}", around.pod, attempt.said);
    Err(rule.found(format!("pod/{}", around.pod), message))
}
