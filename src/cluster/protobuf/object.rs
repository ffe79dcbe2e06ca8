//! Objects in Protocol Buffers, read into the same types as their JSON.
//!
//! A [`Message`] is a table of the fields that are used, with their names in
//! JSON. With it serde reads the bytes as if they were that JSON, so that a kind
//! has one type and one conversion for both encodings. Fields that are not in
//! the table are skipped without being decoded.

use std::vec;

use jiff::Timestamp;
use serde::{
    Deserialize,
    de::{
        self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor,
        value::{BorrowedStrDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};

use super::wire::{Malformed, Value};

/// The fields of a message that are used.
#[derive(Debug)]
pub struct Message(pub &'static [Field]);

/// A field: its number on the wire, its name in JSON, and what it holds.
#[derive(Debug)]
pub struct Field {
    number: u32,
    name: &'static str,
    form: Form,
    repeated: bool,
}

/// What a field holds. The API servers write most absent values as zero values;
/// in JSON those are left out, and so they are here.
#[derive(Debug)]
pub enum Form {
    /// A string; empty means absent.
    Text,
    /// A string that may be empty: a pointer in Go.
    TextOrEmpty,
    /// A number that may be 0.
    Number,
    /// A number; 0 means absent.
    Count,
    Bool,
    /// A `Time` or `MicroTime`; zero means absent.
    Time,
    Quantity,
    IntOrString,
    Object(&'static Message),
    /// An embedded struct: a message here, part of its parent in JSON.
    Inline(&'static Message),
    /// A map from strings.
    Map(&'static Form),
}

/// A field that occurs once.
pub const fn one(number: u32, name: &'static str, form: Form) -> Field {
    Field { number, name, form, repeated: false }
}

/// A list.
pub const fn many(number: u32, name: &'static str, form: Form) -> Field {
    Field { number, name, form, repeated: true }
}

/// Reads an object.
pub fn decode<'a, T: Deserialize<'a>>(
    bytes: &'a [u8],
    message: &'static Message,
) -> Result<T, Malformed> {
    let value = Node { form: Shape::Object(message), value: Value::Bytes(bytes) };
    T::deserialize(value).map_err(|Undecodable(why)| why)
}

/// Why an object cannot be read.
#[derive(Debug)]
struct Undecodable(Malformed);

impl std::fmt::Display for Undecodable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.0)
    }
}

impl std::error::Error for Undecodable {}

impl de::Error for Undecodable {
    fn custom<T: std::fmt::Display>(_: T) -> Undecodable {
        Undecodable(Malformed("an object does not have the form of its kind"))
    }
}

impl From<Malformed> for Undecodable {
    fn from(malformed: Malformed) -> Undecodable {
        Undecodable(malformed)
    }
}

/// The form of one value.
#[derive(Clone, Copy)]
enum Shape {
    Of(&'static Form),
    Object(&'static Message),
}

/// One value.
#[derive(Clone, Copy)]
struct Node<'de> {
    form: Shape,
    value: Value<'de>,
}

impl Node<'_> {
    /// Whether JSON would leave the value out.
    fn is_absent(&self) -> Result<bool, Malformed> {
        Ok(match self.form {
            Shape::Of(Form::Text) => self.value.bytes()?.is_empty(),
            Shape::Of(Form::Count) => self.value.number()? == 0,
            Shape::Of(Form::Time) => time(self.value)?.is_none(),
            Shape::Of(_) | Shape::Object(_) => false,
        })
    }
}

/// A time; the zero value means that there is none.
fn time(value: Value<'_>) -> Result<Option<Timestamp>, Malformed> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in value.fields()? {
        match field? {
            (1, value) => seconds = value.signed()?,
            (2, value) => nanos = value.signed()?,
            _ => {}
        }
    }
    let nanos = i32::try_from(nanos).unwrap_or_default();
    Ok(Timestamp::new(seconds, nanos).ok().filter(|_| seconds != 0))
}

impl<'de> Deserializer<'de> for Node<'de> {
    type Error = Undecodable;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Undecodable> {
        let message = match self.form {
            Shape::Object(message) => message,
            Shape::Of(Form::Object(message) | Form::Inline(message)) => *message,
            Shape::Of(form) => return scalar(form, self.value, visitor),
        };
        let mut found = Vec::new();
        collect(self.value, message, &mut found)?;
        visitor.visit_map(Entries { fields: found.into_iter(), held: None })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Undecodable> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

fn scalar<'de, V: Visitor<'de>>(
    form: &Form,
    value: Value<'de>,
    visitor: V,
) -> Result<V::Value, Undecodable> {
    match form {
        Form::Number | Form::Count => visitor.visit_i64(value.signed()?),
        Form::Bool => visitor.visit_bool(value.number()? != 0),
        Form::Time => match time(value)? {
            Some(time) => visitor.visit_string(time.to_string()),
            None => visitor.visit_unit(),
        },
        Form::Quantity => {
            let mut text = "";
            for field in value.fields()? {
                if let (1, value) = field? {
                    text = value.text()?;
                }
            }
            visitor.visit_borrowed_str(text)
        }
        Form::IntOrString => {
            let (mut is_text, mut number, mut text) = (false, 0, "");
            for field in value.fields()? {
                match field? {
                    (1, value) => is_text = value.number()? == 1,
                    (2, value) => number = value.signed()?,
                    (3, value) => text = value.text()?,
                    _ => {}
                }
            }
            if is_text { visitor.visit_borrowed_str(text) } else { visitor.visit_i64(number) }
        }
        _ => visitor.visit_borrowed_str(value.text()?),
    }
}

/// The values of a field: one, or all of a list or map.
type Found<'de> = (&'static Field, Vec<Value<'de>>);

/// Adds the fields of a message that its table has.
fn collect<'de>(
    value: Value<'de>,
    message: &'static Message,
    found: &mut Vec<Found<'de>>,
) -> Result<(), Malformed> {
    for field in value.fields()? {
        let (number, value) = field?;
        let Some(field) = message.0.iter().find(|field| field.number == number) else { continue };
        if let Form::Inline(inner) = field.form {
            collect(value, inner, found)?;
            continue;
        }
        let gathers = field.repeated || matches!(field.form, Form::Map(_));
        if !gathers && (Node { form: Shape::Of(&field.form), value }).is_absent()? {
            continue;
        }
        match found.iter_mut().find(|(known, _)| std::ptr::eq(*known, field)) {
            Some((_, values)) if gathers => values.push(value),
            Some((_, values)) => *values = vec![value],
            None => found.push((field, vec![value])),
        }
    }
    Ok(())
}

/// The fields of a message.
struct Entries<'de> {
    fields: vec::IntoIter<Found<'de>>,
    held: Option<Found<'de>>,
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Undecodable;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Undecodable> {
        self.held = self.fields.next();
        let Some((field, _)) = &self.held else { return Ok(None) };
        let key: StrDeserializer<'static, Undecodable> = field.name.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, Undecodable> {
        let (field, values) = self.held.take().ok_or(Malformed("a value without a key"))?;
        if let Form::Map(of) = field.form {
            return seed.deserialize(Gathered::Map(Pairs {
                of,
                pairs: values.into_iter(),
                held: None,
            }));
        }
        if field.repeated {
            return seed.deserialize(Gathered::List(&field.form, values));
        }
        // A field without a value is never collected.
        let value = values.into_iter().next_back().ok_or(Malformed("a field without a value"))?;
        seed.deserialize(Node { form: Shape::Of(&field.form), value })
    }
}

/// A list or a map.
enum Gathered<'de> {
    List(&'static Form, Vec<Value<'de>>),
    Map(Pairs<'de>),
}

impl<'de> Deserializer<'de> for Gathered<'de> {
    type Error = Undecodable;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Undecodable> {
        match self {
            Gathered::List(form, values) => {
                let nodes = values.into_iter().map(|value| Node { form: Shape::Of(form), value });
                visitor.visit_seq(Items(nodes.collect::<Vec<_>>().into_iter()))
            }
            Gathered::Map(pairs) => visitor.visit_map(pairs),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Undecodable> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

struct Items<'de>(vec::IntoIter<Node<'de>>);

impl<'de> SeqAccess<'de> for Items<'de> {
    type Error = Undecodable;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Undecodable> {
        self.0.next().map(|node| seed.deserialize(node)).transpose()
    }
}

/// The entries of a map, each a message with a key and a value.
struct Pairs<'de> {
    of: &'static Form,
    pairs: vec::IntoIter<Value<'de>>,
    held: Option<Value<'de>>,
}

impl<'de> MapAccess<'de> for Pairs<'de> {
    type Error = Undecodable;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Undecodable> {
        let Some(pair) = self.pairs.next() else { return Ok(None) };
        let mut key = "";
        // An absent value is the zero value.
        let mut held = Value::Bytes(&[]);
        for field in pair.fields()? {
            match field? {
                (1, value) => key = value.text()?,
                (2, value) => held = value,
                _ => {}
            }
        }
        self.held = Some(held);
        let key: BorrowedStrDeserializer<'de, Undecodable> = BorrowedStrDeserializer::new(key);
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<S::Value, Undecodable> {
        let value = self.held.take().ok_or(Malformed("a value without a key"))?;
        seed.deserialize(Node { form: Shape::Of(self.of), value })
    }
}
