//! What is said of a migration after others have been at it, case by case; and
//! that each way out that is named leads out.

use kubectl_stateful::{
    migrate::{
        forward::{Act, Memory, Move},
        journal::{Intent, StoredJournal},
        offline, rollback,
        standing::{Next, Presence, Stage, Standing},
        world::World,
    },
    output::Exit,
    workload::Severity,
};
use serde_json::{Value, json};

use super::{
    cli::run,
    migrate::{End, Verb, arrived, ends, is_killed, planned, standing_is_true},
    migrate_rules::{crashes, one},
    model::{BOOK, CLAIM, DEPLOYMENT, Model, POD, SET, VOLUME, is_ready, replicas, text},
};

/// What somebody does.
type Meddling = fn(&mut Model);

/// After what has happened, and come to rest.
fn moved(what: impl FnOnce(&mut Model)) -> Model {
    let mut model = arrived(&one());
    model.disturb(what);
    model.settle();
    model
}

fn standing(model: &Model) -> Standing {
    standing_is_true(model, &one()).expect("a journal")
}

fn ids(standing: &Standing) -> Vec<&'static str> {
    standing.findings.iter().map(|finding| finding.id).collect()
}

fn hint(standing: &Standing, id: &str) -> String {
    let finding = standing.findings.iter().find(|finding| finding.id == id).expect("it");
    finding.hint.clone().unwrap_or_else(|| panic!("{finding:?} has no way out"))
}

fn delete_claim(model: &mut Model, name: &str) {
    model.delete(CLAIM, name);
    model.protect();
}

fn kill_pod(model: &mut Model, name: &str) {
    model.delete(POD, name);
    model.run_pods();
    model.protect();
}

/// A claim of the set that was deleted, and whose pod has ended: the set makes a
/// new one, on an empty disk.
fn come_up_blank(model: &mut Model) {
    model.delete(CLAIM, "v0-db-0");
    kill_pod(model, "db-0");
}

/// The Deployment runs on the disk that it had.
fn is_home(model: &Model) {
    let deployment = model.get(DEPLOYMENT, "db").expect("the Deployment");
    assert_eq!(replicas(deployment), 1);
    let ready = model.all(POD).filter(|pod| is_ready(pod)).count();
    assert_eq!(ready, 1 + 1, "its pod, and one that is nobody's");
    let claim = model.get(CLAIM, "v0-of-db").expect("the old claim");
    assert_eq!(text(claim, "/spec/volumeName"), "pv-db-0");
    assert_eq!(text(claim, "/status/phase"), "Bound");
    let volume = model.get(VOLUME, "pv-db-0").expect("the volume");
    assert_eq!(text(volume, "/spec/persistentVolumeReclaimPolicy"), "Delete");
    assert!(!volume.to_string().contains("kubectl-stateful"), "{volume}");
    assert_eq!(model.all(BOOK).count(), 0);
}

