//! Hooks before and after a step: here, in the pod, or over HTTP to the pod.

use std::time::Duration;

use crate::{
    cluster::{Answer, Cluster},
    output::Terminal,
    scale::{args::HookArgs, rules},
    steps::{
        attempt::{Attempt, Verdict, with_output},
        hook,
        pod_command::{Variables, container_of, in_pod},
    },
    workload::{Finding, PodTemplate, Rule},
};

/// Copies of everything that the hooks need, so that the live set can change
/// meanwhile.
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
    pub ordinals: Vec<HookOrdinal>,
}

/// An ordinal that leaves or comes.
#[derive(Clone, Debug)]
pub struct HookOrdinal {
    pub pod: String,
    pub ordinal: u32,
    pub claims: Vec<String>,
    /// Whether it leaves, and so has a pod to run in.
    pub leaves: bool,
}

impl Hooks {
    /// Runs the hooks before a step, ordinal by ordinal.
    pub async fn before(self) -> Result<(), Finding> {
        for ordinal in &self.ordinals {
            if let Some(command) = &self.args.before {
                self.run_here(command, "before", ordinal, &rules::HOOK_FAILED).await?;
            }
            if !ordinal.leaves {
                continue;
            }
            let timeout = self.args.hook_timeout;
            if let Some(command) = &self.args.before_exec {
                let container = container_of(self.args.container.as_deref(), &self.template);
                self.terminal.say(&format!("before-exec {}: {command}", ordinal.pod));
                let variables = self.variables("before", ordinal);
                let asked =
                    in_pod(&self.cluster, command, container, &ordinal.pod, &variables, timeout);
                judge("before-exec", ordinal, &asked.await, &rules::HOOK_FAILED)?;
            }
            if let Some(request) = &self.args.before_http {
                self.terminal.say(&format!("before-http {}: {request}", ordinal.pod));
                judge(
                    "before-http",
                    ordinal,
                    &self.http(ordinal, timeout).await,
                    &rules::HOOK_FAILED,
                )?;
            }
        }
        Ok(())
    }

    /// Runs the hooks and the check after a step.
    pub async fn after(self) -> Result<(), Finding> {
        for ordinal in &self.ordinals {
            if let Some(command) = &self.args.after {
                self.run_here(command, "after", ordinal, &rules::HOOK_FAILED).await?;
            }
        }
        if let (Some(command), Some(ordinal)) = (&self.args.check, self.ordinals.last()) {
            self.run_here(command, "check", ordinal, &rules::CHECK_FAILED).await?;
        }
        Ok(())
    }

    /// Runs --on-abort for ordinals whose hooks have run and that stay after all.
    /// Returns what failed.
    pub async fn undo(self) -> Vec<Finding> {
        let mut failed = Vec::new();
        let Some(command) = &self.args.on_abort else { return failed };
        for ordinal in &self.ordinals {
            if let Err(finding) =
                self.run_here(command, "on-abort", ordinal, &rules::HOOK_FAILED).await
            {
                failed.push(finding);
            }
        }
        failed
    }

    async fn run_here(
        &self,
        command: &str,
        name: &'static str,
        ordinal: &HookOrdinal,
        rule: &Rule,
    ) -> Result<(), Finding> {
        let prefix = format!("{name} {}: ", ordinal.pod);
        let say = |line: &str| self.terminal.say(&format!("{prefix}{line}"));
        let variables = self.variables(name, ordinal);
        let attempt = hook::run(command, &variables, self.args.hook_timeout, say).await;
        judge(name, ordinal, &attempt, rule)
    }

    async fn http(&self, ordinal: &HookOrdinal, timeout: Duration) -> Attempt {
        let Some(request) = &self.args.before_http else { return Attempt::pass("no request") };
        let port = match request.port(&self.template) {
            Ok(port) => port,
            Err(why) => return Attempt::inconclusive(why),
        };
        let (method, https, path) = (&request.method, request.https, &request.path);
        match self.cluster.pod_http(method, &ordinal.pod, &port, https, path, timeout).await {
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

    fn variables(&self, step: &'static str, ordinal: &HookOrdinal) -> Variables {
        vec![
            ("STATEFUL_NAMESPACE", self.namespace.clone()),
            ("STATEFUL_SET", self.set.clone()),
            ("STATEFUL_POD", ordinal.pod.clone()),
            ("STATEFUL_ORDINAL", ordinal.ordinal.to_string()),
            ("STATEFUL_FROM", self.from.to_string()),
            ("STATEFUL_TO", self.to.to_string()),
            ("STATEFUL_PVCS", ordinal.claims.join(" ")),
            ("STATEFUL_STEP", step.to_owned()),
        ]
    }
}

/// A hook that was inconclusive has not succeeded either.
fn judge(name: &str, ordinal: &HookOrdinal, attempt: &Attempt, rule: &Rule) -> Result<(), Finding> {
    if attempt.verdict == Verdict::Pass {
        return Ok(());
    }
    let message = format!("--{name} for {}: {}", ordinal.pod, attempt.detail);
    Err(rule.found(format!("pod/{}", ordinal.pod), message))
}
