//! The commands that may come next, each with what it needs.

use serde::Serialize;

use super::status::{Class, OrdinalView, Stage, Verdict, View};
use crate::{
    canary::{
        claims::LeavingClaims,
        lines, no_canary,
        plan::{self, State},
        rules, way_back,
    },
    output::Exit,
    workload::{Finding, Severity, Survey, rollout::Interference},
};

/// A command that may come next, and what it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Next {
    /// `next` or `back`.
    pub what: &'static str,
    pub command: String,
    #[serde(skip)]
    way: Way,
}

/// Where a command goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Promote,
    Adopt,
    Back,
    /// To another command than those of a canary that is under way.
    Elsewhere,
}

/// The command lines that go further from where a run has ended, each with what
/// that run was given and says what is done.
pub struct Onward {
    /// One more ordinal, behind the same gates.
    pub promote: String,
    /// To the goal of this run, which it has not reached.
    pub finish: String,
    /// The same, of what somebody else has changed meanwhile.
    pub adopt: String,
}

impl View {
    /// What comes next while the record of a canary cannot be used: nothing makes
    /// a canary before that is dropped.
    pub fn has_unusable_record(&mut self) {
        self.next.retain(|next| next.way == Way::Elsewhere);
    }

    /// Adds what `promote` would refuse, which then does not come next.
    pub fn add_findings(&mut self, findings: Vec<Finding>) {
        if findings.iter().any(|finding| finding.severity == Severity::Error) {
            self.next.retain(|next| next.way != Way::Promote);
        }
        self.findings.extend(findings);
    }

    /// Adds the claims that would go with their pods, and drops the lines that
    /// would be refused for them.
    pub fn add_claims(&mut self, claims: LeavingClaims) {
        let LeavingClaims { ahead, others, behind } = claims;
        let goes_back = self.stage == Stage::Aborting;
        self.next.retain(|next| match next.way {
            Way::Back => !behind,
            Way::Promote | Way::Adopt => goes_back || ahead.is_empty(),
            Way::Elsewhere => true,
        });
        self.findings.extend(ahead);
        self.findings.extend(others);
    }

    /// The lines, as the run that ends here with this code was given its gates and
    /// the rest; and those among the hints of its findings.
    pub fn go_on_by(&mut self, onward: &Onward, exit: Exit, findings: &mut [Finding]) {
        let stopped_by = |rules: &[&str]| {
            let mut ids = findings.iter().map(|finding| finding.id);
            ids.any(|id| rules.contains(&id))
        };
        if stopped_by(&[rules::CLAIM_LEAVING.id]) {
            // It would be refused for as long as the claim is there.
            self.next.retain(|next| next.what != "next");
        }
        if stopped_by(&[rules::CHECK_FAILED.id, rules::NOT_STEADY.id]) {
            self.next.retain(|next| next.way != Way::Promote);
            self.next.iter_mut().for_each(|next| next.what = "next");
        }
        let lacks = |needed: &str, given: &str| {
            let allow = rules::NO_WAY_BACK.id;
            needed.contains(allow) && !given.contains(allow)
        };
        for next in &mut self.next {
            let line = match next.way {
                Way::Promote if exit == Exit::Done => &onward.promote,
                Way::Promote => &onward.finish,
                // Without what it was not given, it would be refused.
                Way::Adopt if lacks(&next.command, &onward.adopt) => continue,
                Way::Adopt => &onward.adopt,
                Way::Back | Way::Elsewhere => continue,
            };
            let plain = std::mem::replace(&mut next.command, line.clone());
            let hints = findings.iter_mut().chain(&mut self.findings);
            for hint in hints.filter_map(|finding| finding.hint.as_mut()) {
                if *hint == plain {
                    hint.clone_from(line);
                }
            }
        }
    }
}

