//! Why names do not resolve, from what the API says alone.
//!
//! Each rule concludes only from what was read, shows the evidence, and names
//! the next step.

mod pods;
mod servers;
mod service;

use super::{
    domain::Domain,
    expected::{RowOptions, Zone, range_of},
    facts::{Facts, Member},
    rules,
};
use crate::{output::text::list, workload::Finding};

/// The findings, the most severe first.
pub fn explain(facts: &Facts, zone: &Zone, domain: &Domain, options: &RowOptions) -> Vec<Finding> {
    let mut view = View { facts, zone, options, found: Vec::new() };
    view.no_ordinal();
    view.governing();
    view.members();
    view.not_running();
    view.strangers();
    view.host_network();
    view.node_addresses();
    view.corefile(domain);
    let mut found = view.found;
    found.sort_by_key(|finding| finding.severity);
    found
}

struct View<'a> {
    facts: &'a Facts,
    zone: &'a Zone,
    options: &'a RowOptions,
    found: Vec<Finding>,
}

impl<'a> View<'a> {
    fn at(&self) -> String {
        self.facts.at()
    }

    fn add(&mut self, finding: Finding) {
        self.found.push(finding);
    }

    /// The pods whose names are shown: none that have ended, and only one if an
    /// ordinal was named.
    fn pods(&self) -> Vec<&'a Member> {
        let set = self.facts.set.as_ref();
        let pods = self.facts.pods.iter().flatten().filter(|pod| !pod.ended);
        let wanted = self.options.ordinal;
        pods.filter(|pod| {
            wanted.is_none_or(|one| set.and_then(|set| set.ordinal_of(&pod.name)) == Some(one))
        })
        .collect()
    }

    fn no_ordinal(&mut self) {
        let (Some(set), Some(ordinal)) = (&self.facts.set, self.options.ordinal) else { return };
        if set.ordinals().contains(&ordinal) {
            return;
        }
        let message = format!(
            "{} has {} (replicas {}), so {} does not exist",
            set.name,
            range_of(set),
            set.replicas,
            set.pod_name(ordinal)
        );
        let mut finding = rules::NO_ORDINAL.found(set.reference(), message);
        let replicas = ordinal.checked_sub(set.start).and_then(|before| before.checked_add(1));
        // As many as the API can have.
        if let Some(replicas) = replicas.filter(|replicas| i32::try_from(*replicas).is_ok()) {
            let (name, at) = (&set.name, self.at());
            finding =
                finding.hint(format!("kubectl stateful scale {name} --replicas {replicas} {at}"));
        }
        self.add(finding);
    }
}

/// `web-0 has`, `web-0 and web-1 have`.
fn names_have(names: &[&str]) -> String {
    let verb = if names.len() == 1 { "has" } else { "have" };
    format!("{} {verb}", list(names))
}

fn names_are(names: &[&str]) -> String {
    let verb = if names.len() == 1 { "is" } else { "are" };
    format!("{} {verb}", list(names))
}
