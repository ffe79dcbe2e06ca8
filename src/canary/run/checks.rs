//! What is asked beside the watches: of the new pod, of the members about
//! their leader, and of hooks.

use std::{cell::RefCell, future::Future, pin::Pin, rc::Rc};

use futures_util::future::try_join_all;
use jiff::Timestamp;
use tokio::time::{self, Instant};

use super::hand::Hand;
use crate::{
    canary::{
        gates::{
            Gates,
            check::{self, Leader, Step, When},
            spec::{On, OnLeader},
            tries::Tries,
        },
        plan::{Move, Side, Stand},
        report::GateView,
        rules,
    },
    cluster::Cluster,
    output::{Exit, Terminal},
    steps::attempt::{Attempt, Verdict},
    workload::{Finding, Pod, PodTemplate},
};

/// What came of it.
#[derive(Debug)]
pub enum Answer {
    Yes,
    No {
        exit: Exit,
        finding: Finding,
    },
    /// Nothing could be concluded: ask again later, until the deadline.
    Unknown {
        what: String,
    },
}

/// A question under way.
pub struct Asked {
    pub what: String,
    pub work: Pin<Box<dyn Future<Output = Answer>>>,
}

/// A check that has passed, or what came of it.
type Tried = Result<(), Answer>;

/// What checks have said so far, by index.
pub type Said = Rc<RefCell<Vec<(u32, GateView)>>>;

/// Everything that a question needs, so that the set may move on meanwhile.
struct Question {
    cluster: Cluster,
    terminal: Terminal,
    gates: Gates,
    step: Step,
    pods: Vec<Pod>,
    template: PodTemplate,
    /// Who may lead next, the best first.
    candidates: Vec<String>,
    said: Said,
}

/// Whether there is anything to ask at all.
pub fn needed(gates: &Gates, next: &Move) -> bool {
    match next {
        Move::Check { .. } => gates.has_checks(),
        Move::Passed { .. } => gates.hooks.after.is_some(),
        _ => gates.leader.is_some() || gates.hooks.before.is_some(),
    }
}

/// Asks what `next` wants to know about the ordinal at `index`.
pub fn ask(hand: &Hand<'_>, gates: &Gates, stand: &Stand, next: &Move, index: u32) -> Asked {
    let set = stand.survey.set;
    let name = stand.name(index);
    // Before the first write the newest revision is still the stable one.
    let target = stand.target().filter(|target| *target != stand.record.stable);
    let question = Question {
        cluster: hand.session.cluster.clone(),
        terminal: hand.session.terminal,
        gates: gates.clone(),
        step: Step {
            namespace: set.namespace.clone(),
            set: set.name.clone(),
            pod: name.clone(),
            ordinal: set.start.saturating_add(index),
            index,
            stable: stand.record.stable.clone(),
            target: target.unwrap_or_default().to_owned(),
        },
        pods: stand.survey.pods().map(|(_, pod)| pod.clone()).collect(),
        template: set.template.clone(),
        candidates: candidates(stand, index),
        said: Rc::clone(&hand.said_by_checks),
    };
    match next {
        Move::Check { .. } => {
            Asked { what: format!("the checks of {name}"), work: Box::pin(question.checks()) }
        }
        Move::Passed { .. } => {
            Asked { what: format!("the hook after {name}"), work: Box::pin(question.after()) }
        }
        _ => Asked { what: format!("leave to replace {name}"), work: Box::pin(question.before()) },
    }
}

/// Who may lead once the ordinal at `index` goes: one that has moved already
/// does not have to hand over again; else the one that moves last.
fn candidates(stand: &Stand, index: u32) -> Vec<String> {
    let well = |slot: &crate::workload::Slot| slot.is_available(stand.survey.set, stand.survey.now);
    let moved = stand
        .indexes()
        .rev()
        .filter(|(_, slot)| stand.side(slot) == Side::Target && well(slot))
        .map(|(_, slot)| slot.name.clone());
    let to_come = stand
        .indexes()
        .filter(|(other, slot)| *other < index && stand.side(slot) != Side::Target && well(slot))
        .map(|(_, slot)| slot.name.clone());
    moved.chain(to_come).collect()
}

impl Question {
    fn say(&self, gate: &str, verdict: Verdict, message: String) {
        let mut said = self.said.borrow_mut();
        let index = self.step.index;
        let view = GateView { gate: gate.to_owned(), verdict, message };
        match said.iter_mut().find(|(i, view)| *i == index && view.gate == gate) {
            Some((_, old)) => *old = view,
            None => said.push((index, view)),
        }
    }

    /// The checks of a new pod, side by side; each as often as its rule says.
    async fn checks(self) -> Answer {
        let Gates { exec, http, prometheus, .. } = &self.gates;
        let own = vec![self.step.pod.clone()];
        let all: Vec<String> = self.pods.iter().map(|pod| pod.name.clone()).collect();
        let timeout = self.gates.tries.timeout.0;
        let on = |on: On| if on == On::All { &all } else { &own };
        let mut asked: Vec<Pin<Box<dyn Future<Output = Tried> + '_>>> = Vec::new();
        for gate in exec {
            for pod in on(gate.on) {
                let name = named("exec", &gate.command.to_string(), pod, &self.step);
                let attempt =
                    async || check::exec(&self.cluster, gate, &self.step, pod, timeout).await;
                asked.push(Box::pin(self.tried(name, attempt)));
            }
        }
        for gate in http {
            for pod in on(gate.on) {
                let name = named("http", &format!("{}{}", gate.port, gate.path), pod, &self.step);
                let attempt =
                    async || check::http(&self.cluster, gate, &self.template, pod, timeout).await;
                asked.push(Box::pin(self.tried(name, attempt)));
            }
        }
        for gate in prometheus {
            let name = format!("prometheus: {}", gate.query);
            let attempt =
                async || check::prometheus(&self.cluster, gate, &self.step, timeout).await;
            asked.push(Box::pin(self.tried(name, attempt)));
        }
        match try_join_all(asked).await {
            Ok(_) => Answer::Yes,
            Err(no) => no,
        }
    }

