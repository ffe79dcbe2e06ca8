//! What a dry run shows is what is then done, from wherever a migration stands.

use kubectl_stateful::{
    cluster::Mode,
    migrate::{
        forward::Checks,
        journal::{Intent, Order, StoredJournal},
        offline,
        preview::{Preview, PreviewEnd, Step, preview},
    },
};

use super::{
    migrate::{End, Verb, arrived, is_killed, planned, writes_of},
    migrate_rules::one,
    model::{BOOK, CLAIM, Class, DEPLOYMENT, Model, SET, Shape},
};

fn shapes() -> [Shape; 6] {
    [
        one(),
        Shape { disks: 2, policy: "Retain", service: false, ..one() },
        Shape { members: 2, class: Class::WaitForFirstConsumer, ..one() },
        Shape { order: Order::StopFirst, class: Class::Static, ..one() },
        Shape { keeps: true, ..one() },
        Shape { disks: 2, keeps_last: true, bound_by_controller: false, ..one() },
    ]
}

/// What a dry run of the verb shows, and in which direction it goes.
fn shown(model: &Model, verb: Verb) -> (Intent, Preview) {
    let stored = StoredJournal::read(model.all(BOOK).next().expect("it")).expect("ours");
    let intent = match verb {
        Verb::Rollback => Intent::Back,
        Verb::Finalize => Intent::Finish,
        Verb::Run | Verb::Resume => stored.intent,
    };
    let (world, _) = offline::world(&model.bundle(), &stored.journal).expect("objects");
    (intent, preview(intent, &world, &stored.journal, Checks::default(), model.now))
}

fn lines(preview: &Preview) -> Vec<String> {
    let lines = preview.steps.iter().filter_map(|step| match step {
        Step::Write(write) => Some(write.done(Mode::ClientDryRun)),
        Step::Wait(_) => None,
    });
    lines.collect()
}

/// Carries the verb out, and compares.
fn is_shown(model: &mut Model, shape: &Shape, verb: Verb, when: &str) {
    let (intent, preview) = shown(model, verb);
    let lines = lines(&preview);
    let (end, wrote) = writes_of(model, shape, verb);
    assert_eq!(end, End::Done(intent), "{when}");
    match preview.end {
        PreviewEnd::Done => assert_eq!(lines, wrote, "{when}"),
        end => panic!("{when}: {end:?} after {lines:#?}, but {wrote:#?}"),
    }
}

#[test]
fn what_a_dry_run_shows_is_what_is_done() {
    for (number, shape) in shapes().iter().enumerate() {
        for moves in (number..60).step_by(6) {
            for verb in [Verb::Rollback, Verb::Resume] {
                let mut model = planned(shape);
                is_killed(&mut model, shape, Verb::Run, moves);
                model.settle();
                let when = format!("shape {number}, {verb:?} after {moves} moves");
                is_shown(&mut model, shape, verb, &when);
            }
        }
        is_shown(&mut arrived(shape), shape, Verb::Finalize, "finalize");
        // One that was begun goes on in its direction.
        for verb in [Verb::Rollback, Verb::Finalize] {
            for moves in (number..24).step_by(6) {
                let mut model = arrived(shape);
                is_killed(&mut model, shape, verb, moves);
                model.settle();
                if model.all(BOOK).next().is_none() {
                    break;
                }
                let when = format!("shape {number}, resume of {verb:?} after {moves} moves");
                is_shown(&mut model, shape, Verb::Resume, &when);
            }
        }
    }
}

/// What is foreseen is only what comes when nothing is in the way.
#[test]
fn a_dry_run_ends_where_the_verb_would_stop() {
    // Somebody else's pod uses the claim: it does not go by itself.
    let mut model = arrived(&one());
    model.disturb(|model| model.delete(CLAIM, "v0-of-db"));
    let (_, preview) = shown(&model, Verb::Rollback);
    assert!(!lines(&preview).is_empty(), "{preview:?}");
    // A set of somebody else in the place of ours.
    let mut model = arrived(&one());
    model.disturb(|model| {
        model.change(SET, "db", |set| set["spec"]["replicas"] = serde_json::json!(3));
        model.change(DEPLOYMENT, "db", |found| found["spec"]["replicas"] = serde_json::json!(1));
    });
    model.settle();
    let (_, preview) = shown(&model, Verb::Finalize);
    assert!(matches!(preview.end, PreviewEnd::Stops(_)), "{preview:?}");
    assert!(lines(&preview).is_empty(), "{preview:?}");
}
