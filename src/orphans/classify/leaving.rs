//! Claims that somebody has deleted.

use jiff::Timestamp;

use super::{Judge, Judgement, STUCK, with_candidate};
use crate::{
    orphans::{
        model::{Claim, Kind, Pod},
        row::Class,
    },
    output::text::{age, list},
};

impl<'a> Judge<'a> {
    /// A claim that was deleted. While a pod uses it, it is needed, and the last
    /// chance to keep its volume.
    pub(super) fn leaving(
        &self,
        claim: &'a Claim,
        since: Timestamp,
        user: Option<&Pod>,
    ) -> Judgement {
        let lasts = self.now.duration_since(since);
        let blind = self.facts.missing.contains(&Kind::Pod);
        if user.is_none() && lasts < STUCK {
            return Judgement::Leaving;
        }
        let holders: Vec<&str> = claim.finalizers.iter().map(|name| &**name).collect();
        let holders = if holders.is_empty() { "nothing".to_owned() } else { list(&holders) };
        let mut why = vec![format!("it was deleted {} ago and is held by {holders}", age(lasts))];
        let class = match user {
            Some(pod) => {
                why.push(format!("pod {} uses it: it is gone when that pod ends", pod.name));
                Class::TerminatingInUse
            }
            None if blind => {
                why.push("the pods could not be read: one may use it".to_owned());
                Class::Unknown
            }
            None => Class::TerminatingStuck,
        };
        let key = (&*claim.namespace, &*claim.name);
        if let Some(pod) = self.finished.get(&key).filter(|pod| pod.on_node && user.is_none()) {
            let name = &pod.name;
            why.push(format!("pod {name} has finished, and keeps it until that pod is deleted"));
        }
        why.extend(self.fate(claim));
        let mut row = self.base(claim, class, why.remove(0));
        row.evidence.splice(1..1, why);
        let candidates = self.candidates(&claim.namespace, &claim.name);
        Judgement::Row(Box::new(with_candidate(row, &candidates)))
    }

    /// What becomes of its volume when the claim is gone.
    fn fate(&self, claim: &Claim) -> Option<String> {
        let volume = self.volumes.get(&**claim.volume.as_ref()?)?;
        let name = &volume.name;
        let holds = volume.claim.as_ref().is_some_and(|held| held.uid == claim.uid);
        Some(match &*volume.policy {
            _ if !holds => format!("volume {name} belongs to another claim"),
            "Retain" if volume.deleting.is_some() => return None,
            "Retain" => format!("volume {name} is kept then (policy Retain)"),
            policy => format!("volume {name} is destroyed then (policy {policy})"),
        })
    }
}
