//! One attempt at a gate, a command or a hook. What it means stands in pure
//! functions; how often it is made is for [`super::tries`].

use std::{
    collections::BTreeMap,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use futures_util::{FutureExt as _, future::join_all};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::Child,
    time,
};

use super::{
    spec::{At, Command, ExecGate, HttpGate, LeaderRule, PodCommand, Port, PrometheusGate, Scheme},
    tries::{Attempt, Verdict},
};
use crate::{
    cluster::{Answer, Cluster, Executed, PrometheusAt, Sample, shell_quoted},
    output::{
        Terminal,
        text::{clip, count, one_line},
    },
    workload::{Pod, PodTemplate},
};

/// As much of an output as a line of a report shows.
const SHOWN: usize = 160;
/// How long a hook that has ended may leave lines unread: what it started in
/// the background may hold its output open for ever.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long a hook has from SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(5);
/// The same where nobody can wait, because the program ends.
const GRACE_AT_END: Duration = Duration::from_secs(1);

/// The step that is tried, for commands and queries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub namespace: String,
    pub set: String,
    /// The pod that moves.
    pub pod: String,
    pub ordinal: u32,
    /// Its place from `ordinals.start` on, which is what a partition counts:
    /// the step to it sets the partition to this.
    pub index: u32,
    /// The ControllerRevision to go back to.
    pub stable: String,
    /// The ControllerRevision to go to.
    pub target: String,
}

impl Step {
    /// The environment of a command.
    fn variables(&self) -> Vec<(&'static str, String)> {
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

    fn variables_and(&self, more: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        let mut variables = self.variables();
        variables.extend(more.iter().map(|&(name, value)| (name, value.to_owned())));
        variables
    }

    fn filled(&self, query: &str) -> String {
        query
            .replace("$(POD)", &self.pod)
            .replace("$(NAMESPACE)", &self.namespace)
            .replace("$(SET)", &self.set)
            .replace("$(ORDINAL)", &self.ordinal.to_string())
    }
}

/// Runs the command of a gate in `pod`, which is the step's own or, for a
/// gate on all, another one of the set.
pub async fn exec(
    cluster: &Cluster,
    gate: &ExecGate,
    step: &Step,
    pod: &str,
    timeout: Duration,
) -> Attempt {
    let container = gate.container.as_deref();
    in_pod(cluster, &gate.command, container, pod, &step.variables(), timeout).await
}

/// Asks `pod` what the gate asks; `template` says which number a port's name
/// stands for.
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

/// Asks Prometheus.
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
    match cluster.prometheus(&at, &step.filled(&gate.query), timeout).await {
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
    /// Not every pod could be asked, so nothing is concluded.
    Unknown(String),
}

/// Finds the pod that leads among `pods`, which are those of the set. A
/// command runs in all of them at a time, with STATEFUL_CANDIDATE for the pod
/// that it is in.
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
        let PodCommand { exec, container } = command;
        let attempt =
            in_pod(cluster, exec, container.as_deref(), &pod.name, &variables, timeout).await;
        (pod.name.clone(), attempt)
    });
    leader_by_exec(join_all(asked).await)
}

/// Runs the switchover in the pod that leads, so that `candidate` does. That
/// it passed says only that the command did; look for the leader again.
pub async fn switchover(
    cluster: &Cluster,
    command: &PodCommand,
    step: &Step,
    leader: &str,
    candidate: &str,
    timeout: Duration,
) -> Attempt {
    let variables =
        step.variables_and(&[("STATEFUL_LEADER", leader), ("STATEFUL_CANDIDATE", candidate)]);
    let PodCommand { exec, container } = command;
    in_pod(cluster, exec, container.as_deref(), leader, &variables, timeout).await
}

