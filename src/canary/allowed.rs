//! The guards that somebody has overridden with `--allow`, as the record keeps
//! them. Pure.

use super::{gates::Gates, record::Record, rules};
use crate::workload::{Allowed, Rule};

/// The guards that were overridden when the canary began, or since. Whoever goes
/// on has to override them, too.
pub fn before(record: &Record) -> Allowed {
    let known = rules::ALLOWABLE.iter().copied();
    Allowed::of(known.filter(|rule| record.allowed.iter().any(|id| id == rule.id)))
}

/// Keeps with a canary which guards were overridden: those that `promote` asks
/// again, and those that `start --adopt` does.
pub fn keep(record: &mut Record, allowed: &Allowed, gates: &Gates) {
    // Without budgets none is looked at, which allows the same.
    let is_allowed = |rule: &Rule| {
        allowed.contains(rule) || (rule.id == rules::NO_HEADROOM.id && !gates.budgets)
    };
    let once = [rules::OVERWRITES.id, rules::LEFTOVER_PARTITION.id];
    let matters = |rule: &&&Rule| is_allowed(rule) && !once.contains(&rule.id);
    for rule in rules::ALLOWABLE.iter().filter(matters) {
        if !record.allowed.iter().any(|id| id == rule.id) {
            record.allowed.push(rule.id.to_owned());
        }
    }
}
