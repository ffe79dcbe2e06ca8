//! The wire format of Protocol Buffers, as far as API servers use it.

/// Why bytes are not a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

/// The value of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    /// Fixed 32 or 64 bits; no field that we read has this type.
    Fixed,
}

impl<'a> Value<'a> {
    pub fn bytes(self) -> Result<&'a [u8], Malformed> {
        match self {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed("a field has the wrong type")),
        }
    }

    pub fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Malformed("a string is not UTF-8"))
    }

    pub fn number(self) -> Result<u64, Malformed> {
        match self {
            Value::Number(number) => Ok(number),
            _ => Err(Malformed("a field has the wrong type")),
        }
    }

    /// A signed number; negative ones take ten bytes on the wire.
    pub fn signed(self) -> Result<i64, Malformed> {
        self.number().map(u64::cast_signed)
    }

    pub fn fields(self) -> Result<Fields<'a>, Malformed> {
        self.bytes().map(Fields)
    }
}

/// The fields of a whole message, in their order on the wire.
#[derive(Clone, Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Value<'a>), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            // The start of the next field is unknown.
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Result<(u32, Value<'a>), Malformed> {
        let (number, kind) = tag(self.varint()?)?;
        let value = match kind {
            Kind::Varint => Value::Number(self.varint()?),
            Kind::Length => {
                let length = usize::try_from(self.varint()?).map_err(|_| TOO_LONG)?;
                Value::Bytes(self.take(length)?)
            }
            Kind::Fixed(bytes) => {
                self.take(bytes)?;
                Value::Fixed
            }
        };
        Ok((number, value))
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        match varint(self.0)? {
            Some((value, length)) => {
                self.0 = &self.0[length..];
                Ok(value)
            }
            None => Err(TRUNCATED),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(TRUNCATED)?;
        self.0 = rest;
        Ok(taken)
    }
}

pub const TRUNCATED: Malformed = Malformed("it ends in the middle of a field");
const TOO_LONG: Malformed = Malformed("a field is too long");

/// How a value is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Varint,
    Length,
    Fixed(usize),
}

/// A field's number and kind.
pub fn tag(tag: u64) -> Result<(u32, Kind), Malformed> {
    let number = u32::try_from(tag >> 3).map_err(|_| Malformed("invalid field number"))?;
    if number == 0 {
        return Err(Malformed("invalid field number"));
    }
    let kind = match tag & 7 {
        0 => Kind::Varint,
        1 => Kind::Fixed(8),
        2 => Kind::Length,
        5 => Kind::Fixed(4),
        _ => return Err(Malformed("unknown wire type")),
    };
    Ok((number, kind))
}

/// The number at the start and its size in bytes; `None` when more bytes are
/// needed.
pub fn varint(bytes: &[u8]) -> Result<Option<(u64, usize)>, Malformed> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(10).enumerate() {
        let part = u64::from(byte & 0x7f);
        // The tenth byte has one bit left.
        if at == 9 && part > 1 {
            return Err(Malformed("a number is too large"));
        }
        value |= part << (7 * at);
        if byte & 0x80 == 0 {
            return Ok(Some((value, at + 1)));
        }
    }
    if bytes.len() >= 10 { Err(Malformed("a number is too long")) } else { Ok(None) }
}

#[cfg(test)]
pub(crate) mod write {
    //! Encoding, for tests.

    pub fn varint(mut value: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        while value >= 0x80 {
            bytes.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
            value >>= 7;
        }
        bytes.push(u8::try_from(value).unwrap());
        bytes
    }

    pub fn number(field: u32, value: u64) -> Vec<u8> {
        [varint(u64::from(field) << 3), varint(value)].concat()
    }

    pub fn bytes(field: u32, value: &[u8]) -> Vec<u8> {
        [varint(u64::from(field) << 3 | 2), varint(value.len() as u64), value.to_vec()].concat()
    }

    pub fn text(field: u32, value: &str) -> Vec<u8> {
        bytes(field, value.as_bytes())
    }

    pub fn message(field: u32, parts: &[Vec<u8>]) -> Vec<u8> {
        bytes(field, &parts.concat())
    }
}
