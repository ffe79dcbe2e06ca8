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
    /// Reads a label selector as kubectl does: `app=web,tier!=test,env in (a,b),!old`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Selector, String> {
        let mut selector = Selector::default();
        for part in requirements(text) {
            selector.expressions.push(requirement(part.trim()).ok_or_else(|| {
                format!("{part:?} is not a requirement, such as app=web or env in (a,b)")
            })?);
        }
        Ok(selector)
    }

    /// The form of the `labelSelector` query parameter.
    pub fn query(&self) -> String {
        let equalities = self.labels.iter().map(|(key, value)| format!("{key}={value}"));
        let expressions = self.expressions.iter().map(|expression| {
            let Expression { key, operator, values } = expression;
            match (operator.as_str(), values.as_slice()) {
                ("Exists", _) => key.clone(),
                ("DoesNotExist", _) => format!("!{key}"),
                // As people write it.
                ("In", [value]) => format!("{key}={value}"),
                ("NotIn", [value]) => format!("{key}!={value}"),
                ("NotIn", _) => format!("{key} notin ({})", values.join(",")),
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

/// Splits at the commas outside of parentheses.
fn requirements(text: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    text.split(|c: char| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    })
    .collect()
}

fn requirement(part: &str) -> Option<Expression> {
    let of = |key: &str, operator: &str, values: Vec<String>| {
        let key = key.trim();
        let fits = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        (!key.is_empty() && key.chars().all(fits)).then(|| Expression {
            key: key.to_owned(),
            operator: operator.to_owned(),
            values,
        })
    };
    let one = |value: &str| {
        let value = value.trim();
        value
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
            .then(|| vec![value.to_owned()])
    };
    if let Some((left, list)) = part.strip_suffix(')').and_then(|part| part.split_once('(')) {
        let values: Vec<String> = list.split(',').map(|value| value.trim().to_owned()).collect();
        let mut words = left.split_whitespace();
        let (key, operator) = (words.next()?, words.next()?);
        return match (operator, words.next()) {
            ("in", None) => of(key, "In", values),
            ("notin", None) => of(key, "NotIn", values),
            _ => None,
        };
    }
    if let Some((key, value)) = part.split_once("!=") {
        return of(key, "NotIn", one(value)?);
    }
    if let Some((key, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
        return of(key, "In", one(value)?);
    }
    match part.strip_prefix('!') {
        Some(key) => of(key, "DoesNotExist", Vec::new()),
        None => of(part, "Exists", Vec::new()),
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
        assert_eq!(selector.query(), "app=web,tier!=test,!old");
    }

    #[test]
    fn selectors_select_as_kubectls_do() {
        let labels = labels(&[("app", "web"), ("env", "b"), ("x.io/y", "")]);
        for yes in [
            "app=web",
            "app==web",
            "app = web",
            "app",
            "!old",
            "env in (a,b)",
            "env notin (c)",
            "app!=db",
            "app=web,env in (a, b),!old",
            "x.io/y",
            "x.io/y=",
            "none!=x",
            "none notin (a)",
        ] {
            assert!(Selector::parse(yes).unwrap().matches(&labels), "{yes}");
        }
        for no in
            ["app=db", "!app", "env in (c)", "env notin (a,b)", "app!=web", "old", "app=web,old"]
        {
            assert!(!Selector::parse(no).unwrap().matches(&labels), "{no}");
        }
        for wrong in ["", "app=web,", "=x", "a b", "env in a", "env at (b)", "app=a b", "app=(a)"] {
            assert!(Selector::parse(wrong).is_err(), "{wrong}");
        }
    }
}
