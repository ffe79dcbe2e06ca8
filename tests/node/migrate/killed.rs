//! A migration of a real MySQL that is killed after any of its writes, on a
//! volume made by hand, on one that waited for its pod, and on two: gone on with
//! or taken back, every acknowledged row is there, and nothing is left.

use std::{fmt, sync::Mutex};

use super::{Shop, Stock};
use crate::support::{Fault, FaultProxy, Victim, sweep_concurrently};

/// How many databases run at a time.
const SHOPS: usize = 2;
/// How many points are tried, unless all are asked for.
const SAMPLE: usize = 6;
const STOCKS: [Stock; 3] = [Stock::ByHand("Delete"), Stock::Waited, Stock::WithLog];

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
    stock: Stock,
    verb: Verb,
    write: usize,
    then: &'static str,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Point { stock, verb, write, then } = self;
        write!(f, "{stock:?}: {verb:?} killed after write {write}, then {then}")
    }
}

/// How many writes it has when nothing happens.
fn undisturbed(shop: &Shop, verb: Verb) -> usize {
    let proxy = shop.app.namespace.cluster().proxy();
    shop.app.migrate_through(&proxy, verb.words()).output().expect(0);
    proxy.count(|seen| seen.changes())
}

fn kill_at(proxy: &FaultProxy, write: usize, victim: &Victim) {
    let (mut writes, victim) = (0, victim.clone());
    proxy.on(move |seen| {
        writes += usize::from(seen.changes());
        (seen.changes() && writes == write).then(|| Fault::KillAfter(victim.clone()))
    });
}

impl Point {
    /// Whether the shop is again as it was.
    fn try_on(&self, shop: &Shop) -> bool {
        let app = &shop.app;
        if self.verb != Verb::Run {
            app.says(Verb::Run.words(), 0);
        }
        let proxy = app.namespace.cluster().proxy();
        let victim = Victim::default();
        kill_at(&proxy, self.write, &victim);
        let output = app.migrate_through(&proxy, self.verb.words()).victim(&victim).output();
        // Where a write met a change of somebody else there was one more to count.
        let is_shorter = proxy.count(|seen| seen.changes()) < self.write;
        let end = if is_shorter { (Some(0), None) } else { (None, Some(9)) };
        assert_eq!((output.code(), output.signal()), end, "{output}\n{}", proxy.log());
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
            app.is_moved("mysql", self.stock.claims(), &[]);
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
    let (mut points, mut counts) = (Vec::new(), Vec::new());
    for stock in STOCKS {
        let first = Shop::new("move-killed", stock);
        let mut count = |verb| {
            let writes = undisturbed(&first, verb);
            counts.push(format!("{stock:?} {verb:?} {writes}"));
            for write in 1..=writes {
                let then = ["resume", "rollback"].into_iter();
                points.extend(then.map(|then| Point { stock, verb, write, then }));
            }
        };
        count(Verb::Run);
        count(Verb::Rollback);
        first.app.says(Verb::Run.words(), 0);
        count(Verb::Finalize);
    }
    let shops: Mutex<Vec<Shop>> = Mutex::new(Vec::new());
    let free = |stock| {
        let mut shops = shops.lock().expect("nobody panics here");
        let place = shops.iter().position(|shop| shop.stock == stock)?;
        Some(shops.swap_remove(place))
    };
    let of = format!("writes: {}", counts.join(", "));
    sweep_concurrently(SHOPS, "migrate of MySQL", &of, points, SAMPLE, |point| {
        let shop = free(point.stock).unwrap_or_else(|| Shop::new("move-killed", point.stock));
        // One that is not as it should be is left alone.
        if point.try_on(&shop) {
            shops.lock().expect("nobody panics here").push(shop);
        }
    });
}