async fn in_pod(
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
fn exports(variables: &[(&'static str, String)]) -> String {
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

fn judge_answer(answer: Answer) -> Attempt {
    match answer {
        Answer::Status { code: code @ 200..400, .. } => Attempt::pass(format!("HTTP {code}")),
        Answer::Status { code, body } => Attempt::fail(with_output(format!("HTTP {code}"), &body)),
        Answer::Unreachable { why } => Attempt::inconclusive(why),
    }
}

/// A sample that does not compare fails, whatever the others are; NaN is no
/// number that could.
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

/// Whom a label makes the leader.
pub fn leader_by_label(key: &str, value: &str, pods: &[&Pod]) -> Leader {
    let is_leader = |pod: &&&Pod| pod.labels.get(key).is_some_and(|label| label == value);
    one_of(pods.iter().filter(is_leader).map(|pod| pod.name.clone()).collect())
}

fn leader_by_exec(asked: Vec<(String, Attempt)>) -> Leader {
    let unsaid = |attempt: &Attempt| !matches!(attempt.verdict, Verdict::Pass | Verdict::Fail);
    if let Some((pod, attempt)) = asked.iter().find(|(_, attempt)| unsaid(attempt)) {
        return Leader::Unknown(format!("{pod}: {}", attempt.said));
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

/// Runs a hook here, and passes on to stderr what it says. It fails where it
/// ended with another code than 0; where it did not start or end by itself
/// that is inconclusive. Dropped, it is ended with all that it started.
pub async fn hook(
    command: &str,
    when: When,
    step: &Step,
    timeout: Duration,
    terminal: Terminal,
) -> Attempt {
    let prefix = format!("{}-step {}: ", when.name(), step.pod);
    let patience = Patience { to_end: timeout, to_obey: GRACE };
    run_hook(command, when, step, patience, |line| terminal.say(&format!("{prefix}{line}"))).await
}

/// How long a hook may take.
#[derive(Clone, Copy)]
struct Patience {
    to_end: Duration,
    /// From SIGTERM to SIGKILL.
    to_obey: Duration,
}

async fn run_hook(
    command: &str,
    when: When,
    step: &Step,
    patience: Patience,
    say: impl Fn(&str),
) -> Attempt {
    let mut process = tokio::process::Command::new("sh");
    process
        .args(["-c", command])
        .envs(step.variables_and(&[("STATEFUL_STEP", when.name())]))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // What it starts is ended with it, and Ctrl-C reaches us alone.
    #[cfg(unix)]
    process.process_group(0);
    let mut child = match process.spawn() {
        Ok(child) => child,
        Err(error) => return Attempt::inconclusive(format!("sh cannot be started: {error}")),
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut group = Group::of(child);
    let output = async {
        tokio::join!(pass_on(stdout, &say), pass_on(stderr, &say));
    };
    let output = output.fuse();
    tokio::pin!(output);
    let running = async {
        tokio::select! {
            status = group.child.wait() => {
                // What comes later belongs to somebody in the background.
                let _ = time::timeout(LAST_WORDS, &mut output).await;
                status
            }
            () = &mut output => group.child.wait().await,
        }
    };
    if let Ok(status) = time::timeout(patience.to_end, running).await {
        group.ended = true;
        return judge_hook(status);
    }
    let ending = group.end(patience.to_obey);
    tokio::pin!(ending);
    // What it says as it goes is worth hearing.
    tokio::select! {
        () = &mut ending => {}
        () = &mut output => ending.await,
    }
    Attempt::inconclusive(format!("no end within {:?}; it was ended", patience.to_end))
}

/// Passes on every line; what is no text is shown as such.
async fn pass_on(stream: Option<impl AsyncRead + Unpin>, say: &impl Fn(&str)) {
    let Some(stream) = stream else { return };
    let mut lines = BufReader::new(stream).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        say(String::from_utf8_lossy(&line).trim_end());
    }
}

fn judge_hook(status: std::io::Result<ExitStatus>) -> Attempt {
    match status {
        Ok(status) if status.success() => Attempt::pass("exit 0"),
        Ok(status) => Attempt::fail(match status.code() {
            Some(code) => format!("exit {code}"),
            None => status.to_string(),
        }),
        Err(error) => Attempt::inconclusive(format!("its end cannot be seen: {error}")),
    }
}

/// A hook and what it started.
struct Group {
    child: Child,
    /// The hook's process id, which all that it started carry as their
    /// group's, also when the hook itself is gone.
    number: Option<u32>,
    /// By itself, or by us; the number may be another group's now.
    ended: bool,
}

impl Group {
    fn of(child: Child) -> Group {
        Group { number: child.id(), child, ended: false }
    }

    /// SIGTERM, some time, SIGKILL.
    async fn end(&mut self, grace: Duration) {
        self.signal(Signal::Term);
        let until = time::Instant::now() + grace;
        while !self.is_gone() && time::Instant::now() < until {
            time::sleep(Duration::from_millis(20)).await;
        }
        if !self.is_gone() {
            self.signal(Signal::Kill);
        }
        // It was killed: this does not take long.
        let _ = self.child.wait().await;
        self.ended = true;
    }

    #[cfg(unix)]
    fn signal(&mut self, signal: Signal) {
        let signal = match signal {
            Signal::Term => rustix::process::Signal::TERM,
            Signal::Kill => rustix::process::Signal::KILL,
        };
        if let Some(group) = self.process_group() {
            // Where nobody is left, nobody has to be told.
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }

    #[cfg(unix)]
    fn is_gone(&mut self) -> bool {
        // As long as nobody asked how it ended, it is still there.
        let _ = self.child.try_wait();
        let group = self.process_group();
        group.is_none_or(|group| rustix::process::test_kill_process_group(group).is_err())
    }

    #[cfg(unix)]
    fn process_group(&self) -> Option<rustix::process::Pid> {
        rustix::process::Pid::from_raw(self.number?.try_into().ok()?)
    }

    #[cfg(not(unix))]
    fn signal(&mut self, _: Signal) {
        let _ = self.child.start_kill();
    }

    #[cfg(not(unix))]
    fn is_gone(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

#[derive(Clone, Copy)]
enum Signal {
    Term,
    Kill,
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.signal(Signal::Term);
        let until = std::time::Instant::now() + GRACE_AT_END;
        while !self.is_gone() && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        if !self.is_gone() {
            self.signal(Signal::Kill);
        }
    }
}

fn with_output(what: String, output: &str) -> String {
    match output.lines().rfind(|line| !line.trim().is_empty()) {
        Some(line) => format!("{what}: {}", shown(line)),
        None => what,
    }
}

fn shown(text: &str) -> String {
    clip(&one_line(text), SHOWN).into_owned()
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, collections::BTreeMap, fs, path::Path};

    use super::*;
    use crate::canary::gates::spec::Op;

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
        assert_eq!(step().filled(query), r#"up{pod="web-7", ns="db", set="web", o="7", x="$(X)"}"#);
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
            resource_version: String::new(),
            uid: String::new(),
            labels: BTreeMap::from([("role".to_owned(), role.to_owned())]),
            created: None,
            gone_by: None,
            finalizers: Vec::new(),
            controller_uid: None,
            node: None,
            phase: String::new(),
            reason: None,
            conditions: Vec::new(),
            containers: Vec::new(),
            claims: Vec::new(),
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

    /// Runs a hook and gives what it said, too.
    async fn hooked(command: &str, timeout: Duration) -> (Attempt, Vec<String>) {
        let lines = RefCell::new(Vec::new());
        let say = |line: &str| lines.borrow_mut().push(line.to_owned());
        let patience = Patience { to_end: timeout, to_obey: SHORT };
        let attempt = run_hook(command, When::Before, &step(), patience, say).await;
        (attempt, lines.into_inner())
    }

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn a_hook_knows_its_step_and_is_heard() {
        let script = "echo $STATEFUL_NAMESPACE/$STATEFUL_POD $STATEFUL_STEP; echo oops >&2; \
                      printf 'no end of line'";
        let (attempt, mut lines) = hooked(script, LONG).await;
        assert_eq!(attempt, Attempt::pass("exit 0"));
        lines.sort();
        assert_eq!(lines, ["db/web-7 before", "no end of line", "oops"]);
        assert_eq!(hooked("cat; exit 3", LONG).await.0, Attempt::fail("exit 3"));
        let killed = hooked("kill -9 $$", LONG).await.0;
        assert_eq!(killed.verdict, Verdict::Fail);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_a_hook_leaves_in_the_background_does_not_hold_it_up() {
        let begun = std::time::Instant::now();
        let (attempt, lines) = hooked("sleep 30 & echo $!; exit 0", LONG).await;
        assert_eq!(attempt.verdict, Verdict::Pass);
        assert!(begun.elapsed() < Duration::from_secs(20));
        // It was meant to stay, so it does.
        assert!(is_running(&lines[0]), "{lines:?}");
        tokio::process::Command::new("kill").arg(&lines[0]).status().await.unwrap();
    }

    #[cfg(target_os = "linux")]
    fn is_running(process: &str) -> bool {
        // A process that nobody has asked how it ended still has a folder.
        let status = fs::read_to_string(Path::new("/proc").join(process).join("status"));
        status.is_ok_and(|status| !status.contains("State:\tZ"))
    }

    /// A process that was killed takes a moment to go.
    #[cfg(target_os = "linux")]
    fn until_gone(process: &str) {
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while is_running(process) {
            assert!(std::time::Instant::now() < deadline, "{process} is still there");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_hook_that_takes_too_long_is_ended_with_what_it_started() {
        // Deaf to SIGTERM, and left behind by the process that we wait for.
        let script =
            "trap 'echo going' TERM; sh -c 'trap \"\" TERM; sleep 30 & wait' & echo $!; wait";
        let (attempt, lines) = hooked(script, SHORT).await;
        assert_eq!(attempt, Attempt::inconclusive("no end within 300ms; it was ended"));
        assert_eq!(lines[1], "going");
        until_gone(&lines[0]);
        // Who has closed its output is waited for as well.
        let (attempt, _) = hooked("exec >&- 2>&-; sleep 30", SHORT).await;
        assert_eq!(attempt.verdict, Verdict::Inconclusive);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_hook_does_not_outlive_who_waited_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        let script = format!("sleep 30 & echo $! $$ > {}; wait", pids.display());
        let hook = hooked(&script, LONG);
        assert!(time::timeout(Duration::from_secs(1), hook).await.is_err());
        let pids = fs::read_to_string(&pids).unwrap();
        for process in pids.split_whitespace() {
            until_gone(process);
        }
    }
}
