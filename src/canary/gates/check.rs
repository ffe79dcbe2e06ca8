//! One attempt at a gate, or at a hook of a step. Pure functions judge the result;
//! [`super::tries`] decides how often an attempt is made.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;

use super::{
    checks::{ExecGate, HttpGate, PrometheusGate},
    leader::{LeaderRule, PodCommand},
    values::{At, Port, Scheme},
};
use crate::{
    cluster::{Answer, Cluster, PrometheusAt, Sample},
    output::{Terminal, text::count},
    steps::{
        attempt::{Attempt, Verdict, shown, with_output},
        hook,
        pod_command::{Variables, default_container, in_pod},
    },
    workload::{Pod, PodTemplate},
};

/// The step that commands and queries are about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub namespace: String,
    pub set: String,
    /// The pod that moves.
    pub pod: String,
    pub ordinal: u32,
    /// Its index, counted from `ordinals.start`, as a partition counts: the step
    /// sets the partition to this.
    pub index: u32,
    /// The ControllerRevision to go back to.
    pub stable: String,
    /// The ControllerRevision to go to.
    pub target: String,
}

impl Step {
    /// The environment of a command.
    fn variables(&self) -> Variables {
        vec![
            ("STATEFUL_NAMESPACE", self.namespace.clone()),
            ("STATEFUL_SET", self.set.clone()),
            ("STATEFUL_POD", self.pod.clone()),
            ("STATEFUL_ORDINAL", self.ordinal.to_string()),
            ("STATEFUL_INDEX", self.index.to_string()),
            ("STATEFUL_PARTITION", self.index.to_string()),
            ("STATEFUL_STABLE", self.stable.clone()),
            ("STATEFUL_TARGET", self.target.clone()),
        ]
    }