/// What happened, what it did, the stage with what is offered, the findings, and
/// what the sentence says.
type Case =
    (&'static str, Meddling, (Stage, Option<Next>, bool), &'static [&'static str], &'static str);

const CASES: [Case; 11] = [
    ("as it was", |_| (), (Stage::Arrived, Some(Next::Finalize), true), &[], "moved: the set runs"),
    (
        "the set is deleted",
        |model| model.delete(SET, "db"),
        (Stage::Degraded, Some(Next::Resume), true),
        &[],
        "the set is gone: someone has deleted it",
    ),
    (
        "it came up on a blank disk",
        come_up_blank,
        (Stage::Degraded, None, true),
        &["MIGRATE-OTHER-DISK", "MIGRATE-TAKEN"],
        "not on the disks that were moved",
    ),
    (
        "its claim is being deleted",
        |model| model.delete(CLAIM, "v0-db-0"),
        (Stage::Degraded, None, true),
        &["MIGRATE-NOT-ARRIVED", "MIGRATE-TAKEN"],
        "a claim of the set is being deleted",
    ),
    (
        "it is scaled to 0",
        |model| model.change(SET, "db", |set| set["spec"]["replicas"] = json!(0)),
        (Stage::Degraded, Some(Next::Resume), true),
        &[],
        "scaled to 0",
    ),
    (
        "its pod crashes",
        |model| model.change(POD, "db-0", crashes),
        (Stage::Degraded, None, true),
        &["MIGRATE-POD-BROKEN"],
        "0 of 1 pods of the set are Ready",
    ),
    (
        "a tidy person deleted the old claim",
        |model| delete_claim(model, "v0-of-db"),
        (Stage::Arrived, Some(Next::Finalize), true),
        &[],
        "moved: the set runs",
    ),
    (
        "a tidy person deleted the Deployment",
        |model| model.delete(DEPLOYMENT, "db"),
        (Stage::Arrived, Some(Next::Finalize), true),
        &[],
        "moved: the set runs",
    ),
    (
        "the old manifest is applied again",
        |model| model.somebody_applies_deployment(&one(), "db"),
        (Stage::Arrived, None, true),
        &["MIGRATE-CHANGED"],
        "moved: the set runs",
    ),
    (
        "another claim has the old one's name",
        |model| {
            delete_claim(model, "v0-of-db");
            model.somebody_makes_claim("v0-of-db");
        },
        (Stage::Arrived, Some(Next::Finalize), false),
        &["MIGRATE-NO-WAY-BACK"],
        "moved: the set runs",
    ),
    (
        "the set is deleted without its pods",
        |model| model.somebody_orphans_pods("db"),
        (Stage::Degraded, Some(Next::Resume), false),
        &["MIGRATE-NO-WAY-BACK"],
        "the set is gone",
    ),
];

#[test]
fn a_moved_set_is_counted_and_its_disks_are_looked_at() {
    for (what, change, (stage, next, open), found, sentence) in CASES {
        let model = moved(change);
        let standing = standing(&model);
        assert_eq!(standing.stage, stage, "{what}: {standing:?}");
        assert_eq!(standing.next, next, "{what}: {standing:?}");
        assert_eq!(standing.is_way_back_open, open, "{what}: {standing:?}");
        let mut said = ids(&standing);
        said.sort_unstable();
        let mut wanted = found.to_vec();
        wanted.sort_unstable();
        assert_eq!(said, wanted, "{what}: {standing:?}");
        assert!(standing.sentence().contains(sentence), "{what}: {}", standing.sentence());
    }
}

/// Whose it is, and whether it goes, is not left open.
#[test]
fn a_name_that_is_taken_is_said_to_be_whose_it_is() {
    let said = |change: Meddling| {
        let standing = standing(&moved(change));
        let finding = standing.findings.iter().find(|finding| finding.id == "MIGRATE-TAKEN");
        finding.expect("it").message.clone()
    };
    let own = "PersistentVolumeClaim v0-db-0 of this migration is being deleted";
    assert_eq!(said(|model| model.delete(CLAIM, "v0-db-0")), own);
    let foreign = "PersistentVolumeClaim v0-db-0 was not created by this migration";
    assert_eq!(said(come_up_blank), foreign);
}

/// Number 6 of what hostile use found: each ended in a circle once.
#[test]
fn a_rollback_makes_again_what_a_tidy_person_deleted() {
    let deletions: [(&str, Meddling); 4] = [
        ("the old claim", |model| delete_claim(model, "v0-of-db")),
        ("the Deployment", |model| model.delete(DEPLOYMENT, "db")),
        ("both", |model| {
            delete_claim(model, "v0-of-db");
            model.delete(DEPLOYMENT, "db");
        }),
        ("the Deployment, which was applied again", |model| {
            model.delete(DEPLOYMENT, "db");
            model.somebody_applies_deployment(&one(), "db");
        }),
    ];
    for (what, delete) in deletions {
        let mut model = moved(delete);
        assert_eq!(ends(&mut model, &one(), Verb::Rollback), End::Done(Intent::Back), "{what}");
        is_home(&model);
        // And when it is deleted after the rollback has begun.
        for moves in 1..14 {
            let mut model = arrived(&one());
            is_killed(&mut model, &one(), Verb::Rollback, moves);
            // Once the policy is back, the claim's owner decides again.
            let volume = model.get(VOLUME, "pv-db-0").expect("it");
            let is_kept = text(volume, "/spec/persistentVolumeReclaimPolicy") == "Retain";
            if model.all(BOOK).next().is_none() || !is_kept {
                break;
            }
            model.disturb(delete);
            model.endangered = false;
            model.settle();
            let _ = standing(&model);
            let end = ends(&mut model, &one(), Verb::Resume);
            // A claim that its own pod uses goes when that pod has ended.
            if end == (End::Stopped { code: Exit::Manual.code(), id: "MIGRATE-NO-WAY-BACK" }) {
                let line = hint(&standing(&model), "MIGRATE-NO-WAY-BACK");
                assert_eq!(line, "kubectl scale deployment/db --replicas=0 -n default", "{what}");
                model.change(DEPLOYMENT, "db", |one| one["spec"]["replicas"] = json!(0));
                model.settle();
                assert_eq!(ends(&mut model, &one(), Verb::Resume), End::Done(Intent::Back));
            } else {
                assert_eq!(end, End::Done(Intent::Back), "{what} after {moves} moves");
            }
            is_home(&model);
        }
    }
}

#[test]
fn a_rollback_that_would_not_get_through_changes_nothing() {
    let mut model = moved(|model| {
        delete_claim(model, "v0-of-db");
        model.somebody_makes_claim("v0-of-db");
    });
    let before = model.version;
    let end = ends(&mut model, &one(), Verb::Rollback);
    assert_eq!(end, End::Refused(vec!["MIGRATE-NO-WAY-BACK"]));
    assert_eq!(model.version, before);
    // The line that is named clears the way.
    let line = hint(&standing(&model), "MIGRATE-NO-WAY-BACK");
    assert_eq!(line, "kubectl delete pvc/v0-of-db -n default");
    delete_claim(&mut model, "v0-of-db");
    model.settle();
    assert_eq!(ends(&mut model, &one(), Verb::Rollback), End::Done(Intent::Back));
    is_home(&model);
}

/// Stuck half way back, it can be given up: the set still has the data.
#[test]
fn finalize_gives_up_a_rollback_that_is_stuck() {
    let mut model = arrived(&one());
    // The lock, and the set to 0.
    is_killed(&mut model, &one(), Verb::Rollback, 2);
    model.disturb(|model| {
        delete_claim(model, "v0-of-db");
        model.somebody_makes_claim("v0-of-db");
    });
    model.settle();
    let end = ends(&mut model, &one(), Verb::Resume);
    assert_eq!(end, End::Stopped { code: 11, id: "MIGRATE-NO-WAY-BACK" });
    let stuck = standing(&model);
    assert_eq!((stuck.stage, stuck.next), (Stage::GoingBack, Some(Next::Finalize)), "{stuck:?}");
    // A claim that is bound to another volume is not the migration's to delete.
    delete_claim(&mut model, "v0-of-db");
    model.settle();
    model.disturb(|model| model.delete(DEPLOYMENT, "db"));
    assert_eq!(ends(&mut model, &one(), Verb::Finalize), End::Done(Intent::Finish));
    assert_eq!(model.all(BOOK).count(), 0);
    assert_eq!(text(model.get(VOLUME, "pv-db-0").expect("it"), "/spec/claimRef/name"), "v0-db-0");
    assert!(is_ready(model.get(POD, "db-0").expect("the set runs")));
}

/// Number 7: the journal had the uid of the set that was deleted.
#[test]
fn a_set_that_was_made_again_can_be_finalized() {
    let mut model = moved(|model| model.delete(SET, "db"));
    assert_eq!(ends(&mut model, &one(), Verb::Resume), End::Done(Intent::Forward));
    assert_eq!(standing(&model).stage, Stage::Arrived);
    assert_eq!(ends(&mut model, &one(), Verb::Finalize), End::Done(Intent::Finish));
    assert_eq!(model.all(BOOK).count(), 0);
}

/// Once begun, `finalize` makes again what is missing, or says how.
#[test]
fn a_finalize_goes_on_after_a_set_or_a_claim_was_deleted() {
    let meddling: [(&str, Meddling); 3] = [
        ("the set", |model| model.delete(SET, "db")),
        ("the set, made again by someone", |model| {
            let set = model.get(SET, "db").expect("it").clone();
            let bare = json!({"metadata": {"name": "db"}, "spec": set["spec"]});
            model.delete(SET, "db");
            model.run_pods();
            model.run_pods();
            model.create(SET, bare);
        }),
        ("the claim, while the set is at 0", |model| {
            model.change(SET, "db", |set| set["spec"]["replicas"] = json!(0));
            model.settle();
            delete_claim(model, "v0-db-0");
        }),
    ];
    for (what, meddle) in meddling {
        for moves in 1..8 {
            let mut model = arrived(&one());
            is_killed(&mut model, &one(), Verb::Finalize, moves);
            let volume = model.get(VOLUME, "pv-db-0").expect("it");
            let is_over = model.all(BOOK).next().is_none()
                || text(volume, "/spec/persistentVolumeReclaimPolicy") != "Retain";
            if is_over {
                break;
            }
            model.disturb(meddle);
            model.settle();
            let _ = standing(&model);
            let end = ends(&mut model, &one(), Verb::Resume);
            assert_eq!(end, End::Done(Intent::Finish), "{what} after {moves} moves");
            let claim = model.get(CLAIM, "v0-db-0").expect("the claim");
            assert_eq!(text(claim, "/spec/volumeName"), "pv-db-0", "{what}");
        }
    }
}

/// The commands that are printed put the moved volume back under the set.
#[test]
fn a_set_on_a_blank_disk_comes_back_as_its_hint_says() {
    for finishes in [false, true] {
        let mut model = arrived(&one());
        if finishes {
            is_killed(&mut model, &one(), Verb::Finalize, 2);
        }
        model.disturb(come_up_blank);
        model.settle();
        let line = hint(&standing(&model), "MIGRATE-OTHER-DISK");
        let blank = text(model.get(CLAIM, "v0-db-0").expect("it"), "/spec/volumeName").to_owned();
        let mut wanted = vec![
            format!(
                "kubectl patch pv/{blank} -p \
                 '{{\"spec\":{{\"persistentVolumeReclaimPolicy\":\"Retain\"}}}}'"
            ),
            "kubectl scale statefulset/db --replicas=0 -n default".to_owned(),
            "kubectl delete pvc/v0-db-0 -n default".to_owned(),
            "kubectl stateful migrate resume sts/db -n default".to_owned(),
        ];
        if finishes {
            wanted.push("kubectl scale statefulset/db --replicas=1 -n default".to_owned());
        }
        assert_eq!(line.split(" && ").collect::<Vec<_>>(), wanted);
        let retain = json!("Retain");
        model.change(VOLUME, &blank, |pv| pv["spec"]["persistentVolumeReclaimPolicy"] = retain);
        model.change(SET, "db", |set| set["spec"]["replicas"] = json!(0));
        model.settle();
        delete_claim(&mut model, "v0-db-0");
        model.settle();
        let wanted = if finishes { Intent::Finish } else { Intent::Forward };
        assert_eq!(ends(&mut model, &one(), Verb::Resume), End::Done(wanted));
        let claim = model.get(CLAIM, "v0-db-0").expect("the claim");
        assert_eq!(text(claim, "/spec/volumeName"), "pv-db-0");
        let kept = model.get(VOLUME, &blank).expect("the blank volume is kept");
        assert_eq!(text(kept, "/spec/persistentVolumeReclaimPolicy"), "Retain");
    }
}

/// The set as somebody scales it up, and makes it delete its claims.
fn grow(model: &mut Model, when: &str) {
    let policy = json!({ when: "Delete" });
    model.change(SET, "db", |set| {
        set["spec"]["replicas"] = json!(3);
        set["spec"]["persistentVolumeClaimRetentionPolicy"] = policy;
    });
}

fn keep_claims(model: &mut Model) {
    let policy = json!({"whenDeleted": "Retain", "whenScaled": "Retain"});
    model.change(SET, "db", |set| set["spec"]["persistentVolumeClaimRetentionPolicy"] = policy);
}

const KEEP: &str = "kubectl patch statefulset/db -n default -p \
                    '{\"spec\":{\"persistentVolumeClaimRetentionPolicy\":\
                    {\"whenDeleted\":\"Retain\",\"whenScaled\":\"Retain\"}}}'";

/// A rollback destroyed the disks of ordinals that the set was scaled up to.
#[test]
fn a_rollback_does_not_delete_the_claims_of_other_ordinals() {
    for when in ["whenScaled", "whenDeleted"] {
        let mut model = moved(|model| grow(model, when));
        let now = standing(&model);
        assert!(!now.is_way_back_open, "{when}: {:?}", now.findings);
        assert_eq!(hint(&now, "MIGRATE-CLAIMS-GO"), KEEP, "{when}");
        let said = now.findings.iter().find(|one| one.id == "MIGRATE-CLAIMS-GO").expect("it");
        assert!(said.message.contains("v0-db-1 and v0-db-2, which"), "{}", said.message);
        let before = model.get(SET, "db").cloned();
        let end = ends(&mut model, &one(), Verb::Rollback);
        assert_eq!(end, End::Refused(vec!["MIGRATE-CLAIMS-GO"]), "{when}");
        assert_eq!(model.get(SET, "db").cloned(), before, "{when}: nothing is written");
        // It came in the middle.
        let mut begun =
            moved(|model| model.change(SET, "db", |set| set["spec"]["replicas"] = json!(3)));
        is_killed(&mut begun, &one(), Verb::Rollback, 1);
        begun.disturb(|model| grow(model, when));
        begun.settle();
        let stopped = End::Stopped { code: 7, id: "MIGRATE-CLAIMS-GO" };
        assert_eq!(ends(&mut begun, &one(), Verb::Resume), stopped, "{when}");
        for mut model in [model, begun] {
            assert!(model.get(CLAIM, "v0-db-1").is_some() && model.get(CLAIM, "v0-db-2").is_some());
            model.disturb(keep_claims);
            model.settle();
            assert_eq!(ends(&mut model, &one(), Verb::Rollback), End::Done(Intent::Back), "{when}");
            for claim in ["v0-db-1", "v0-db-2"] {
                assert!(model.get(CLAIM, claim).is_some(), "{when}: {claim} is kept");
            }
        }
    }
}

/// The controller takes the owner only from claims that have a pod.
#[test]
fn a_claim_that_the_set_still_owns_is_seen_before_a_rollback() {
    let model = arrived(&one());
    let stored = StoredJournal::read(model.all(BOOK).next().expect("it")).expect("ours");
    let set = model.get(SET, "db").expect("the set").clone();
    let owner = set["metadata"]["uid"].clone();
    let (mut world, _) = offline::world(&model.bundle(), &stored.journal).expect("objects");
    let claim = |name: &str, owner: &Value| json!({"metadata": {"name": name, "ownerReferences": [{"uid": owner}]}});
    let mut owned = |claims: &[Value]| {
        world.set_claims = claims.to_vec();
        let next = rollback::next(&world, &stored.journal, &Memory::default());
        let blocked = rollback::blocked(&world, &stored.journal);
        // Each step of a rollback is judged as its beginning is.
        assert_eq!(matches!(next, Move::Stop { .. }), blocked.is_some(), "{next:?}");
        blocked
    };
    assert_eq!(owned(&[claim("v0-db-0", &owner), claim("v0-db-1", &json!("other"))]), None);
    let found = owned(&[claim("v0-db-2", &owner)]).expect("a finding");
    assert_eq!(
        (found.id, found.object.as_str()),
        ("MIGRATE-CLAIMS-GO", "persistentvolumeclaim/v0-db-2")
    );
    assert!(
        found.hint.is_some_and(|hint| hint.starts_with("kubectl patch pvc/v0-db-2 -n default"))
    );
}

/// A claim may come to belong to the set at any time, so it is judged before each move of
/// a rollback, up to the one that deletes the set.
#[test]
fn a_claim_that_the_set_comes_to_own_stops_a_rollback_at_every_move() {
    let mut is_deleted_next = false;
    for moves in 0..200 {
        let mut model = arrived(&one());
        is_killed(&mut model, &one(), Verb::Rollback, moves);
        let Some(set) = model.get(SET, "db").cloned() else { break };
        let stored = StoredJournal::read(model.all(BOOK).next().expect("it")).expect("ours");
        let (mut world, _) = offline::world(&model.bundle(), &stored.journal).expect("objects");
        let next = rollback::next(&world, &stored.journal, &Memory::default());
        if next == Move::Act(Act::DeleteSet) {
            is_deleted_next = true;
        } else if is_deleted_next {
            // It is deleted, and goes.
            break;
        }
        let owner = json!([{"uid": set["metadata"]["uid"]}]);
        world.set_claims = vec![json!({"metadata": {"name": "v0-db-2", "ownerReferences": owner}})];
        let next = rollback::next(&world, &stored.journal, &Memory::default());
        let Move::Stop { exit, finding } = next else { panic!("after {moves} moves: {next:?}") };
        assert_eq!((exit, finding.id), (Exit::Conflict, "MIGRATE-CLAIMS-GO"));
    }
    assert!(is_deleted_next, "it came to the set");
}

/// Who may not list claims cannot know which the set owns: the Deployment comes back
/// all the same, and the set stays.
#[test]
fn a_rollback_that_may_not_list_claims_stops_before_it_deletes_the_set() {
    let next = |model: &Model, unread: bool| {
        let stored = StoredJournal::read(model.all(BOOK).next().expect("it")).expect("ours");
        let (mut world, _) = offline::world(&model.bundle(), &stored.journal).expect("objects");
        world.set_claims_unread = unread;
        assert_eq!(rollback::blocked(&world, &stored.journal), None);
        rollback::next(&world, &stored.journal, &Memory::default())
    };
    let after = |moves| {
        let mut model = arrived(&one());
        is_killed(&mut model, &one(), Verb::Rollback, moves);
        model
    };
    let comes_to_it = |model: &Model| {
        let comes = next(model, false) == Move::Act(Act::DeleteSet);
        assert!(comes || !matches!(next(model, true), Move::Stop { .. }));
        comes
    };
    let model = (0..200).map(after).find(comes_to_it).expect("it comes to the set");
    let deployment = model.all(DEPLOYMENT).next().expect("it");
    assert_eq!(deployment["spec"]["replicas"], 1, "{deployment:#}");
    let Move::Stop { exit, finding } = next(&model, true) else { panic!("it deletes the set") };
    assert_eq!((exit, finding.id), (Exit::Manual, "MIGRATE-NO-RIGHTS"));
    assert!(finding.message.contains("does not delete the set"), "{}", finding.message);
}

/// The line scaled the set to 0 while that deleted the claims of all ordinals, and
/// left it at what was planned.
#[test]
fn a_line_that_puts_a_disk_back_keeps_the_others() {
    let mut model = moved(|model| grow(model, "whenScaled"));
    model.disturb(come_up_blank);
    model.settle();
    let line = hint(&standing(&model), "MIGRATE-OTHER-DISK");
    let lines: Vec<&str> = line.split(" && ").collect();
    let place = |wanted: &str| lines.iter().position(|line| line.starts_with(wanted));
    let down = place("kubectl scale statefulset/db --replicas=0").expect("it stops the set");
    assert!(place(KEEP).is_some_and(|keep| keep < down), "{line}");
    assert_eq!(lines.last(), Some(&"kubectl scale statefulset/db --replicas=3 -n default"));
    // Without the data there is nothing to put back.
    let mut gone = moved(come_up_blank);
    gone.disturb(|model| model.delete(VOLUME, "pv-db-0"));
    gone.settle();
    let now = standing(&gone);
    let said = now.findings.iter().find(|one| one.id == "MIGRATE-OTHER-DISK").expect("it");
    assert!(said.message.contains("pv-db-0, which is gone"), "{}", said.message);
    assert_eq!(said.hint, None);
}

/// It was 0 without a word, and `next` became resume.
#[test]
fn a_moved_volume_whose_policy_was_set_back_is_said() {
    let delete = |model: &mut Model| {
        let policy = json!("Delete");
        model.change(VOLUME, "pv-db-0", |pv| pv["spec"]["persistentVolumeReclaimPolicy"] = policy);
    };
    let mut model = moved(delete);
    let now = standing(&model);
    let said = now.findings.iter().find(|one| one.object == "persistentvolume/pv-db-0");
    let said = said.expect("a finding");
    assert_eq!((said.id, said.severity), ("MIGRATE-CHANGED", Severity::Warning));
    assert!(said.message.contains("resume sets it to Retain again"), "{}", said.message);
    let kinds = [DEPLOYMENT, SET, CLAIM, VOLUME, POD, BOOK, "ReplicaSet"];
    let words = ["migrate", "status", "-f", "-", "sts/db", "--exit-code"];
    assert_eq!(run(&words, &list(&model, &kinds)).2, Some(3));
    assert_eq!(ends(&mut model, &one(), Verb::Resume), End::Done(Intent::Forward));
    assert_eq!(standing(&model).findings, Vec::new());
}

/// `kubectl delete sts --cascade=orphan`: finalize and rollback went in a circle.
#[test]
fn a_pod_that_was_left_behind_has_a_way_out() {
    let mut model = moved(|model| model.somebody_orphans_pods("db"));
    let line = hint(&standing(&model), "MIGRATE-NO-WAY-BACK");
    assert_eq!(line, "kubectl delete pod/db-0 -n default");
    let mut forward = model.clone();
    assert_eq!(ends(&mut forward, &one(), Verb::Resume), End::Done(Intent::Forward));
    kill_pod(&mut model, "db-0");
    model.settle();
    assert_eq!(ends(&mut model, &one(), Verb::Rollback), End::Done(Intent::Back));
    is_home(&model);
}

/// Nothing was looked at when "neither runs" was said.
#[test]
fn a_deployment_that_was_applied_again_on_the_way_is_seen() {
    for moves in 1..12 {
        let mut model = planned(&one());
        is_killed(&mut model, &one(), Verb::Resume, moves);
        model.disturb(|model| {
            model.delete(DEPLOYMENT, "db");
            model.settle();
            model.somebody_applies_deployment(&one(), "db");
        });
        model.settle();
        let standing = standing(&model);
        assert_eq!(standing.sources[0].presence, Presence::MadeAgain);
        assert!(!standing.sentence().contains("neither"), "{}", standing.sentence());
        assert!(standing.is_way_back_open);
        assert_eq!(ends(&mut model, &one(), Verb::Rollback), End::Done(Intent::Back));
        is_home(&model);
    }
}

/// What the journal says of a volume is not what it is.
#[test]
fn what_a_rollback_left_behind_is_named() {
    let model = arrived(&one());
    let stored = StoredJournal::read(model.all(BOOK).next().expect("it")).expect("ours");
    let claim = |name: &str| json!({"metadata": {"name": name}, "spec": {"volumeName": "pvc-1"}});
    let world = World::default();
    let claims = [claim("v0-db-1"), claim("v0-db-2")];
    let left = rollback::left_over(&world, &stored.journal, Some(&claims));
    let on: Vec<&str> = left.iter().map(|finding| finding.object.as_str()).collect();
    assert_eq!(on, ["persistentvolumeclaim/v0-db-1", "persistentvolumeclaim/v0-db-2"]);
    let unread = rollback::left_over(&world, &stored.journal, None);
    assert!(unread[0].message.contains("could not be listed"), "{unread:?}");
}

fn list(model: &Model, kinds: &[&'static str]) -> String {
    let items: Vec<&Value> = kinds.iter().flat_map(|kind| model.all(kind)).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

/// From a dump, and by its exit code.
#[test]
fn status_is_judged_by_its_exit_code() {
    let kinds = [DEPLOYMENT, SET, CLAIM, VOLUME, POD, BOOK, "ReplicaSet"];
    let status = |stdin: &str, words: &[&str]| {
        run(&[&["migrate", "status", "-f", "-"], words].concat(), stdin)
    };
    let well = list(&arrived(&one()), &kinds);
    let (stdout, _, code) = status(&well, &["sts/db", "--exit-code"]);
    assert_eq!(code, Some(0), "{stdout}");
    assert!(stdout.contains("set      1 of 1 pods Ready"), "{stdout}");
    let blank = list(&moved(come_up_blank), &kinds);
    assert_eq!(status(&blank, &["sts/db"]).2, Some(0));
    for words in [&["sts/db", "--exit-code"][..], &["--exit-code"]] {
        let (stdout, stderr, code) = status(&blank, words);
        assert_eq!(code, Some(3), "{stdout}{stderr}");
        assert!(stdout.contains("MIGRATE-OTHER-DISK"), "{stdout}");
    }
    let gone = list(&moved(|model| model.delete(SET, "db")), &kinds[1..]);
    assert_eq!(status(&gone, &["sts/db", "--exit-code"]).2, Some(8), "no Deployment in it");
    let gone = list(
        &moved(|model| model.change(SET, "db", |set| set["spec"]["replicas"] = json!(0))),
        &kinds,
    );
    assert_eq!(status(&gone, &["sts/db", "--exit-code"]).2, Some(3));
    // A claim that is being deleted is not Bound.
    let leaving = list(&moved(|model| model.delete(CLAIM, "v0-db-0")), &kinds);
    let (stdout, ..) = status(&leaving, &["sts/db"]);
    assert!(stdout.contains("Terminating") && !stdout.contains("migrate finalize"), "{stdout}");
    // Without pods nothing is said of them.
    let (stdout, _, code) = status(&list(&arrived(&one()), &kinds[..4]), &["sts/db"]);
    assert_eq!(code, Some(4), "no journal: {stdout}");
    let without = [DEPLOYMENT, SET, CLAIM, VOLUME, BOOK];
    let (stdout, _, code) = status(&list(&arrived(&one()), &without), &["sts/db"]);
    assert_eq!(code, Some(8), "{stdout}");
    assert!(stdout.contains("pods were not read") && !stdout.contains("0 of 1"), "{stdout}");
}

/// A run after the end finds everything as it should be.
#[test]
fn a_run_on_a_moved_set_is_not_refused_for_what_it_needs_no_more() {
    let deletions: [Meddling; 2] =
        [|model| model.delete(DEPLOYMENT, "db"), |model| delete_claim(model, "v0-of-db")];
    for delete in deletions {
        let mut model = moved(delete);
        assert_eq!(ends(&mut model, &one(), Verb::Run), End::Done(Intent::Forward));
    }
}
