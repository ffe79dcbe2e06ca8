//! Objects in Protocol Buffers. The numbers are those of the `generated.proto`
//! files in k8s.io/api and k8s.io/apimachinery, which never change.

use jiff::Timestamp;

use super::item::{Item, Marks};
use crate::{
    cluster::protobuf::wire::{Fields, Malformed, Value},
    handover::disk,
    orphans::model::{
        Claim, ClaimRef, Kind, Labels, Owner, Pod, Scaler, Set, Text, Uid, Unused, Volume, Workload,
    },
    workload::pool::Pool,
};

/// Reads one object of a list of this kind.
pub fn item(kind: Kind, bytes: &[u8], pool: &mut Pool) -> Result<Item, Malformed> {
    let mut parts = Parts::default();
    for field in Fields(bytes) {
        match field? {
            (1, value) => parts.meta = value.bytes()?,
            (2, value) => parts.spec = value.bytes()?,
            (3, value) => parts.status = value.bytes()?,
            _ => {}
        }
    }
    match kind {
        Kind::Claim => claim(&parts, pool).map(Item::Claim),
        Kind::Volume => volume(&parts, pool).map(Item::Volume),
        Kind::Pod => pod(&parts, pool),
        Kind::StatefulSet => set(&parts, pool),
        Kind::Autoscaler => scaler(&parts, pool).map(Item::Scaler),
        Kind::Attachment => attachment(&parts, pool).map(Item::Attachment),
        // Custom resources are not served in this format.
        Kind::ScaledObject => Err(Malformed("a custom resource")),
        // Its template stands where others have a spec.
        Kind::PodTemplate => {
            let meta = meta(parts.meta, false, pool)?;
            let found = of_template(Fields(parts.spec), pool)?;
            Ok(Item::Workload(Uid::of(meta.uid), named(kind, &meta, found, pool)))
        }
        plain => workload(plain, &parts, pool),
    }
}

/// The fields that every object has.
#[derive(Default)]
struct Parts<'a> {
    meta: &'a [u8],
    spec: &'a [u8],
    status: &'a [u8],
}

#[derive(Default)]
struct Meta<'a> {
    name: &'a str,
    namespace: &'a str,
    uid: &'a str,
    created: Option<Timestamp>,
    deleting: Option<Timestamp>,
    labels: Labels,
    owners: Vec<Owner>,
    /// The owner that controls it.
    controller: Option<Owner>,
    finalizers: Vec<Text>,
    marks: Marks<'a>,
}

/// The metadata; `whole` with labels, owners and finalizers.
fn meta<'a>(bytes: &'a [u8], whole: bool, pool: &mut Pool) -> Result<Meta<'a>, Malformed> {
    let mut meta = Meta::default();
    for field in Fields(bytes) {
        match field? {
            (1, value) => meta.name = value.text()?,
            (3, value) => meta.namespace = value.text()?,
            (5, value) => meta.uid = value.text()?,
            (8, value) => meta.created = time(value)?,
            (9, value) => meta.deleting = time(value)?,
            (11, value) if whole => {
                let (key, value) = pair(value)?;
                let value = value.map_or(Ok(""), Value::text)?;
                meta.marks.label(key, value);
                meta.labels.insert(pool.text(key), pool.text(value));
            }
            (12, value) if whole => {
                let (key, value) = pair(value)?;
                meta.marks.annotation(key, value.map_or(Ok(""), Value::text)?);
            }
            (13, value) if whole => {
                let (owner, controls) = owner(value, pool)?;
                if controls {
                    meta.controller = Some(owner.clone());
                }
                meta.owners.push(owner);
            }
            (14, value) if whole => meta.finalizers.push(pool.text(value.text()?)),
            _ => {}
        }
    }
    Ok(meta)
}

/// An entry of a map.
fn pair(value: Value<'_>) -> Result<(&str, Option<Value<'_>>), Malformed> {
    let (mut key, mut held) = ("", None);
    for field in value.fields()? {
        match field? {
            (1, value) => key = value.text()?,
            (2, value) => held = Some(value),
            _ => {}
        }
    }
    Ok((key, held))
}

/// A time; the zero value means that it is absent.
fn time(value: Value<'_>) -> Result<Option<Timestamp>, Malformed> {
    let mut seconds = 0;
    for field in value.fields()? {
        if let (1, value) = field? {
            seconds = value.signed()?;
        }
    }
    Ok(Timestamp::from_second(seconds).ok().filter(|_| seconds != 0))
}

/// An owner, and whether it controls the object.
fn owner(value: Value<'_>, pool: &mut Pool) -> Result<(Owner, bool), Malformed> {
    let (mut owner, mut controls) = (Owner::default(), false);
    for field in value.fields()? {
        match field? {
            (1, value) => owner.kind = pool.text(value.text()?),
            (3, value) => owner.name = pool.text(value.text()?),
            (4, value) => owner.uid = pool.text(value.text()?),
            (5, value) => owner.api_version = pool.text(value.text()?),
            (6, value) => controls = value.number()? != 0,
            _ => {}
        }
    }
    Ok((owner, controls))
}

/// The value of an entry `storage` in a map of quantities.
fn storage(value: Value<'_>, pool: &mut Pool) -> Result<Option<Text>, Malformed> {
    let (key, quantity) = pair(value)?;
    let Some(quantity) = quantity.filter(|_| key == "storage") else { return Ok(None) };
    for field in quantity.fields()? {
        if let (1, value) = field? {
            return Ok(pool.some(value.text()?));
        }
    }
    Ok(None)
}

