//! Acts in words, for the messages about acts that fail. Pure.

use super::{forward::Act, journal::Journal};
use crate::workload::raw::name;

/// An act as parts of a sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wording {
    /// After "cannot": `set the policy of volume pv-1 to Retain`.
    pub task: String,
    /// Before "6 times": `policy of volume pv-1 was set to Retain`.
    pub done: String,
    /// After "and": what is seen instead, `is not Retain`.
    pub unmet: &'static str,
}

impl Act {
    /// What the act does, and to which object.
    pub fn wording(self, journal: &Journal) -> Wording {
        let wording = |task: &str, done: &str, unmet: &'static str| Wording {
            task: task.to_owned(),
            done: done.to_owned(),
            unmet,
        };
        match self {
            Act::Protect(..)
            | Act::ProtectBlank(..)
            | Act::Reserve(..)
            | Act::LeaveBlank(..)
            | Act::Swap(..)
            | Act::SwapBack(..)
            | Act::Withhold(..)
            | Act::WithholdBlank(..)
            | Act::Release(..) => self.of_volume(journal),
            Act::CreateClaim(..)
            | Act::CreateOldClaim(..)
            | Act::Touch(..)
            | Act::MarkFilled(..)
            | Act::Hold(..)
            | Act::HoldToGo(..)
            | Act::DeleteNewClaim(..)
            | Act::DeleteOldClaim(..)
            | Act::CleanOldClaim(..)
            | Act::CleanNewClaim(..) => self.of_claim(journal),
            Act::StopDeployment(..)
            | Act::StartDeployment(..)
            | Act::CreateDeployment(..)
            | Act::DeleteDeployment(..)
            | Act::PauseScaler(..)
            | Act::PointScaler(..)
            | Act::PointScalerBack(..)
            | Act::ResumeScaler(..)
            | Act::CreateJob(..)
            | Act::DeleteJob(..)
            | Act::CreateSnapshot(..)
            | Act::DeleteSnapshot(..) => self.of_others(journal),
            Act::CreateService => created(&format!("Service {}", journal.service_name())),
            Act::DeleteService => deleted(&format!("Service {}", journal.service_name())),
            Act::CleanService => unmarked(&format!("Service {}", journal.service_name())),
            Act::CreateSet => created(&format!("StatefulSet {}", journal.set_name())),
            Act::DeleteSet => deleted(&format!("StatefulSet {}", journal.set_name())),
            Act::CleanSet => unmarked(&format!("StatefulSet {}", journal.set_name())),
            Act::StartSet => {
                let (set, to) = (journal.set_name(), journal.replicas);
                wording(
                    &format!("scale StatefulSet {set} to {to}"),
                    &format!("StatefulSet {set} was scaled to {to}"),
                    "has a different number of replicas",
                )
            }
            Act::StopSet => {
                let (set, to) = (journal.set_name(), journal.down_to);
                wording(
                    &format!("scale StatefulSet {set} down to {to}"),
                    &format!("StatefulSet {set} was scaled down to {to}"),
                    "has more replicas",
                )
            }
        }
    }

    fn of_volume(self, journal: &Journal) -> Wording {
        let disk = self.disk().and_then(|index| journal.disk(index));
        let of_blank = [Act::ProtectBlank, Act::LeaveBlank, Act::WithholdBlank];
        let blank = self.disk().is_some_and(|index| of_blank.iter().any(|of| of(index) == self));
        let pv = disk.and_then(|disk| match (&disk.blank, blank) {
            (Some(of), true) => Some(&of.pv),
            (None, true) => None,
            (_, false) => Some(&disk.pv),
        });
        let pv = pv.map_or("<none>", |pv| pv.name.as_str());
        let (old, new) = disk.map_or(("<none>", "<none>"), |disk| (&disk.old.name, &disk.new));
        let (task, done, unmet) = match self {
            Act::Protect(_) | Act::ProtectBlank(_) => (
                format!("set the policy of volume {pv} to Retain"),
                format!("policy of volume {pv} was set to Retain"),
                "is not Retain",
            ),
            Act::Reserve(_) => (
                format!("reserve volume {pv} for claim {new}"),
                format!("volume {pv} was reserved for claim {new}"),
                "is not reserved for it",
            ),
            Act::Swap(_) => (
                format!("hand volume {pv} over to claim {new}"),
                format!("volume {pv} was handed over to claim {new}"),
                "does not belong to it",
            ),
            Act::SwapBack(_) => (
                format!("hand volume {pv} back to claim {old}"),
                format!("volume {pv} was handed back to claim {old}"),
                "does not belong to it",
            ),
            Act::Withhold(_) | Act::WithholdBlank(_) => (
                format!("keep volume {pv}"),
                format!("volume {pv} was kept"),
                "may be deleted with its claim",
            ),
            _ => (
                format!("release volume {pv}"),
                format!("volume {pv} was released"),
                "still has the mark of this migration",
            ),
        };
        Wording { task, done, unmet }
    }

    fn of_claim(self, journal: &Journal) -> Wording {
        let disk = self.disk().and_then(|index| journal.disk(index));
        let of_old =
            matches!(self, Act::CreateOldClaim(_) | Act::DeleteOldClaim(_) | Act::CleanOldClaim(_));
        let claim = disk.map_or("<none>", |disk| if of_old { &disk.old.name } else { &disk.new });
        let object = format!("claim {claim}");
        match self {
            Act::CreateClaim(_) | Act::CreateOldClaim(_) => created(&object),
            Act::DeleteNewClaim(_) | Act::DeleteOldClaim(_) => deleted(&object),
            Act::CleanOldClaim(_) | Act::CleanNewClaim(_) => unmarked(&object),
            Act::Touch(_) => {
                let (old, pv) =
                    disk.map_or(("<none>", "<none>"), |disk| (&disk.old.name, &disk.pv.name));
                Wording {
                    task: format!("annotate claims {old} and {claim}"),
                    done: format!("claims {old} and {claim} of volume {pv} were annotated"),
                    unmet: "are not bound as expected",
                }
            }
            Act::MarkFilled(_) => Wording {
                task: format!("mark {object} as filled"),
                done: format!("{object} was marked as filled"),
                unmet: "is not marked",
            },
            _ => {
                // The old or the new claim may have the volume.
                let pv = disk.map_or("<none>", |disk| &disk.pv.name);
                Wording {
                    task: format!("hold the claim of volume {pv}"),
                    done: format!("the claim of volume {pv} got our finalizer"),
                    unmet: "does not have it",
                }
            }
        }
    }

    fn of_others(self, journal: &Journal) -> Wording {
        let wording =
            |task: String, done: String, unmet: &'static str| Wording { task, done, unmet };
        match self {
            Act::StopDeployment(index) => {
                let object = deployment(journal, index);
                wording(
                    format!("scale {object} to 0"),
                    format!("{object} was scaled to 0"),
                    "is not at 0",
                )
            }
            Act::StartDeployment(index) => {
                let object = deployment(journal, index);
                wording(
                    format!("scale {object} up again"),
                    format!("{object} was scaled up again"),
                    "is still at 0",
                )
            }
            Act::CreateDeployment(index) => created(&deployment(journal, index)),
            Act::DeleteDeployment(index) => deleted(&deployment(journal, index)),
            Act::PauseScaler(index) => {
                let object = scaler(journal, index);
                wording(format!("pause {object}"), format!("{object} was paused"), "is not paused")
            }
            Act::ResumeScaler(index) => {
                let object = scaler(journal, index);
                wording(
                    format!("resume {object}"),
                    format!("{object} was resumed"),
                    "is still paused",
                )
            }
            Act::PointScaler(index) | Act::PointScalerBack(index) => {
                let object = scaler(journal, index);
                let to = if matches!(self, Act::PointScaler(_)) {
                    "the StatefulSet"
                } else {
                    "the Deployment"
                };
                wording(
                    format!("point {object} at {to}"),
                    format!("{object} was pointed at {to}"),
                    "names another target",
                )
            }
            Act::CreateJob(index, pass) => {
                created(&format!("Job {}", journal.job_name(index, pass)))
            }
            Act::DeleteJob(index, pass) => {
                deleted(&format!("Job {}", journal.job_name(index, pass)))
            }
            Act::DeleteSnapshot(index) => deleted(&snapshot(journal, index)),
            _ => created(&snapshot(journal, self.disk().unwrap_or_default())),
        }
    }

    /// The position of the disk that the act is about.
    fn disk(self) -> Option<usize> {
        match self {
            Act::Protect(index)
            | Act::CreateClaim(index)
            | Act::CreateOldClaim(index)
            | Act::Swap(index)
            | Act::Touch(index)
            | Act::MarkFilled(index)
            | Act::CreateJob(index, _)
            | Act::DeleteJob(index, _)
            | Act::CreateSnapshot(index)
            | Act::DeleteSnapshot(index)
            | Act::SwapBack(index)
            | Act::DeleteNewClaim(index)
            | Act::DeleteOldClaim(index)
            | Act::ProtectBlank(index)
            | Act::Reserve(index)
            | Act::LeaveBlank(index)
            | Act::Hold(index)
            | Act::HoldToGo(index)
            | Act::Withhold(index)
            | Act::WithholdBlank(index)
            | Act::Release(index)
            | Act::CleanOldClaim(index)
            | Act::CleanNewClaim(index) => Some(index),
            _ => None,
        }
    }
}

fn created(object: &str) -> Wording {
    Wording {
        task: format!("create {object}"),
        done: format!("{object} was created"),
        unmet: "does not exist",
    }
}

fn deleted(object: &str) -> Wording {
    Wording {
        task: format!("delete {object}"),
        done: format!("{object} was deleted"),
        unmet: "still exists",
    }
}

fn unmarked(object: &str) -> Wording {
    Wording {
        task: format!("remove our marks from {object}"),
        done: format!("our marks were removed from {object}"),
        unmet: "are still there",
    }
}

fn deployment(journal: &Journal, index: usize) -> String {
    let name = journal.deployments.get(index).map_or("<none>", |member| &member.name);
    format!("Deployment {name}")
}

fn scaler(journal: &Journal, index: usize) -> String {
    journal.scalers.get(index).map_or_else(
        || "an autoscaler".to_owned(),
        |scaler| format!("{} {}", scaler.kind.api_name(), scaler.target.name),
    )
}

fn snapshot(journal: &Journal, index: usize) -> String {
    let snapshot = journal.disk(index).and_then(|disk| disk.snapshot.as_ref());
    format!("VolumeSnapshot {}", snapshot.map_or("<none>", name))
}
