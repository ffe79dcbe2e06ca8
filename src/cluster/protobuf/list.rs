//! Parses a list item by item while it arrives.
//!
//! An API server sends `k8s\0`, then a `runtime.Unknown` whose field 2 is the
//! list. Field 1 of a list is its metadata, and field 2 an item, repeated. So
//! items can be parsed before the end arrives, and only one is in memory.

use super::wire::{Fields, Kind, Malformed, TRUNCATED, tag, varint};

/// The prefix of every object.
pub const MAGIC: &[u8] = b"k8s\0";

/// Larger items are rejected: etcd stores at most a few MB.
const MAX_ITEM_BYTES: u64 = 64 << 20;

/// The metadata of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    pub resource_version: String,
    /// The token of the next page; empty on the last one.
    pub next: String,
}

/// Splits a list into items.
#[derive(Debug, Default)]
pub struct ListParser {
    /// Received, but not yet a whole field.
    pending: Vec<u8>,
    state: State,
    /// Bytes of the list that are still missing.
    left: u64,
    /// Bytes to skip, of fields that are not used.
    skip: u64,
    kind: String,
    meta: Meta,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Magic,
    Envelope,
    List,
    /// After the list; there must not be another.
    Done,
}

impl ListParser {
    /// Takes received bytes, and passes every complete item to `item`.
    pub fn take(
        &mut self,
        data: &[u8],
        item: &mut impl FnMut(&[u8]) -> Result<(), Malformed>,
    ) -> Result<(), Malformed> {
        // Usually nothing is pending, and nothing is copied.
        if self.pending.is_empty() {
            let used = self.parse(data, item)?;
            self.pending.extend_from_slice(&data[used..]);
        } else {
            let mut all = std::mem::take(&mut self.pending);
            all.extend_from_slice(data);
            let used = self.parse(&all, item)?;
            all.drain(..used);
            self.pending = all;
        }
        Ok(())
    }

    /// The kind and the metadata of the list, if it is complete.
    pub fn end(self) -> Result<(String, Meta), Malformed> {
        let whole = self.pending.is_empty() && self.skip == 0;
        match self.state {
            State::Done if whole => Ok((self.kind, self.meta)),
            _ => Err(TRUNCATED),
        }
    }

    /// Parses what it can; returns the number of bytes used.
    fn parse(
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
                // At most the length of `rest`.
                at += usize::try_from(skipped).unwrap_or(rest.len());
                if self.skip > 0 {
                    return Ok(at);
                }
                continue;
            }
            if self.state == State::List && self.left == 0 {
                self.state = State::Done;
            }
            let used = match self.state {
                State::Magic => magic(rest)?,
                State::Envelope | State::Done => self.envelope(rest)?,
                State::List => self.list(rest, item)?,
            };
            match used {
                Some(used) => {
                    at += used;
                    if self.state == State::Magic {
                        self.state = State::Envelope;
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
            (2, Kind::Length) if self.state == State::Envelope => {
                self.left = value;
                self.state = State::List;
                Ok(Some(head))
            }
            (2, _) => Err(Malformed("there are two lists")),
            (1 | 3, Kind::Length) => {
                let Some(body) = body(data, head, value)? else { return Ok(None) };
                if number == 3 && !body.is_empty() {
                    return Err(Malformed("the list has a content encoding"));
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
        let all = all.ok_or(Malformed("a field is longer than the list"))?;
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

    /// Skips a field without keeping it.
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

/// The number and kind of a field, its value or length, and the size of this
/// header.
fn head(data: &[u8]) -> Result<Option<(u32, Kind, u64, usize)>, Malformed> {
    let Some((first, used)) = varint(data)? else { return Ok(None) };
    let (number, kind) = tag(first)?;
    if let Kind::Fixed(_) = kind {
        return Ok(Some((number, kind, 0, used)));
    }
    let Some((value, more)) = varint(&data[used..])? else { return Ok(None) };
    Ok(Some((number, kind, value, used + more)))
}

/// The bytes of a field; `None` until all have arrived.
fn body(data: &[u8], head: usize, length: u64) -> Result<Option<&[u8]>, Malformed> {
    if length > MAX_ITEM_BYTES {
        return Err(Malformed("an item is too large"));
    }
    let length = usize::try_from(length).map_err(|_| TRUNCATED)?;
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