fn claim(parts: &Parts<'_>, pool: &mut Pool) -> Result<Claim, Malformed> {
    let meta = meta(parts.meta, true, pool)?;
    let mut claim = Claim {
        namespace: pool.text(meta.namespace),
        name: meta.name.into(),
        uid: meta.uid.into(),
        created: meta.created,
        deleting: meta.deleting,
        labels: pool.labels(meta.labels),
        owners: meta.owners.into(),
        finalizers: pool.list(meta.finalizers),
        kept_by: meta.marks.kept_by().map(|who| pool.text(&who)),
        mark: meta.marks.mark.map(|mark| pool.text(mark)),
        ..Claim::default()
    };
    let mut modes = Vec::new();
    for field in Fields(parts.spec) {
        match field? {
            (1, value) => modes.push(pool.text(value.text()?)),
            (2, value) => {
                for field in value.fields()? {
                    if let (2, value) = field?
                        && let Some(size) = storage(value, pool)?
                    {
                        claim.request = Some(size);
                    }
                }
            }
            (3, value) => {
                let name = value.text()?;
                claim.volume = (!name.is_empty()).then(|| name.into());
            }
            (5, value) => claim.class = Some(pool.text(value.text()?)),
            _ => {}
        }
    }
    claim.access_modes = pool.list(modes);
    if let Some(class) = meta.marks.class {
        claim.class = Some(pool.text(class));
    }
    claim.class = claim.class.filter(|class| !class.is_empty());
    for field in Fields(parts.status) {
        match field? {
            (1, value) => claim.phase = pool.text(value.text()?),
            (3, value) => {
                if let Some(size) = storage(value, pool)? {
                    claim.capacity = Some(size);
                }
            }
            (4, value) => claim.unused = condition(value)?.or(claim.unused),
            _ => {}
        }
    }
    Ok(claim)
}

/// The condition `Unused`, if it is that one.
fn condition(value: Value<'_>) -> Result<Option<Unused>, Malformed> {
    let (mut kind, mut status, mut since) = ("", "", None);
    for field in value.fields()? {
        match field? {
            (1, value) => kind = value.text()?,
            (2, value) => status = value.text()?,
            (4, value) => since = time(value)?,
            _ => {}
        }
    }
    Ok(Unused::of(kind, status, since))
}

fn volume(parts: &Parts<'_>, pool: &mut Pool) -> Result<Volume, Malformed> {
    let meta = meta(parts.meta, true, pool)?;
    let mut volume = Volume {
        name: meta.name.into(),
        uid: meta.uid.into(),
        created: meta.created,
        deleting: meta.deleting,
        labels: pool.labels(meta.labels),
        finalizers: pool.list(meta.finalizers),
        mark: meta.marks.mark.map(|mark| pool.text(mark)),
        policy: pool.text("Retain"),
        ..Volume::default()
    };
    let (mut modes, mut source, mut affinity) = (Vec::new(), [].as_slice(), [].as_slice());
    for field in Fields(parts.spec) {
        match field? {
            (2, value) => source = value.bytes()?,
            (9, value) => affinity = value.bytes()?,
            (1, value) => {
                if let Some(size) = storage(value, pool)? {
                    volume.capacity = Some(size);
                }
            }
            (3, value) => modes.push(pool.text(value.text()?)),
            (4, value) => {
                let mut held = ClaimRef::default();
                for field in value.fields()? {
                    match field? {
                        (2, value) => held.namespace = pool.text(value.text()?),
                        (3, value) => held.name = value.text()?.into(),
                        (4, value) => held.uid = value.text()?.into(),
                        _ => {}
                    }
                }
                volume.claim = Some(held);
            }
            (5, value) => {
                if let Some(policy) = pool.some(value.text()?) {
                    volume.policy = policy;
                }
            }
            (6, value) => volume.class = pool.some(value.text()?),
            _ => {}
        }
    }
    volume.access_modes = pool.list(modes);
    volume.disk = disk::of_wire(source, affinity)?.as_deref().map(Uid::of);
    for field in Fields(parts.status) {
        match field? {
            (1, value) => volume.phase = pool.text(value.text()?),
            (4, value) => volume.phase_since = time(value)?,
            _ => {}
        }
    }
    Ok(volume)
}

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

fn pod(parts: &Parts<'_>, pool: &mut Pool) -> Result<Item, Malformed> {
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

fn of_template(fields: Fields<'_>, pool: &mut Pool) -> Result<Box<[Text]>, Malformed> {
    let mut found = Box::default();
    for field in fields {
        if let (2, spec) = field? {
            found = claims(spec.bytes()?, None, pool)?;
        }
    }
    Ok(found)
}

fn workload(kind: Kind, parts: &Parts<'_>, pool: &mut Pool) -> Result<Item, Malformed> {
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

fn named(kind: Kind, meta: &Meta<'_>, claims: Box<[Text]>, pool: &mut Pool) -> Option<Workload> {
    let namespace = pool.text(meta.namespace);
    (!claims.is_empty()).then(|| Workload { kind, namespace, name: meta.name.into(), claims })
}

fn set(parts: &Parts<'_>, pool: &mut Pool) -> Result<Item, Malformed> {
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
                        let of_template = self::meta(value.bytes()?, false, pool)?;
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

fn scaler(parts: &Parts<'_>, pool: &mut Pool) -> Result<Scaler, Malformed> {
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

fn attachment(parts: &Parts<'_>, pool: &mut Pool) -> Result<Option<(Text, Text)>, Malformed> {
    let (mut volume, mut node) = (None, "");
    for field in Fields(parts.spec) {
        match field? {
            (2, value) => {
                for field in value.fields()? {
                    if let (1, value) = field? {
                        volume = Some(value.text()?);
                    }
                }
            }
            (3, value) => node = value.text()?,
            _ => {}
        }
    }
    Ok(volume.map(|volume| (volume.into(), pool.text(node))))
}
