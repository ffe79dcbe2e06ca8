//! Sums over the rows, and what they cost.

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use serde::Serialize;

use super::{classify::Counts, model::Facts, row::Row, rules};
use crate::workload::Finding;

/// The price of a GiB of a storage class per month, in any currency.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    pub storage_class: String,
    pub per_gib: f64,
}

impl FromStr for Price {
    type Err = String;

    fn from_str(text: &str) -> Result<Price, String> {
        let wrong = || format!("{text:?} is not CLASS=PRICE, such as gp3=0.08");
        let (class, price) = text.split_once('=').ok_or_else(wrong)?;
        let per_gib: f64 = price.parse().map_err(|_| wrong())?;
        if class.is_empty() || !per_gib.is_finite() || per_gib < 0.0 {
            return Err(wrong());
        }
        Ok(Price { storage_class: class.to_owned(), per_gib })
    }
}

/// Sets the cost of each row whose storage class has a price. A claim that never
/// had a volume costs nothing.
pub fn price(rows: &mut [Row], prices: &[Price]) {
    const GIB: f64 = 1_073_741_824.0;
    for row in rows {
        let price =
            prices.iter().find(|price| Some(&price.storage_class) == row.storage_class.as_ref());
        let has_volume = row.is_volume() || row.volume.is_some();
        if let (Some(price), Some(bytes), true) = (price, row.bytes, has_volume) {
            #[expect(clippy::cast_precision_loss, reason = "the cost is rounded to cents anyway")]
            let gib = bytes as f64 / GIB;
            row.cost = Some(gib * price.per_gib);
        }
    }
}

/// Prices of storage classes that nothing has that was read.
pub fn unknown_classes(facts: &Facts, prices: &[Price]) -> Vec<Finding> {
    let claims = facts.claims.iter().map(|claim| &claim.class);
    let classes = claims.chain(facts.volumes.iter().map(|volume| &volume.class));
    let known: BTreeSet<&str> = classes.flatten().map(|class| &**class).collect();
    let unknown = prices.iter().filter(|price| !known.contains(price.storage_class.as_str()));
    unknown
        .map(|Price { storage_class, .. }| {
            let message =
                format!("nothing that was read has storage class {storage_class} (--price)");
            rules::NO_SUCH_CLASS.found(format!("storageclass/{storage_class}"), message)
        })
        .collect()
}

/// A sum over a group of rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Sum {
    pub name: String,
    pub count: usize,
    pub bytes: u64,
    pub cost: Option<f64>,
}

impl Sum {
    /// Adds a row, with the size of its disk if that is counted with it.
    fn add(&mut self, row: &Row, with_disk: bool) {
        self.count += 1;
        if !with_disk {
            return;
        }
        self.bytes = self.bytes.saturating_add(row.bytes.unwrap_or_default());
        if let Some(cost) = row.cost {
            *self.cost.get_or_insert(0.0) += cost;
        }
    }
}

/// All sums. Those by namespace and storage class count only orphans.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// What was read.
    pub read: Counts,
    pub orphans: Sum,
    pub by_class: Vec<Sum>,
    pub by_namespace: Vec<Sum>,
    pub by_storage_class: Vec<Sum>,
}

impl Totals {
    pub fn of(rows: &[Row], read: Counts) -> Totals {
        let mut orphans = Sum { name: "orphans".to_owned(), ..Sum::default() };
        let disks = Disks::of(rows);
        let mut classes = BTreeMap::new();
        let mut namespaces: BTreeMap<&str, Sum> = BTreeMap::new();
        let mut storage: BTreeMap<&str, Sum> = BTreeMap::new();
        for row in rows {
            let own = disks.is_counted_with(row);
            classes.entry(row.class).or_insert_with(|| named(row.class.name())).add(row, own);
            if !row.orphan {
                continue;
            }
            orphans.add(row, own);
            let namespace = row.namespace.as_deref().unwrap_or_default();
            namespaces.entry(namespace).or_insert_with(|| named(namespace)).add(row, own);
            let class = row.storage_class.as_deref().unwrap_or_default();
            storage.entry(class).or_insert_with(|| named(class)).add(row, own);
        }
        Totals {
            read,
            orphans,
            by_class: classes.into_values().collect(),
            by_namespace: namespaces.into_values().collect(),
            by_storage_class: storage.into_values().collect(),
        }
    }
}

/// A disk may have several rows: of its claim, and of its volume. Its size is
/// counted with the claim.
struct Disks<'a>(BTreeSet<&'a str>);

impl<'a> Disks<'a> {
    fn of(rows: &'a [Row]) -> Disks<'a> {
        let claims = rows.iter().filter(|row| row.orphan && !row.is_volume());
        Disks(claims.filter_map(|row| row.volume.as_deref()).collect())
    }

    fn is_counted_with(&self, row: &Row) -> bool {
        !(row.is_volume() && self.0.contains(row.name.as_str()))
    }
}

fn named(name: &str) -> Sum {
    Sum { name: name.to_owned(), ..Sum::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_a_class_and_a_number() {
        let price: Price = "gp3=0.08".parse().unwrap();
        assert_eq!(price, Price { storage_class: "gp3".to_owned(), per_gib: 0.08 });
        for wrong in ["gp3", "=1", "gp3=", "gp3=cheap", "gp3=-1", "gp3=NaN", "gp3=inf"] {
            assert!(wrong.parse::<Price>().is_err(), "{wrong}");
        }
    }
}
