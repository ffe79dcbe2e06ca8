//! Telling two values apart in a few characters.

use std::fmt::Write as _;

use serde_json::Value;

/// The first hexadecimal digits of the SHA-256 of a value, whatever the order
/// of its fields.
pub fn digest(value: &Value, digits: usize) -> String {
    let mut sorted = value.clone();
    sorted.sort_all_objects();
    let hash = ring::digest::digest(&ring::digest::SHA256, sorted.to_string().as_bytes());
    let mut hex = String::new();
    for byte in hash.as_ref() {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex.truncate(digits);
    hex
}
