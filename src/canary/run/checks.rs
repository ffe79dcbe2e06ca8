//! Runs checks of the new pod, the lookup of the leader, and hooks, beside the
//! watches.

use std::{future::Future, pin::Pin, rc::Rc};

use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio::time::{self, Instant};

use super::context::{CheckResults, RunContext};
use crate::{
    canary::{
        gates::{
            Gates,
            check::{self, Leader, Step, When},
            leader::OnLeader,
            tries::Tries,
            values::On,
        },
        plan::{Move, Side, State},
        report::GateView,
        rules,
    },
    cluster::Cluster,
    output::{
        Exit, Terminal,
        text::{clip, one_line},
    },
    steps::{
        Progress,
        attempt::{Attempt, Verdict, shown},
    },
    workload::{Finding, Pod, PodTemplate, Rule, Slot},
};

/// Whether the canary may go on.
#[derive(Debug)]
pub enum Answer {
    Yes,
    No {
        exit: Exit,
        finding: Finding,
    },
    /// Undecided: ask again later, until the deadline.
    Unknown {
        what: String,
    },
}

/// Checks under way.
pub struct Started {
    pub what: String,
    pub work: Pin<Box<dyn Future<Output = Answer>>>,
}

/// A check that has passed, or the answer that ends all of them.
type CheckResult = Result<(), Answer>;

/// Copies of everything that the checks need, so that the live set can change
/// meanwhile.
struct Inputs {
    cluster: Cluster,
    terminal: Terminal,
    /// Where each new answer of a gate is told; a live view shows it by itself.
    progress: Option<Progress>,
    gates: Gates,
    step: Step,
    pods: Vec<Pod>,
    template: PodTemplate,
    /// Who may lead next, the best first.
    candidates: Vec<String>,
    results: CheckResults,
}

/// Whether there is anything to run for this move.
pub fn needed(gates: &Gates, next: &Move) -> bool {
    match next {
        Move::Check { .. } => gates.has_checks(),
        Move::Passed { .. } => gates.hooks.after.is_some(),
        _ => gates.leader.is_some() || gates.hooks.before.is_some(),
    }
}

/// Starts what `next` asks about the ordinal at `index`.
pub fn start(
    context: &RunContext<'_>,
    gates: &Gates,
    state: &State,
    next: &Move,
    index: u32,
) -> Started {
    let set = state.survey.set;
    let name = state.name(index);
    // Before the first write the update revision is still the stable one.
    let target = state.target().filter(|target| *target != state.record.stable);
    let inputs = Inputs {
        cluster: context.session.cluster.clone(),
        terminal: context.session.terminal,
        progress: (!context.live.draws()).then_some(context.live.sender.progress),
        gates: gates.clone(),
        step: Step {
            namespace: set.namespace.clone(),
            set: set.name.clone(),
            pod: name.clone(),
            ordinal: set.start.saturating_add(index),
            index,
            stable: state.record.stable.clone(),
            target: target.unwrap_or_default().to_owned(),
        },
        pods: state.survey.pods().map(|(_, pod)| pod.clone()).collect(),
        template: set.template.clone(),
        candidates: candidates(state, index),
        results: Rc::clone(&context.check_results),
    };
    match next {
        Move::Check { .. } => {
            Started { what: format!("the checks of {name}"), work: Box::pin(inputs.checks()) }
        }
        Move::Passed { .. } => {
            Started { what: format!("the hook after {name}"), work: Box::pin(inputs.after()) }
        }
        _ => Started { what: asked_before(gates, &name), work: Box::pin(inputs.before()) },
    }
}

/// What is asked before the pod `name` is replaced; there is one of the two.
fn asked_before(gates: &Gates, name: &str) -> String {
    let hook = format!("the hook before {name}");
    let leader = format!("the leader lookup before {name}");
    match (&gates.leader, &gates.hooks.before) {
        (Some(_), Some(_)) => format!("the leader lookup and {hook}"),
        (Some(_), None) => leader,
        (None, _) => hook,
    }
}

/// The pods that may lead once the ordinal at `index` is replaced: first those
/// that have moved, which need no second switchover, then the one that moves
/// last.
fn candidates(state: &State, index: u32) -> Vec<String> {
    let well = |slot: &Slot| slot.is_available(state.survey.set, state.survey.now);
    let moved = state
        .indexes()
        .rev()
        .filter(|(_, slot)| state.side(slot) == Side::Target && well(slot))
        .map(|(_, slot)| slot.name.clone());
    let to_come = state
        .indexes()
        .filter(|(other, slot)| *other < index && state.side(slot) != Side::Target && well(slot))
        .map(|(_, slot)| slot.name.clone());
    moved.chain(to_come).collect()
}

impl Inputs {
    fn note(&self, gate: &str, verdict: Verdict, message: String) {
        let mut results = self.results.borrow_mut();
        let index = self.step.index;
        let view = GateView { gate: gate.to_owned(), verdict, message };
        match results.iter_mut().find(|(i, view)| *i == index && view.gate == gate) {
            Some((_, old)) => *old = view,
            None => results.push((index, view)),
        }
    }

