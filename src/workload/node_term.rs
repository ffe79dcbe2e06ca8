//! Which nodes a volume can be used on.

use serde_json::Value;

use super::raw::{entries, items, name, text};

/// Whether a node matches a term of a node selector. An unknown operator matches,
/// because a guard must not refuse what it does not understand.
pub fn node_matches(node: &Value, term: &Value) -> bool {
    let label = |key: &str| {
        entries(node, "/metadata/labels")
            .find(|(known, _)| *known == key)
            .and_then(|(_, v)| v.as_str())
    };
    let expressions = items(term, "/matchExpressions").all(|wanted| {
        let value = label(text(wanted, "/key").unwrap_or_default());
        let among = |value: &str| items(wanted, "/values").any(|one| one.as_str() == Some(value));
        match text(wanted, "/operator") {
            Some("In") => value.is_some_and(among),
            Some("NotIn") => !value.is_some_and(among),
            Some("Exists") => value.is_some(),
            Some("DoesNotExist") => value.is_none(),
            _ => true,
        }
    });
    let fields = items(term, "/matchFields").all(|wanted| {
        let named = |one: &Value| one.as_str() == Some(name(node));
        text(wanted, "/key") != Some("metadata.name") || items(wanted, "/values").any(named)
    });
    expressions && fields
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::node_matches;

    #[test]
    fn a_node_matches_by_its_labels_and_by_its_name() {
        let node = json!({"metadata": {"name": "a", "labels": {"zone": "x"}}});
        let zone = |operator: &str, values: &[&str]| {
            let one = json!({"key": "zone", "operator": operator, "values": values});
            node_matches(&node, &json!({"matchExpressions": [one]}))
        };
        assert!(zone("In", &["x", "y"]) && zone("NotIn", &["y"]) && zone("Exists", &[]));
        assert!(!zone("In", &["y"]) && !zone("NotIn", &["x"]) && !zone("DoesNotExist", &[]));
        assert!(zone("Newer", &["y"]), "what is not understood does not refuse");
        let called = |name: &str| {
            let one = json!({"key": "metadata.name", "operator": "In", "values": [name]});
            node_matches(&node, &json!({"matchFields": [one]}))
        };
        assert!(called("a") && !called("b"));
    }
}