    fn variables_and(&self, more: &[(&'static str, &str)]) -> Variables {
        let mut variables = self.variables();
        variables.extend(more.iter().map(|&(name, value)| (name, value.to_owned())));
        variables
    }

    fn fill_in(&self, query: &str) -> String {
        query
            .replace("$(POD)", &self.pod)
            .replace("$(NAMESPACE)", &self.namespace)
            .replace("$(SET)", &self.set)
            .replace("$(ORDINAL)", &self.ordinal.to_string())
    }
}

/// The container of this pod that a command runs in.
fn container<'a>(named: Option<&'a String>, pod: &'a Pod) -> Option<&'a str> {
    let own = pod.containers.iter().filter(|one| !one.is_init()).map(|one| one.name.as_str());
    default_container(named.map(String::as_str), own, pod.default_container.as_deref())
}

/// Runs the command of a gate in `pod`: the pod that moves or, for a gate on all
/// pods, another one of the set.
pub async fn exec(
    cluster: &Cluster,
    gate: &ExecGate,
    step: &Step,
    pod: &Pod,
    timeout: Duration,
) -> Attempt {
    let container = container(gate.container.as_ref(), pod);
    in_pod(cluster, &gate.command, container, &pod.name, &step.variables(), timeout).await
}

/// Sends the request of a gate to `pod`; `template` resolves named ports.
pub async fn http(
    cluster: &Cluster,
    gate: &HttpGate,
    template: &PodTemplate,
    pod: &str,
    timeout: Duration,
) -> Attempt {
    let port = match &gate.port {
        Port::Number(port) => port.to_string(),
        Port::Name(name) => match template.port(name) {
            Some(port) => port.to_string(),
            None => return Attempt::inconclusive(format!("the template has no port {name}")),
        },
    };
    let https = gate.scheme == Scheme::Https;
    match cluster.pod_get(pod, &port, https, &gate.path, timeout).await {
        Ok(answer) => judge_answer(answer),
        Err(failure) => Attempt::inconclusive(failure.to_string()),
    }
}

/// Runs the query of a gate.
pub async fn prometheus(
    cluster: &Cluster,
    gate: &PrometheusGate,
    step: &Step,
    timeout: Duration,
) -> Attempt {
    let at = match gate.at.clone() {
        At::Url(url) => PrometheusAt::Url(url),
        At::Service { namespace, name, port, https } => {
            PrometheusAt::Service { namespace, name, port, https }
        }
    };
    match cluster.prometheus(&at, &step.fill_in(&gate.query), timeout).await {
        Ok(samples) => judge_samples(gate, &samples),
        Err(failure) => Attempt::inconclusive(failure.to_string()),
    }
}

/// Which pod leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leader {
    One(String),
    None,
    Several(Vec<String>),
    /// Some pod gave no answer.
    Unknown(String),
}

/// Finds the leader among the pods of the set. A command runs in all of them at
/// the same time, with the name of its pod in STATEFUL_CANDIDATE.
pub async fn leader(
    cluster: &Cluster,
    rule: &LeaderRule,
    step: &Step,
    pods: &[&Pod],
    timeout: Duration,
) -> Leader {
    let command = match rule {
        LeaderRule::Label { key, value } => return leader_by_label(key, value, pods),
        LeaderRule::Exec(command) => command,
    };
    let asked = pods.iter().map(async |pod| {
        let variables = step.variables_and(&[("STATEFUL_CANDIDATE", &pod.name)]);
        let container = container(command.container.as_ref(), pod);
        let attempt =
            in_pod(cluster, &command.exec, container, &pod.name, &variables, timeout).await;
        (pod.name.clone(), attempt)
    });
    leader_by_exec(join_all(asked).await)
}

/// Runs the switchover in the leader, so that `candidate` leads. It passes when
/// the command does; whether `candidate` leads shows only another lookup.
pub async fn switchover(
    cluster: &Cluster,
    command: &PodCommand,
    step: &Step,
    leader: &Pod,
    candidate: &str,
    timeout: Duration,
) -> Attempt {
    let variables =
        step.variables_and(&[("STATEFUL_LEADER", &leader.name), ("STATEFUL_CANDIDATE", candidate)]);
    let container = container(command.container.as_ref(), leader);
    in_pod(cluster, &command.exec, container, &leader.name, &variables, timeout).await
}

fn judge_answer(answer: Answer) -> Attempt {
    match answer {
        Answer::Status { code: code @ 200..400, .. } => Attempt::pass(format!("HTTP {code}")),
        Answer::Status { code, body } => Attempt::fail(with_output(format!("HTTP {code}"), &body)),
        Answer::Unreachable { why } => Attempt::inconclusive(why),
    }
}

/// One sample that does not satisfy the comparison fails the gate, whatever the
/// others are. NaN is inconclusive.
fn judge_samples(gate: &PrometheusGate, samples: &[Sample]) -> Attempt {
    let PrometheusGate { op, value, .. } = gate;
    let numbers = || samples.iter().filter(|sample| !sample.value.is_nan());
    if let Some(sample) = numbers().find(|sample| !op.holds(sample.value, *value)) {
        let series = series(&sample.labels);
        return Attempt::fail(format!("{}{series} is not {op} {value}", sample.value));
    }
    if let Some(sample) = samples.iter().find(|sample| sample.value.is_nan()) {
        return Attempt::inconclusive(format!("NaN{}", series(&sample.labels)));
    }
    match samples {
        [] => Attempt::inconclusive("no samples"),
        [only] => Attempt::pass(format!("{} {op} {value}", only.value)),
        _ => Attempt::pass(format!("{} {op} {value}", count(samples.len(), "sample"))),
    }
}

fn series(labels: &BTreeMap<String, String>) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let pairs: Vec<String> =
        labels.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
    format!(" of {}", shown(&format!("{{{}}}", pairs.join(","))))
}

/// The pod with the leader label.
pub fn leader_by_label(key: &str, value: &str, pods: &[&Pod]) -> Leader {
    let is_leader = |pod: &&&Pod| pod.labels.get(key).is_some_and(|label| label == value);
    one_of(pods.iter().filter(is_leader).map(|pod| pod.name.clone()).collect())
}

