//! Protocol Buffers from an API server.
//!
//! All built-in objects have this encoding, and it costs the server and us
//! about a third of JSON. There is no generated code: messages are read by field
//! number, and only for the fields that are used.

pub mod kinds;
pub mod list;
pub mod object;
pub mod wire;

#[cfg(test)]
mod tests;

/// The encodings that we accept, in order of preference.
pub const ACCEPT: &str = "application/vnd.kubernetes.protobuf, application/json";
/// The content type of answers in this encoding.
pub const CONTENT_TYPE: &str = "application/vnd.kubernetes.protobuf";