    /// The checks of a new pod, side by side, each as often as its rule says.
    async fn checks(self) -> Answer {
        let Gates { exec, http, prometheus, .. } = &self.gates;
        let timeout = self.gates.tries.timeout.0;
        let (cluster, template, step) = (&self.cluster, &self.template, &self.step);
        let on = |on: On| -> Vec<&Pod> {
            self.pods.iter().filter(|pod| on == On::All || pod.name == step.pod).collect()
        };
        let mut names = Names::default();
        let mut checks: Vec<Pin<Box<dyn Future<Output = CheckResult> + '_>>> = Vec::new();
        for gate in exec {
            for pod in on(gate.on) {
                let name = names.check("exec", &gate.command.to_string(), &pod.name, step);
                let attempt = async move || check::exec(cluster, gate, step, pod, timeout).await;
                checks.push(Box::pin(self.repeat(name, attempt)));
            }
        }
        for gate in http {
            for pod in on(gate.on) {
                let what = format!("{}{}", gate.port, gate.path);
                let name = names.check("http", &what, &pod.name, step);
                let attempt =
                    async move || check::http(cluster, gate, template, &pod.name, timeout).await;
                checks.push(Box::pin(self.repeat(name, attempt)));
            }
        }
        for gate in prometheus {
            let name = names.check("prometheus", &gate.query, &step.pod, step);
            let attempt =
                async || check::prometheus(&self.cluster, gate, &self.step, timeout).await;
            checks.push(Box::pin(self.repeat(name, attempt)));
        }
        match try_join_all(checks).await {
            Ok(_) => Answer::Yes,
            Err(no) => no,
        }
    }

    /// Repeats one check until it is decided or the deadline has passed.
    async fn repeat(&self, gate: String, attempt: impl AsyncFn() -> Attempt) -> CheckResult {
        let deadline = self.gates.deadline.0;
        let end = (!deadline.is_zero()).then(|| Instant::now() + deadline);
        let mut tries = Tries::new(self.gates.tries);
        let no = |exit, rule: &Rule, detail: String| {
            let finding = rule.found(format!("pod/{}", self.step.pod), format!("{gate}: {detail}"));
            Err(Answer::No { exit, finding })
        };
        let mut told = shown(&tries.detail());
        loop {
            // An answer can be a page of HTML.
            let detail = shown(&tries.detail());
            self.note(&gate, tries.verdict(), detail.clone());
            if let Some(progress) = self.progress.filter(|_| detail != told) {
                // A stdout that is closed is reported with the next write.
                let _ = progress.tell(&format!("{gate}: {detail}"));
                told.clone_from(&detail);
            }
            match tries.verdict() {
                Verdict::Pass => return Ok(()),
                Verdict::Fail => return no(Exit::Failed, &rules::CHECK_FAILED, detail),
                Verdict::Inconclusive | Verdict::Pending => {}
            }
            let pause = tries.due(Timestamp::now()).unwrap_or_default();
            if end.is_some_and(|end| Instant::now() + pause >= end) {
                return no(Exit::Timeout, &rules::CHECK_INCONCLUSIVE, detail);
            }
            time::sleep(pause).await;
            let answer = attempt().await;
            tries.record(Timestamp::now(), answer);
        }
    }

    /// Whether the ordinal may be replaced now: the leader, then the hook.
    async fn before(self) -> Answer {
        if self.gates.leader.is_some()
            && let Some(answer) = self.leader().await
        {
            return answer;
        }
        self.hook(When::Before).await
    }

    async fn after(self) -> Answer {
        self.hook(When::After).await
    }

    async fn hook(&self, when: When) -> Answer {
        let hooks = &self.gates.hooks;
        let command = match when {
            When::Before => &hooks.before,
            When::After => &hooks.after,
        };
        let Some(command) = command else { return Answer::Yes };
        let timeout = hooks.timeout.0;
        let attempt = check::hook(command, when, &self.step, timeout, self.terminal).await;
        let name = match when {
            When::Before => "before",
            When::After => "after",
        };
        self.note(name, attempt.verdict, attempt.detail.clone());
        if attempt.verdict == Verdict::Pass {
            return Answer::Yes;
        }
        let message = format!("the hook --{name} for {}: {}", self.step.pod, attempt.detail);
        let finding = rules::HOOK_FAILED.found(format!("pod/{}", self.step.pod), message);
        Answer::No { exit: Exit::Failed, finding }
    }

