//! Pods and workloads, with the claims that they use, and autoscalers.

use super::fields::{Meta, Parts, meta, pair};
use crate::{
    cluster::protobuf::wire::{Fields, Malformed, Value},
    orphans::{
        model::{Kind, Pod, Scaler, Set, Text, Uid, Workload},
        read::item::Item,
    },
    workload::pool::Pool,
};

/// The claims that the volumes of a pod spec name. The name of an ephemeral
/// volume's claim begins with the pod's name, which a template does not have.
fn claims(spec: &[u8], pod: Option<&str>, pool: &mut Pool) -> Result<Box<[Text]>, Malformed> {
    let mut claims = Vec::new();
    for field in Fields(spec) {
        let (1, volume) = field? else { continue };
        let (mut name, mut source) = ("", None);
        for field in volume.fields()? {
            match field? {
                (1, value) => name = value.text()?,
                (2, value) => source = Some(value.fields()?),
                _ => {}
            }
        }
        for field in source.into_iter().flatten() {
            match field? {
                (10, value) => {
                    for field in value.fields()? {
                        if let (1, value) = field? {
                            claims.push(claim_name(value.text()?, pod, pool));
                        }
                    }
                }
                (29, _) => {
                    if let Some(pod) = pod {
                        claims.push(format!("{pod}-{name}").into());
                    }
                }
                _ => {}
            }
        }
    }
    Ok(claims.into())
}

/// A claim name in a pod is rarely repeated; one in a template may be repeated in
/// a hundred old ReplicaSets.
fn claim_name(name: &str, pod: Option<&str>, pool: &mut Pool) -> Text {
    if pod.is_some() { name.into() } else { pool.text(name) }
}

pub(super) fn pod(parts: &Parts<'_>, pool: &mut Pool) -> Result<Item, Malformed> {
    let meta = meta(parts.meta, false, pool)?;
    let uid = Uid::of(meta.uid);
    let claims = claims(parts.spec, Some(meta.name), pool)?;
    if claims.is_empty() {
        return Ok(Item::Pod(uid, None));
    }
    let mut finished = false;
    for field in Fields(parts.status) {
        if let (1, phase) = field? {
            finished = matches!(phase.text()?, "Succeeded" | "Failed");
        }
    }
    let mut on_node = false;
    for field in Fields(parts.spec) {
        if let (10, node) = field? {
            on_node = !node.text()?.is_empty();
        }
    }
    let pod = Pod {
        namespace: pool.text(meta.namespace),
        name: meta.name.into(),
        created: meta.created,
        on_node,
        finished,
        claims,
    };
    Ok(Item::Pod(uid, Some(pod)))
}

/// The claims of a pod template.
fn template(value: Value<'_>, pool: &mut Pool) -> Result<Box<[Text]>, Malformed> {
    of_template(value.fields()?, pool)
}

pub(super) fn of_template(fields: Fields<'_>, pool: &mut Pool) -> Result<Box<[Text]>, Malformed> {
    let mut found = Box::default();
    for field in fields {
        if let (2, spec) = field? {
            found = claims(spec.bytes()?, None, pool)?;
        }
    }
    Ok(found)
}

pub(super) fn workload(kind: Kind, parts: &Parts<'_>, pool: &mut Pool) -> Result<Item, Malformed> {
    let meta = meta(parts.meta, false, pool)?;
    let mut found = Box::default();
    let place = match kind {
        Kind::DaemonSet => 2,
        Kind::Job => 6,
        Kind::CronJob => 5,
        _ => 3,
    };
    for field in Fields(parts.spec) {
        match field? {
            (number, value) if number == place && kind == Kind::CronJob => {
                for field in value.fields()? {
                    let (2, job) = field? else { continue };
                    for field in job.fields()? {
                        if let (6, value) = field? {
                            found = template(value, pool)?;
                        }
                    }
                }
            }
            (number, value) if number == place => found = template(value, pool)?,
            _ => {}
        }
    }
    Ok(Item::Workload(Uid::of(meta.uid), named(kind, &meta, found, pool)))
}

pub(super) fn named(
    kind: Kind,
    meta: &Meta<'_>,
    claims: Box<[Text]>,
    pool: &mut Pool,
) -> Option<Workload> {
    let namespace = pool.text(meta.namespace);
    (!claims.is_empty()).then(|| Workload { kind, namespace, name: meta.name.into(), claims })
}

pub(super) fn set(parts: &Parts<'_>, pool: &mut Pool) -> Result<Item, Malformed> {
    let meta = meta(parts.meta, true, pool)?;
    let mut set = Set {
        operator: meta.controller.clone(),
        scaling: meta.marks.scaling.map(|note| pool.text(note)),
        namespace: pool.text(meta.namespace),
        name: meta.name.into(),
        uid: meta.uid.into(),
        // The server's default.
        replicas: 1,
        ..Set::default()
    };
    let (mut templates, mut found) = (Vec::new(), Box::default());
    for field in Fields(parts.spec) {
        match field? {
            (1, value) => set.replicas = u32::try_from(value.signed()?).unwrap_or_default(),
            (2, value) => {
                for field in value.fields()? {
                    let (1, label) = field? else { continue };
                    let (key, value) = pair(label)?;
                    let value = value.map_or(Ok(""), Value::text)?;
                    set.labels.insert(pool.text(key), pool.text(value));
                }
            }
            (3, value) => found = template(value, pool)?,
            (4, value) => {
                for field in value.fields()? {
                    if let (1, value) = field? {
                        let of_template = super::fields::meta(value.bytes()?, false, pool)?;
                        templates.push(pool.text(of_template.name));
                    }
                }
            }
            (10, value) => {
                for field in value.fields()? {
                    match field? {
                        (1, value) => set.deletes_when_deleted = value.text()? == "Delete",
                        (2, value) => set.deletes_when_scaled = value.text()? == "Delete",
                        _ => {}
                    }
                }
            }
            (11, value) => {
                for field in value.fields()? {
                    if let (1, value) = field? {
                        set.start = u32::try_from(value.signed()?).unwrap_or_default();
                    }
                }
            }
            _ => {}
        }
    }
    set.templates = templates.into();
    let workload = named(Kind::StatefulSet, &meta, found, pool);
    Ok(Item::Set(Uid::of(meta.uid), set, workload))
}

pub(super) fn scaler(parts: &Parts<'_>, pool: &mut Pool) -> Result<Scaler, Malformed> {
    let meta = meta(parts.meta, false, pool)?;
    let mut scaler = Scaler {
        kind: Kind::Autoscaler,
        namespace: pool.text(meta.namespace),
        name: meta.name.into(),
        target_kind: pool.text(""),
        target: pool.text(""),
        most: 0,
    };
    for field in Fields(parts.spec) {
        match field? {
            (1, value) => {
                for field in value.fields()? {
                    match field? {
                        (1, value) => scaler.target_kind = pool.text(value.text()?),
                        (2, value) => scaler.target = pool.text(value.text()?),
                        _ => {}
                    }
                }
            }
            (3, value) => scaler.most = u32::try_from(value.signed()?).unwrap_or_default(),
            _ => {}
        }
    }
    Ok(scaler)
}
