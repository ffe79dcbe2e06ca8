//! Short hashes of values, and of templates.

use std::fmt::Write as _;

use serde_json::Value;

/// The first hexadecimal digits of the SHA-256 of a value, independent of the
/// order of its fields.
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

/// A fingerprint of a pod template: 16 hexadecimal digits. The server's
/// `creationTimestamp: null` does not count.
pub fn fingerprint(template: &Value) -> String {
    let mut template = template.clone();
    if let Some(Value::Object(metadata)) = template.get_mut("metadata")
        && metadata.get("creationTimestamp").is_some_and(Value::is_null)
    {
        metadata.shift_remove("creationTimestamp");
    }
    digest(&template, 16)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_fingerprint_is_of_what_the_template_says() {
        let one = json!({"metadata": {"creationTimestamp": null}, "spec": {"a": 1, "b": {"c": 2, "d": 3}}});
        let same = json!({"spec": {"b": {"d": 3, "c": 2}, "a": 1}, "metadata": {}});
        assert_eq!(fingerprint(&one), fingerprint(&same));
        assert_eq!(fingerprint(&one).len(), 16);
        assert_ne!(fingerprint(&one), fingerprint(&json!({"spec": {}})));
    }
}