fn leader_by_exec(asked: Vec<(String, Attempt)>) -> Leader {
    let undecided = |attempt: &Attempt| !matches!(attempt.verdict, Verdict::Pass | Verdict::Fail);
    if let Some((pod, attempt)) = asked.iter().find(|(_, attempt)| undecided(attempt)) {
        return Leader::Unknown(format!("{pod}: {}", attempt.detail));
    }
    let leads = asked.into_iter().filter(|(_, attempt)| attempt.verdict == Verdict::Pass);
    one_of(leads.map(|(pod, _)| pod).collect())
}

fn one_of(mut leaders: Vec<String>) -> Leader {
    match leaders.len() {
        0 => Leader::None,
        1 => Leader::One(leaders.remove(0)),
        _ => Leader::Several(leaders),
    }
}

/// When a hook runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Before,
    After,
}

impl When {
    fn name(self) -> &'static str {
        match self {
            When::Before => "before",
            When::After => "after",
        }
    }
}

/// Runs a hook of the step here, and passes its output on to stderr.
pub async fn hook(
    command: &str,
    when: When,
    step: &Step,
    timeout: Duration,
    terminal: Terminal,
) -> Attempt {
    let prefix = format!("{} {}: ", when.name(), step.pod);
    let variables = step.variables_and(&[("STATEFUL_STEP", when.name())]);
    hook::run(command, &variables, timeout, |line| terminal.say(&format!("{prefix}{line}"))).await
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{
        canary::gates::values::Op,
        steps::pod_command::exports,
        workload::{ContainerRole, ContainerState, ContainerStatus},
    };

    fn step() -> Step {
        Step {
            namespace: "db".to_owned(),
            set: "web".to_owned(),
            pod: "web-7".to_owned(),
            ordinal: 7,
            index: 2,
            stable: "web-1".to_owned(),
            target: "web-2".to_owned(),
        }
    }

    /// As kubectl exec does, whichever template the pod is of.
    #[test]
    fn a_command_runs_where_kubectl_would_run_it() {
        let status = |name: &str, role| ContainerStatus {
            name: name.to_owned(),
            image: String::new(),
            role,
            started: true,
            ready: true,
            restarts: 0,
            state: ContainerState::Running,
            running_since: None,
            last_end: None,
        };
        let pod = |default: Option<&str>| Pod {
            default_container: default.map(str::to_owned),
            containers: vec![
                status("init", ContainerRole::Init),
                status("proxy", ContainerRole::Main),
                status("mysql", ContainerRole::Main),
            ],
            ..Pod::default()
        };
        for (default, expected) in [
            (Some("mysql"), "mysql"),
            (None, "proxy"),
            // Of a container that is not there, kubectl takes the first one.
            (Some("gone"), "proxy"),
            (Some("init"), "proxy"),
        ] {
            assert_eq!(container(None, &pod(default)), Some(expected), "{default:?}");
            let named = "backup".to_owned();
            assert_eq!(container(Some(&named), &pod(default)), Some("backup"), "a flag wins");
        }
        assert_eq!(container(None, &Pod::default()), None);
    }

    #[test]
    fn an_answer_is_judged_by_its_code() {
        let answer = |code| judge_answer(Answer::Status { code, body: "not\nready".to_owned() });
        for code in [200, 204, 301, 399] {
            assert_eq!(answer(code), Attempt::pass(format!("HTTP {code}")));
        }
        for code in [100, 199, 400, 404, 500, 503] {
            assert_eq!(answer(code), Attempt::fail(format!("HTTP {code}: ready")));
        }
        let nobody = judge_answer(Answer::Unreachable { why: "refused".to_owned() });
        assert_eq!(nobody, Attempt::inconclusive("refused"));
    }

    #[test]
    fn every_sample_must_compare() {
        let gate = PrometheusGate {
            at: At::Url("http://p".to_owned()),
            query: "lag".to_owned(),
            op: Op::Less,
            value: 5.0,
        };
        let judged = |values: &[f64]| {
            let samples: Vec<Sample> = values
                .iter()
                .map(|&value| {
                    let labels = BTreeMap::from([("pod".to_owned(), format!("web-{value}"))]);
                    Sample { labels, value }
                })
                .collect();
            judge_samples(&gate, &samples)
        };
        assert_eq!(judged(&[1.0]), Attempt::pass("1 < 5"));
        assert_eq!(judged(&[1.0, 4.5]), Attempt::pass("2 samples < 5"));
        let high = Attempt::fail(r#"7 of {pod="web-7"} is not < 5"#);
        assert_eq!(judged(&[1.0, 7.0, 8.0]), high);
        assert_eq!(judged(&[f64::NAN, 7.0]), high);
        assert_eq!(judged(&[f64::INFINITY]).verdict, Verdict::Fail);
        assert_eq!(judged(&[]), Attempt::inconclusive("no samples"));
        let none = Attempt::inconclusive(r#"NaN of {pod="web-NaN"}"#);
        assert_eq!(judged(&[1.0, f64::NAN]), none);
        let scalar = [Sample { labels: BTreeMap::new(), value: 9.0 }];
        assert_eq!(judge_samples(&gate, &scalar), Attempt::fail("9 is not < 5"));
    }

    #[test]
    fn operators_compare_as_they_read() {
        for (op, below, equal, above) in [
            (Op::Less, true, false, false),
            (Op::LessOrEqual, true, true, false),
            (Op::Greater, false, false, true),
            (Op::GreaterOrEqual, false, true, true),
            (Op::Equal, false, true, false),
            (Op::NotEqual, true, false, true),
        ] {
            let holds = [1.0, 2.0, 3.0].map(|sample| op.holds(sample, 2.0));
            assert_eq!(holds, [below, equal, above], "{op}");
        }
    }

    #[test]
    fn a_query_and_a_shell_know_the_step() {
        let query =
            r#"up{pod="$(POD)", ns="$(NAMESPACE)", set="$(SET)", o="$(ORDINAL)", x="$(X)"}"#;
        assert_eq!(
            step().fill_in(query),
            r#"up{pod="web-7", ns="db", set="web", o="7", x="$(X)"}"#
        );
        let odd = Step { set: "it's; rm".to_owned(), ..step() };
        assert_eq!(
            exports(&odd.variables_and(&[("STATEFUL_LEADER", "")])),
            "export STATEFUL_NAMESPACE=db STATEFUL_SET='it'\\''s; rm' STATEFUL_POD=web-7 \
             STATEFUL_ORDINAL=7 STATEFUL_INDEX=2 STATEFUL_PARTITION=2 STATEFUL_STABLE=web-1 \
             STATEFUL_TARGET=web-2 STATEFUL_LEADER=''\n"
        );
    }

    #[test]
    fn the_leader_is_one_or_none_or_unknown() {
        let pod = |name: &str, role: &str| Pod {
            name: name.to_owned(),
            labels: BTreeMap::from([("role".to_owned(), role.to_owned())]),
            ..Pod::default()
        };
        let (a, b, c) = (pod("a", "primary"), pod("b", "replica"), pod("c", "primary"));
        let by_label = |pods: &[&Pod]| leader_by_label("role", "primary", pods);
        assert_eq!(by_label(&[&a, &b]), Leader::One("a".to_owned()));
        assert_eq!(by_label(&[&b]), Leader::None);
        assert_eq!(by_label(&[]), Leader::None);
        let both = Leader::Several(vec!["a".to_owned(), "c".to_owned()]);
        assert_eq!(by_label(&[&a, &b, &c]), both);

        let asked = |attempts: &[(&str, Attempt)]| {
            leader_by_exec(
                attempts
                    .iter()
                    .map(|(pod, attempt)| ((*pod).to_owned(), attempt.clone()))
                    .collect(),
            )
        };
        let (yes, no) = (Attempt::pass("exit 0"), Attempt::fail("exit 1"));
        let unsure = Attempt::inconclusive("exit 127, not found");
        assert_eq!(asked(&[("a", no.clone()), ("b", yes.clone())]), Leader::One("b".to_owned()));
        assert_eq!(asked(&[("a", no.clone())]), Leader::None);
        assert_eq!(asked(&[("a", yes.clone()), ("c", yes.clone())]), both);
        let unknown = Leader::Unknown("b: exit 127, not found".to_owned());
        assert_eq!(asked(&[("a", yes), ("b", unsure), ("c", no)]), unknown);
    }
}
