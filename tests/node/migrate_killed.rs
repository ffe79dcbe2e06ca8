//! A migration of a real MySQL that is killed after any of its writes: gone on
//! with or taken back, every acknowledged row is there, and nothing is left.

use std::{
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use super::{
    migrate::{CLAIM, Shop},
    support::{Fault, FaultProxy, Seen, Victim, sweep, wait_for},
};

/// So many databases run at a time.
const SHOPS: usize = 2;
/// So many points are tried, unless all are asked for.
const SAMPLE: usize = 8;
/// For a point before this one to be done with.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Verb {
    Run,
    Rollback,
    Finalize,
}

impl Verb {
    fn words(self) -> &'static str {
        match self {
            Verb::Run => "run deploy/mysql --yes",
            Verb::Rollback => "rollback sts/mysql --yes",
            Verb::Finalize => "finalize sts/mysql --yes",
        }
    }
}

/// Killed after this write, and what follows.
struct Point {
    verb: Verb,
    write: usize,
    then: &'static str,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Point { verb, write, then } = self;
        write!(f, "{verb:?} killed after write {write}, then {then}")
    }
}

/// Whether a request changes something for good.
fn counts(seen: &Seen) -> bool {
    seen.writes() && !seen.path.contains("dryRun") && !seen.path.contains("accessreviews")
}

/// How many writes it has when nothing happens.
fn undisturbed(shop: &Shop, verb: Verb) -> usize {
    let proxy = shop.0.namespace.cluster().proxy();
    shop.0.migrate_through(&proxy, verb.words()).output().expect(0);
    proxy.count(|seen| counts(seen))
}

fn kill_at(proxy: &FaultProxy, write: usize, victim: &Victim) {
    let (mut writes, victim) = (0, victim.clone());
    proxy.on(move |seen| {
        writes += usize::from(counts(seen));
        (counts(seen) && writes == write).then(|| Fault::KillAfter(victim.clone()))
    });
}

impl Point {
    /// Whether the shop is again as it was.
    fn try_on(&self, shop: &Shop) -> bool {
        let app = &shop.0;
        if self.verb != Verb::Run {
            app.says(Verb::Run.words(), 0);
        }
        let proxy = app.namespace.cluster().proxy();
        let victim = Victim::default();
        kill_at(&proxy, self.write, &victim);
        let output = app.migrate_through(&proxy, self.verb.words()).victim(&victim).output();
        assert_eq!(output.signal(), Some(9), "{output}\n{}", proxy.log());
        let journal = app.namespace.get("v1", "configmaps", "kubectl-stateful-migrate-mysql");
        let takes_over = format!("{} sts/mysql --yes --takeover", self.then);
        // Its last write was the end of it.
        let over = journal.is_none();
        match self.verb {
            _ if over => {}
            Verb::Finalize if self.then == "rollback" => {
                app.says(&takes_over, 11);
                app.says("resume sts/mysql --yes --takeover", 0);
            }
            _ => drop(app.says(&takes_over, 0)),
        }
        if self.verb == Verb::Finalize {
            app.is_moved("mysql", &[CLAIM], &[]);
        } else {
            let arrived = self.verb == Verb::Run && self.then == "resume";
            if arrived {
                shop.takes_writes();
                shop.has_every_row();
                app.says(Verb::Rollback.words(), 0);
            }
            app.is_home();
        }
        shop.takes_writes();
        shop.has_every_row();
        self.verb != Verb::Finalize
    }
}

#[test]
fn killed_after_any_write_no_row_is_lost() {
    let first = Shop::new("move-killed", "Delete");
    let counts = [Verb::Run, Verb::Rollback].map(|verb| (verb, undisturbed(&first, verb)));
    first.0.says(Verb::Run.words(), 0);
    let last = (Verb::Finalize, undisturbed(&first, Verb::Finalize));
    let counts = [counts[0], counts[1], last];
    let points: Vec<Point> = counts
        .iter()
        .flat_map(|(verb, writes)| (1..=*writes).map(move |write| (*verb, write)))
        .flat_map(|(verb, write)| ["resume", "rollback"].map(|then| Point { verb, write, then }))
        .collect();
    let shops: Mutex<Vec<Shop>> = Mutex::new(Vec::new());
    let busy = AtomicUsize::new(0);
    let free = || shops.lock().expect("nobody panics here").pop();
    sweep("migrate of MySQL", &format!("writes: {counts:?}"), points, SAMPLE, |point| {
        wait_for(PATIENCE, "a place", || {
            let taken = busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |busy| {
                (busy < SHOPS).then_some(busy + 1)
            });
            taken.ok()
        });
        let _place = Place(&busy);
        let shop = free().unwrap_or_else(|| Shop::new("move-killed", "Delete"));
        // One that is not as it should be is left alone.
        if point.try_on(&shop) {
            shops.lock().expect("nobody panics here").push(shop);
        }
    });
}

/// A place that is given back, whatever happens.
struct Place<'a>(&'a AtomicUsize);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
