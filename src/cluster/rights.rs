//! Checks permissions before starting something that needs them.

use ::http::Method;
use futures_util::future::try_join_all;
use hyper::body::Bytes;
use serde_json::{Value, json};

use super::{Cluster, Failure, Resource, http, shell_quoted};

/// A permission that will be needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Right {
    pub verb: &'static str,
    pub resource: Resource,
    pub subresource: &'static str,
}

impl Right {
    /// The `kubectl auth can-i` command that asks for it.
    pub fn can_i(self, namespace: &str, flags: &str) -> String {
        let Right { verb, resource, subresource } = self;
        let namespace = Some(namespace).filter(|_| resource.namespaced);
        can_i(verb, &resource.name(), subresource, namespace, flags)
    }
}

/// The permissions that we lack, in the form of `kubectl auth can-i`.
///
/// # Errors
/// When the server cannot answer.
pub async fn missing_rights(cluster: &Cluster, rights: &[Right]) -> Result<Vec<String>, Failure> {
    missing_rights_in(cluster, cluster.namespace(), rights).await
}

/// The same in another namespace.
///
/// # Errors
/// When the server cannot answer.
pub async fn missing_rights_in(
    cluster: &Cluster,
    namespace: &str,
    rights: &[Right],
) -> Result<Vec<String>, Failure> {
    let asks = rights.iter().map(|right| async move {
        let resource = right.resource;
        let namespace = if resource.namespaced { namespace } else { "" };
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
            "spec": { "resourceAttributes": {
                "verb": right.verb, "group": resource.group, "resource": resource.plural,
                "subresource": right.subresource, "namespace": namespace,
            }},
        });
        let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
        let request = http::build(
            Method::POST,
            path,
            Some("application/json"),
            Bytes::from(review.to_string()),
        )?;
        let request_line = cluster.http.request_line(&request);
        let body = cluster.http.exchange(request).await?;
        let answer: Value = serde_json::from_slice(&body)
            .map_err(|error| Failure::Unreadable { request_line, cause: error.to_string() })?;
        let allowed = answer.pointer("/status/allowed") == Some(&Value::Bool(true));
        let slash = if right.subresource.is_empty() { "" } else { "/" };
        let name = format!("{} {}{slash}{}", right.verb, resource.name(), right.subresource);
        Ok::<_, Failure>((!allowed).then_some(name))
    });
    Ok(try_join_all(asks).await?.into_iter().flatten().collect())
}

/// The `kubectl auth can-i` command for the right that an API server says is
/// missing. Its message is the only source that always names the right one: the
/// verb of a port-forward, for example, depends on the server's version.
pub fn can_i_of(message: &str, flags: &str) -> Option<String> {
    let (_, rest) = message.split_once(" cannot ")?;
    let (verb, rest) = rest.split_once(" resource \"")?;
    let (resource, rest) = rest.split_once("\" in API group \"")?;
    let (group, rest) = rest.split_once('"')?;
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let group = if group.is_empty() { String::new() } else { format!(".{group}") };
    let namespace = rest.split_once("in the namespace \"").and_then(|(_, rest)| {
        let (namespace, _) = rest.split_once('"')?;
        Some(namespace)
    });
    Some(can_i(verb, &format!("{resource}{group}"), subresource, namespace, flags))
}

fn can_i(
    verb: &str,
    resource: &str,
    subresource: &str,
    namespace: Option<&str>,
    flags: &str,
) -> String {
    let scope = match namespace {
        Some(namespace) => format!(" -n {}", shell_quoted(namespace)),
        None if matches!(verb, "list" | "watch") => " --all-namespaces".to_owned(),
        None => String::new(),
    };
    let subresource = match subresource {
        "" => String::new(),
        subresource => format!(" --subresource={subresource}"),
    };
    let right = format!("{} {}", shell_quoted(verb), shell_quoted(resource));
    format!("kubectl auth can-i {right}{subresource}{scope}{flags}")
}

#[cfg(test)]
mod tests {
    use super::can_i_of;

    #[test]
    fn the_missing_right_is_the_one_that_the_server_names() {
        let said = "pods \"coredns-x\" is forbidden: User \"jane\" cannot create resource \
                    \"pods/portforward\" in API group \"\" in the namespace \"kube-system\"";
        assert_eq!(
            can_i_of(said, " --as=jane").as_deref(),
            Some(
                "kubectl auth can-i create pods --subresource=portforward -n kube-system --as=jane"
            )
        );
        let said = "endpointslices.discovery.k8s.io is forbidden: User \"jane\" cannot list \
                    resource \"endpointslices\" in API group \"discovery.k8s.io\" in the \
                    namespace \"dns\": no RBAC policy matched";
        assert_eq!(
            can_i_of(said, "").as_deref(),
            Some("kubectl auth can-i list endpointslices.discovery.k8s.io -n dns")
        );
        let said = "nodes is forbidden: User \"jane\" cannot list resource \"nodes\" in API group \
                    \"\" at the cluster scope";
        assert_eq!(
            can_i_of(said, "").as_deref(),
            Some("kubectl auth can-i list nodes --all-namespaces")
        );
        assert_eq!(can_i_of("no", ""), None);
    }
}
