//! Kubeconfig files for tests.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

/// A kubeconfig with one cluster, one user and one context, all called `test`.
///
/// It is written as JSON, which is YAML too.
#[derive(Clone, Debug)]
pub struct Kubeconfig {
    cluster: Value,
    user: Value,
    namespace: Option<String>,
}

impl Kubeconfig {
    pub fn new(server: &str) -> Kubeconfig {
        Kubeconfig { cluster: json!({ "server": server }), user: json!({}), namespace: None }
    }

    /// Sets a field of the cluster, such as `certificate-authority` or `proxy-url`.
    pub fn cluster(mut self, field: &str, value: impl Into<Value>) -> Kubeconfig {
        self.cluster[field] = value.into();
        self
    }

    /// Sets a field of the user, such as `token` or `exec`.
    pub fn user(mut self, field: &str, value: impl Into<Value>) -> Kubeconfig {
        self.user[field] = value.into();
        self
    }

    pub fn namespace(mut self, namespace: &str) -> Kubeconfig {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Writes it to the file `name` in `directory`, and returns the path.
    pub fn write(&self, directory: &Path, name: &str) -> PathBuf {
        let mut context = json!({ "cluster": "test", "user": "test" });
        if let Some(namespace) = &self.namespace {
            context["namespace"] = namespace.as_str().into();
        }
        let config = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{ "name": "test", "cluster": self.cluster }],
            "users": [{ "name": "test", "user": self.user }],
            "contexts": [{ "name": "test", "context": context }],
            "current-context": "test",
        });
        let path = directory.join(name);
        fs::write(&path, format!("{config:#}\n")).expect("a kubeconfig can be written");
        path
    }
}
