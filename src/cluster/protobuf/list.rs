//! A list, item by item, as its bytes arrive.
//!
//! An API server wraps an object like this: `k8s\0`, then `runtime.Unknown`,
//! whose field 2 is the list; and of a list field 1 is the metadata, and field
//! 2 is one item, as often as there are items. So the items can be cut out
//! without waiting for the end, and no more than one of them is kept.

use super::wire::{ENDS, Fields, Kind, Malformed, tag, varint};

/// What stands before every object.
pub const MAGIC: &[u8] = b"k8s\0";

/// An item larger than this is none: etcd takes no more than a few MB.
const LARGEST: u64 = 64 << 20;

/// What a list says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    pub resource_version: String,
    /// For the next page; empty behind the last.
    pub next: String,
}

/// Cuts a list into items.
#[derive(Debug, Default)]
pub struct Cutter {
    /// What came and is not yet of any use.
    pending: Vec<u8>,
    place: Place,
    /// Bytes of the list that are still to come, within the envelope.
    left: u64,
    /// Bytes of a field that nobody wants.
    skip: u64,
    kind: String,
    meta: Meta,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    #[default]
    Magic,
    Envelope,
    List,
    /// Behind the list, where no other may begin.
    Behind,
}

impl Cutter {
    /// Takes what came, and gives every item that is whole to `item`.
    pub fn take(
        &mut self,
        data: &[u8],
        item: &mut impl FnMut(&[u8]) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        // Most of the time nothing is pending, and nothing is copied.
        if self.pending.is_empty() {
            let used = self.cut(data, item)?;
            self.pending.extend_from_slice(&data[used..]);
        } else {
            let mut all = std::mem::take(&mut self.pending);
            all.extend_from_slice(data);
            let used = self.cut(&all, item)?;
            all.drain(..used);
            self.pending = all;
        }
        Ok(())
    }

    /// What the list says of itself, when it is whole; and its kind.
    pub fn end(self) -> Result<(String, Meta), Malformed> {
        let whole = self.pending.is_empty() && self.skip == 0;
        match self.place {
            Place::Behind if whole => Ok((self.kind, self.meta)),
            _ => Err(ENDS),
        }
    }

    /// How many bytes were used.
    fn cut(
        &mut self,
        data: &[u8],
        item: &mut impl FnMut(&[u8]) -> Result<(), Malformed>,
    ) -> Result<usize, Malformed> {
        let mut at = 0;
        loop {
            let rest = &data[at..];
            if self.skip > 0 {
                let skipped = self.skip.min(rest.len() as u64);
                self.skip -= skipped;
                // Not more than there is.
                at += usize::try_from(skipped).unwrap_or(rest.len());
                if self.skip > 0 {
                    return Ok(at);
                }
                continue;
            }
            if self.place == Place::List && self.left == 0 {
                self.place = Place::Behind;
            }
            let used = match self.place {
                Place::Magic => magic(rest)?,
                Place::Envelope | Place::Behind => self.envelope(rest)?,
                Place::List => self.list(rest, item)?,
            };
            match used {
                Some(used) => {
                    at += used;
                    if self.place == Place::Magic {
                        self.place = Place::Envelope;
                    }
                }
                None => return Ok(at),
            }
        }
    }

    /// A field of the envelope; `None` when more bytes are needed.
    fn envelope(&mut self, data: &[u8]) -> Result<Option<usize>, Malformed> {
        let Some((number, kind, value, head)) = head(data)? else { return Ok(None) };
        match (number, kind) {
            (2, Kind::Length) if self.place == Place::Envelope => {
                self.left = value;
                self.place = Place::List;
                Ok(Some(head))
            }
            (2, _) => Err(Malformed("there are two lists")),
            (1 | 3, Kind::Length) => {
                let Some(body) = body(data, head, value)? else { return Ok(None) };
                if number == 3 && !body.is_empty() {
                    return Err(Malformed("it is encoded once more"));
                }
                for field in Fields(body) {
                    let (number, value) = field?;
                    if number == 2 {
                        value.text()?.clone_into(&mut self.kind);
                    }
                }
                Ok(Some(head + body.len()))
            }
            (_, kind) => {
                self.ignore(kind, value);
                Ok(Some(head))
            }
        }
    }

    /// A field of the list; `None` when more bytes are needed.
    fn list(
        &mut self,
        data: &[u8],
        item: &mut impl FnMut(&[u8]) -> Result<(), Malformed>,
    ) -> Result<Option<usize>, Malformed> {
        let Some((number, kind, value, head)) = head(data)? else { return Ok(None) };
        let length = match kind {
            Kind::Varint => 0,
            Kind::Fixed(bytes) => bytes as u64,
            Kind::Length => value,
        };
        let all = length.checked_add(head as u64).filter(|all| *all <= self.left);
        let all = all.ok_or(Malformed("a field is longer than its list"))?;
        let used = match (number, kind) {
            (1 | 2, Kind::Length) => {
                let Some(body) = body(data, head, value)? else { return Ok(None) };
                if number == 1 {
                    self.meta = meta(body)?;
                } else {
                    item(body)?;
                }
                Some(head + body.len())
            }
            (_, kind) => {
                self.ignore(kind, value);
                Some(head)
            }
        };
        self.left -= all;
        Ok(used)
    }

    /// What nobody wants is not even kept.
    fn ignore(&mut self, kind: Kind, value: u64) {
        self.skip = match kind {
            Kind::Varint => 0,
            Kind::Fixed(bytes) => bytes as u64,
            Kind::Length => value,
        };
    }
}

fn magic(data: &[u8]) -> Result<Option<usize>, Malformed> {
    let known = data.len().min(MAGIC.len());
    if data[..known] != MAGIC[..known] {
        return Err(Malformed("it does not begin with k8s"));
    }
    Ok((known == MAGIC.len()).then_some(known))
}

/// Number and kind of a field, its number or length, and how many bytes these
/// take.
fn head(data: &[u8]) -> Result<Option<(u32, Kind, u64, usize)>, Malformed> {
    let Some((first, used)) = varint(data)? else { return Ok(None) };
    let (number, kind) = tag(first)?;
    if let Kind::Fixed(_) = kind {
        return Ok(Some((number, kind, 0, used)));
    }
    let Some((value, more)) = varint(&data[used..])? else { return Ok(None) };
    Ok(Some((number, kind, value, used + more)))
}

/// The bytes of a field; `None` until they are all there.
fn body(data: &[u8], head: usize, length: u64) -> Result<Option<&[u8]>, Malformed> {
    if length > LARGEST {
        return Err(Malformed("an item is larger than any can be"));
    }
    let length = usize::try_from(length).map_err(|_| ENDS)?;
    Ok(data[head..].get(..length))
}

fn meta(bytes: &[u8]) -> Result<Meta, Malformed> {
    let mut meta = Meta::default();
    for field in Fields(bytes) {
        match field? {
            (2, value) => value.text()?.clone_into(&mut meta.resource_version),
            (3, value) => value.text()?.clone_into(&mut meta.next),
            _ => {}
        }
    }
    Ok(meta)
}