    /// One check, until it is decided or the deadline has passed.
    async fn tried(&self, gate: String, attempt: impl AsyncFn() -> Attempt) -> Tried {
        let deadline = self.gates.deadline.0;
        let end = (!deadline.is_zero()).then(|| Instant::now() + deadline);
        let mut tries = Tries::new(self.gates.tries);
        let no = |exit, rule: &crate::workload::Rule, said: String| {
            let finding = rule.found(format!("pod/{}", self.step.pod), format!("{gate}: {said}"));
            Err(Answer::No { exit, finding })
        };
        loop {
            self.say(&gate, tries.verdict(), tries.said());
            match tries.verdict() {
                Verdict::Pass => return Ok(()),
                Verdict::Fail => return no(Exit::Failed, &rules::CHECK_FAILED, tries.said()),
                Verdict::Inconclusive | Verdict::Pending => {}
            }
            let pause = tries.due(Timestamp::now()).unwrap_or_default();
            if end.is_some_and(|end| Instant::now() + pause >= end) {
                return no(Exit::Timeout, &rules::CHECK_INCONCLUSIVE, tries.said());
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
            When::Before => "before-step",
            When::After => "after-step",
        };
        self.say(name, attempt.verdict, attempt.said.clone());
        if attempt.verdict == Verdict::Pass {
            return Answer::Yes;
        }
        let message = format!("the hook --{name} for {}: {}", self.step.pod, attempt.said);
        let finding = rules::HOOK_FAILED.found(format!("pod/{}", self.step.pod), message);
        Answer::No { exit: Exit::Failed, finding }
    }

    /// `None`: the leader is elsewhere, or may go.
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
            self.say("leader", Verdict::Pass, format!("{leads} leads"));
            return None;
        }
        let ahead = |message: String| {
            self.say("leader", Verdict::Inconclusive, message.clone());
            let finding = rules::LEADER_AHEAD.found(format!("pod/{pod}"), message);
            Some(Answer::No { exit: Exit::Waiting, finding })
        };
        match self.gates.at_leader() {
            OnLeader::Last if self.step.index == 0 => {
                self.say("leader", Verdict::Pass, format!("{pod} leads, and is the last to move"));
                None
            }
            OnLeader::Switchover => self.switch_over(&leads).await,
            OnLeader::Stop | OnLeader::Last => ahead(format!("{pod} is next, and leads")),
        }
    }

    fn unknown(&self, why: &str) -> Answer {
        self.say("leader", Verdict::Inconclusive, why.to_owned());
        Answer::Unknown { what: format!("one leader of {}: {why}", self.step.set) }
    }

    /// Has the leader hand over. That it did is seen when the members are
    /// asked again: a label moves some time after the command.
    async fn switch_over(&self, leads: &str) -> Option<Answer> {
        if self.has_switched() {
            return Some(Answer::Unknown { what: format!("another leader than {leads}") });
        }
        let Some(command) = &self.gates.switchover else { return None };
        let Some(candidate) = self.candidates.first() else {
            let message = format!("{leads} leads, and no other member could take over");
            let finding = rules::LEADER_AHEAD.found(format!("pod/{leads}"), message);
            return Some(Answer::No { exit: Exit::Waiting, finding });
        };
        let line = format!("{leads} leads and is next: switching over to {candidate}");
        self.terminal.say(&line);
        let timeout = self.gates.hooks.timeout.0;
        let attempt =
            check::switchover(&self.cluster, command, &self.step, leads, candidate, timeout).await;
        if attempt.verdict != Verdict::Pass {
            let message = format!("the switchover from {leads}: {}", attempt.said);
            self.say(SWITCHOVER, Verdict::Fail, message.clone());
            let finding = rules::HOOK_FAILED.found(format!("pod/{leads}"), message);
            return Some(Answer::No { exit: Exit::Failed, finding });
        }
        self.say(
            SWITCHOVER,
            Verdict::Pass,
            format!("from {leads} to {candidate}: {}", attempt.said),
        );
        Some(Answer::Unknown { what: format!("another leader than {leads}") })
    }

    /// Whether the switchover for this ordinal has been run: then the leader
    /// is on its way, and is not told twice.
    fn has_switched(&self) -> bool {
        let said = self.said.borrow();
        said.iter().any(|(index, view)| {
            *index == self.step.index && view.gate == SWITCHOVER && view.verdict == Verdict::Pass
        })
    }
}

/// The gate under which a switchover is noted.
const SWITCHOVER: &str = "switchover";

fn named(kind: &str, what: &str, pod: &str, step: &Step) -> String {
    if pod == step.pod { format!("{kind}: {what}") } else { format!("{kind}: {what} in {pod}") }
}
