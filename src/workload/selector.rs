//! Label selectors.

use std::collections::BTreeMap;

/// `matchLabels` and `matchExpressions` of a selector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    pub labels: BTreeMap<String, String>,
    pub expressions: Vec<Expression>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    pub key: String,
    pub operator: String,
    pub values: Vec<String>,
}

impl Selector {
    /// The form of the `labelSelector` query parameter.
    pub fn query(&self) -> String {
        let equalities = self.labels.iter().map(|(key, value)| format!("{key}={value}"));
        let expressions = self.expressions.iter().map(|expression| {
            let Expression { key, operator, values } = expression;
            match operator.as_str() {
                "Exists" => key.clone(),
                "DoesNotExist" => format!("!{key}"),
                "NotIn" => format!("{key} notin ({})", values.join(",")),
                _ => format!("{key} in ({})", values.join(",")),
            }
        });
        equalities.chain(expressions).collect::<Vec<_>>().join(",")
    }

    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        contains_all(labels, &self.labels)
            && self.expressions.iter().all(|expression| {
                let value = labels.get(&expression.key);
                let listed = value.is_some_and(|value| expression.values.contains(value));
                match expression.operator.as_str() {
                    "Exists" => value.is_some(),
                    "DoesNotExist" => value.is_none(),
                    "NotIn" => !listed,
                    _ => listed,
                }
            })
    }
}

/// Whether `labels` has every pair of `wanted`, as a Service selects.
pub fn contains_all(labels: &BTreeMap<String, String>, wanted: &BTreeMap<String, String>) -> bool {
    wanted.iter().all(|(key, value)| labels.get(key) == Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    fn expression(key: &str, operator: &str, values: &[&str]) -> Expression {
        Expression {
            key: key.to_owned(),
            operator: operator.to_owned(),
            values: values.iter().map(|&value| value.to_owned()).collect(),
        }
    }

    #[test]
    fn matches_as_the_server_would() {
        let selector = Selector {
            labels: labels(&[("app", "web")]),
            expressions: vec![
                expression("tier", "NotIn", &["test"]),
                expression("old", "DoesNotExist", &[]),
            ],
        };
        assert!(selector.matches(&labels(&[("app", "web"), ("x", "y")])));
        assert!(!selector.matches(&labels(&[("app", "web"), ("tier", "test")])));
        assert!(!selector.matches(&labels(&[("app", "web"), ("old", "")])));
        assert!(!selector.matches(&labels(&[("x", "y")])));
        assert_eq!(selector.query(), "app=web,tier notin (test),!old");
    }
}
