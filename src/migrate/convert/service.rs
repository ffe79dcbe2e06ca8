//! The headless Service that gives the pods their DNS names.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Class, Converter, Produced, fold::Source};
use crate::{
    migrate::rules,
    workload::{
        contains_all,
        raw::{items, kind, kind_and_name, labels, name, namespace, text},
    },
};

impl Converter<'_> {
    /// The name of the governing Service, and the Service itself if it is new.
    pub(super) fn governing_service(
        &mut self,
        source: &Source,
        set: &str,
    ) -> (String, Option<Produced>) {
        if let Some(asked) = self.options.service.clone() {
            self.check_service(source, &asked);
            return (asked, None);
        }
        let mut fit: Vec<&str> = self
            .objects
            .iter()
            .filter(|object| self.namespace_of(object) == self.namespace_of(&source.body))
            .filter(|object| governs(object, source))
            .map(name)
            .collect();
        // A Service with the name of the set is what people expect.
        fit.sort_by_key(|service| *service != set);
        if let Some(service) = fit.first() {
            return ((*service).to_owned(), None);
        }
        let made = format!("{set}-headless");
        let on = kind_and_name(&source.body);
        if self.find("Service", &made, &source.body).is_some() {
            let message = format!("Service {made} already exists and cannot govern the set");
            self.findings
                .push(rules::SERVICE_UNFIT.found(on, message).hint("name another one: --service"));
            return (made, None);
        }
        let message = format!("Service {made} is new: no headless Service selects the pods");
        self.findings.push(rules::SERVICE_CREATED.found(on, message));
        let body = headless(source, &made);
        (made, Some(Produced { class: Class::Created, source: None, body }))
    }

    fn check_service(&mut self, source: &Source, asked: &str) {
        let on = kind_and_name(&source.body);
        match self.find("Service", asked, &source.body).map(|index| &self.objects[index]) {
            None => {
                let message = format!("Service {asked} is not in the input");
                self.findings.push(rules::SERVICE_UNSEEN.found(on, message));
            }
            Some(service) if governs(service, source) => {}
            Some(service) => {
                let why = if is_headless(service) {
                    "does not select the pods"
                } else {
                    "is not headless"
                };
                let message = format!("Service {asked} {why}");
                self.findings.push(
                    rules::SERVICE_UNFIT
                        .found(kind_and_name(service), message)
                        .hint("leave out --service: a separate headless Service is created"),
                );
            }
        }
    }
}

fn is_headless(service: &Value) -> bool {
    text(service, "/spec/clusterIP") == Some("None")
}

fn governs(service: &Value, source: &Source) -> bool {
    let selector = labels(service, "/spec/selector");
    kind(service) == "Service"
        && text(service, "/apiVersion") == Some("v1")
        && is_headless(service)
        && !selector.is_empty()
        && contains_all(&labels(&source.body, "/spec/template/metadata/labels"), &selector)
}

fn headless(source: &Source, service: &str) -> Value {
    let mut metadata = Map::new();
    metadata.insert("name".to_owned(), service.into());
    if let Some(namespace) = namespace(&source.body) {
        metadata.insert("namespace".to_owned(), namespace.into());
    }
    let (inherited, _) =
        super::metadata::inherited_metadata(&source.body, super::metadata::Target::Set);
    if let Some(labels) = inherited.get("labels") {
        metadata.insert("labels".to_owned(), labels.clone());
    }
    let mut selector = labels(&source.body, "/spec/selector/matchLabels");
    if selector.is_empty() {
        selector = labels(&source.body, "/spec/template/metadata/labels");
    }
    selector.remove("pod-template-hash");
    let mut spec = json!({"clusterIP": "None", "selector": selector});
    let ports = ports(source);
    if !ports.is_empty() {
        spec["ports"] = Value::Array(ports);
    }
    json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec})
}

/// The ports of the containers, each once. If there are several, each needs a
/// name.
fn ports(source: &Source) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let declared: Vec<(u64, &str, Option<&str>)> =
        items(&source.body, "/spec/template/spec/containers")
            .flat_map(|container| items(container, "/ports"))
            .filter_map(|port| {
                let number = port.get("containerPort")?.as_u64()?;
                let protocol = text(port, "/protocol").unwrap_or("TCP");
                let name = text(port, "/name").filter(|name| !name.is_empty());
                seen.insert((number, protocol)).then_some((number, protocol, name))
            })
            .collect();
    let several = declared.len() > 1;
    let mut names = BTreeSet::new();
    let mut ports = Vec::new();
    for (number, protocol, name) in declared {
        let mut port = Map::new();
        let fallback = || match protocol {
            "TCP" => format!("port-{number}"),
            other => format!("{}-{number}", other.to_ascii_lowercase()),
        };
        let name = name.map(str::to_owned).or_else(|| several.then(fallback));
        if let Some(name) = name {
            let name = if names.insert(name.clone()) { name } else { fallback() };
            port.insert("name".to_owned(), name.into());
        }
        if protocol != "TCP" {
            port.insert("protocol".to_owned(), protocol.into());
        }
        port.insert("port".to_owned(), number.into());
        ports.push(Value::Object(port));
    }
    ports
}