    /// `None`: another pod leads, or this one may be replaced.
    async fn leader(&self) -> Option<Answer> {
        let (rule, pod) = (self.gates.leader.as_ref()?, &self.step.pod);
        let pods: Vec<&Pod> = self.pods.iter().collect();
        let timeout = self.gates.tries.timeout.0;
        let leader = check::leader(&self.cluster, rule, &self.step, &pods, timeout).await;
        let leads = match leader {
            Leader::One(leads) => leads,
            Leader::None => return Some(self.unknown("no pod leads")),
            Leader::Several(all) => {
                return Some(self.unknown(&format!("{} all lead", all.join(", "))));
            }
            Leader::Unknown(why) => return Some(self.unknown(&why)),
        };
        if leads != *pod {
            self.note("leader", Verdict::Pass, format!("{leads} leads"));
            return None;
        }
        let ahead = |message: String| {
            self.note("leader", Verdict::Inconclusive, message.clone());
            let finding = rules::LEADER_AHEAD.found(format!("pod/{pod}"), message);
            Some(Answer::No { exit: Exit::Waiting, finding })
        };
        match self.gates.at_leader() {
            OnLeader::Last if self.step.index == 0 => {
                self.note("leader", Verdict::Pass, format!("{pod} leads, and is the last to move"));
                None
            }
            OnLeader::Switchover => self.switch_over(&leads).await,
            OnLeader::Stop | OnLeader::Last => ahead(format!("{pod} is next, and leads")),
        }
    }

    fn unknown(&self, why: &str) -> Answer {
        self.note("leader", Verdict::Inconclusive, why.to_owned());
        Answer::Unknown { what: format!("one leader of {}: {why}", self.step.set) }
    }

    /// Runs the switchover. The next lookup shows whether it took effect: a
    /// leader label may move some time after the command.
    async fn switch_over(&self, leads: &str) -> Option<Answer> {
        if self.has_switched() {
            return Some(Answer::Unknown { what: format!("another leader than {leads}") });
        }
        let Some(command) = &self.gates.switchover else { return None };
        let leader = self.pods.iter().find(|pod| pod.name == leads)?;
        let Some(candidate) = self.candidates.first() else {
            let message = format!("{leads} leads, and no other pod is available to take over");
            let finding = rules::LEADER_AHEAD.found(format!("pod/{leads}"), message);
            return Some(Answer::No { exit: Exit::Waiting, finding });
        };
        let line = format!("{leads} leads and is next: switching over to {candidate}");
        self.terminal.say(&line);
        let timeout = self.gates.hooks.timeout.0;
        let (cluster, step) = (&self.cluster, &self.step);
        let attempt = check::switchover(cluster, command, step, leader, candidate, timeout).await;
        if attempt.verdict != Verdict::Pass {
            let message = format!("the switchover from {leads}: {}", attempt.detail);
            self.note(SWITCHOVER, Verdict::Fail, message.clone());
            let finding = rules::HOOK_FAILED.found(format!("pod/{leads}"), message);
            return Some(Answer::No { exit: Exit::Failed, finding });
        }
        self.note(
            SWITCHOVER,
            Verdict::Pass,
            format!("from {leads} to {candidate}: {}", attempt.detail),
        );
        Some(Answer::Unknown { what: format!("another leader than {leads}") })
    }

    /// Whether the switchover for this ordinal has run. It is not run twice.
    fn has_switched(&self) -> bool {
        let results = self.results.borrow();
        results.iter().any(|(index, view)| {
            *index == self.step.index && view.gate == SWITCHOVER && view.verdict == Verdict::Pass
        })
    }
}

/// The gate name of a switchover.
const SWITCHOVER: &str = "switchover";

/// The names of the checks of one pod. By its name a check finds its last answer,
/// so no two have the same.
#[derive(Default)]
struct Names(Vec<String>);

/// How much of a command is in its name.
const MAX_NAME: usize = 60;

impl Names {
    fn check(&mut self, kind: &str, what: &str, pod: &str, step: &Step) -> String {
        let what = one_line(what);
        let what = clip(&what, MAX_NAME);
        let name = if pod == step.pod {
            format!("{kind}: {what}")
        } else {
            format!("{kind}: {what} in {pod}")
        };
        self.0.push(name.clone());
        match self.0.iter().filter(|other| **other == name).count() {
            1 => name,
            number => format!("{name} ({number})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step() -> Step {
        Step {
            namespace: "default".to_owned(),
            set: "web".to_owned(),
            pod: "web-2".to_owned(),
            ordinal: 2,
            index: 2,
            stable: "web-1".to_owned(),
            target: "web-2".to_owned(),
        }
    }

    #[test]
    fn no_two_checks_have_the_same_name() {
        let mut names = Names::default();
        let long = "x ".repeat(100);
        assert_eq!(names.check("exec", "true\n", "web-2", &step()), "exec: true");
        assert_eq!(names.check("exec", "true", "web-1", &step()), "exec: true in web-1");
        assert_eq!(names.check("exec", "true", "web-2", &step()), "exec: true (2)");
        let first = names.check("exec", &format!("{long}1"), "web-2", &step());
        let second = names.check("exec", &format!("{long}2"), "web-2", &step());
        assert!(first.chars().count() < 80, "{first}");
        assert_ne!(first, second);
    }

    #[test]
    fn what_is_asked_before_a_step_is_what_there_is() {
        let asked = |text: &str| asked_before(&Gates::read(text, "").unwrap(), "web-1");
        assert_eq!(asked("hooks: {before: x}"), "the hook before web-1");
        assert_eq!(asked("leader: {label: a=b}"), "the leader lookup before web-1");
        assert_eq!(
            asked("{leader: {label: a=b}, hooks: {before: x}}"),
            "the leader lookup and the hook before web-1"
        );
    }
}