/// The commands that may come next.
pub(super) fn next(
    survey: &Survey,
    state: Option<&State>,
    stage: Stage,
    items: &[OrdinalView],
) -> Vec<Next> {
    let Some(state) = state else {
        let differ = items.iter().any(|item| item.class == Class::Other);
        return differ.then(|| without_canary(survey)).into_iter().collect();
    };
    let to = |command, way| Next { what: "next", command, way };
    let adopt = || to(lines::adopt(survey, Some(state.record)), Way::Adopt);
    let promote = || to(lines::promote(survey, state.record), Way::Promote);
    let is_lost = survey.facts.lacks(&state.record.stable);
    let abort = |what| {
        let command = if is_lost {
            way_back::way_on(survey, Some(state.record))
        } else {
            lines::abort(state)
        };
        Next { what, command, way: Way::Back }
    };
    let broken = items.iter().flat_map(|item| &item.gates).any(|g| g.verdict == Verdict::Fail);
    let mut next = match stage {
        Stage::None => Vec::new(),
        Stage::Staged if state.has_template_waiting() => vec![adopt(), abort("back")],
        // Nobody has applied anything yet.
        Stage::Staged => vec![abort("back")],
        Stage::Judging | Stage::Paused if broken => vec![abort("next")],
        Stage::Judging | Stage::Paused => vec![promote(), abort("back")],
        Stage::Changed => match state.interference() {
            None | Some(Interference::BeingDeleted) => Vec::new(),
            Some(found) if plan::can_be_adopted(state, &found) => vec![adopt(), abort("back")],
            Some(_) => vec![abort("next")],
        },
        Stage::Aborting => vec![abort("next")],
    };
    // The hint of the finding names it where something else comes next.
    next.retain(|next| !is_lost || next.what != "back");
    next
}

/// What comes next where there is no canary, and the pods run other revisions.
fn without_canary(survey: &Survey) -> Next {
    let command = no_canary::way_on(survey);
    let way = if command == lines::adopt(survey, None) { Way::Adopt } else { Way::Elsewhere };
    Next { what: "next", command, way }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::{canary::record::Record, manifests::Bundle, workload::fingerprint};

    /// A set of one with a canary on it that rests.
    fn view() -> View {
        let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {}});
        let mut set = json!({
            "apiVersion": "apps/v1", "kind": "StatefulSet",
            "metadata": {"name": "web", "namespace": "shop", "uid": "s", "generation": 1},
            "spec": {
                "replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template,
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 1}},
            },
            "status": {"observedGeneration": 1, "updateRevision": "web-2"},
        });
        let revision = json!({
            "apiVersion": "apps/v1", "kind": "ControllerRevision", "revision": 1,
            "metadata": {"name": "web-1", "namespace": "shop"},
            "data": {"spec": {"template": {"spec": {"hostname": "a"}}}},
        });
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "web-0", "namespace": "shop",
                "labels": {"app": "web", "controller-revision-hash": "web-1"},
            },
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        });
        let facts = |set: &serde_json::Value| {
            let mut bundle = Bundle::default();
            for object in [set, &revision, &pod] {
                bundle.add(object.clone()).expect("an object");
            }
            bundle.facts("web", None).expect("a set")
        };
        let began = facts(&set);
        let mut record = Record::begin(&began.set, "web-1", "me", Timestamp::UNIX_EPOCH);
        record.template = fingerprint(&began.set.template.raw);
        let key = crate::workload::CANARY_ANNOTATION;
        set["metadata"]["annotations"] = json!({ key: record.text() });
        View::new(&facts(&set), Some(&record), None, Timestamp::UNIX_EPOCH)
    }

    fn onward() -> Onward {
        let line = |word: &str| format!("kubectl stateful canary {word}");
        Onward { promote: line("one"), finish: line("all"), adopt: line("theirs") }
    }

    fn lines(view: &View) -> Vec<(&str, &str)> {
        view.next.iter().map(|next| (next.what, next.command.as_str())).collect()
    }

    const BACK: &str = "kubectl stateful canary abort web -n shop";

    #[test]
    fn whoever_has_not_reached_the_goal_goes_on_to_it() {
        for (exit, line) in [
            (Exit::Done, "kubectl stateful canary one"),
            (Exit::Timeout, "kubectl stateful canary all"),
            (Exit::Conflict, "kubectl stateful canary all"),
            (Exit::Waiting, "kubectl stateful canary all"),
        ] {
            let mut view = view();
            view.go_on_by(&onward(), exit, &mut []);
            assert_eq!(lines(&view), [("next", line), ("back", BACK)], "{exit:?}");
        }
    }

    /// A check that failed is no reason to move another ordinal.
    #[test]
    fn after_a_failed_check_the_way_is_back() {
        for rule in [&rules::CHECK_FAILED, &rules::NOT_STEADY] {
            let mut view = view();
            let mut findings = vec![rule.found("pod/web-0", "it failed")];
            view.go_on_by(&onward(), Exit::Failed, &mut findings);
            assert_eq!(lines(&view), [("next", BACK)], "{}", rule.id);
        }
        // A hook that failed is run again.
        let mut view = view();
        let mut findings = vec![rules::HOOK_FAILED.found("pod/web-0", "it failed")];
        view.go_on_by(&onward(), Exit::Failed, &mut findings);
        assert_eq!(lines(&view)[0], ("next", "kubectl stateful canary all"));
    }
}
