//! The governing Service: without it the ordinals have no names.

use std::collections::BTreeMap;

use crate::{
    output::text::list,
    workload::{Finding, Pod, Rule, Service, Survey, rule},
};

pub(super) const RULES: &[&Rule] = &[&MISSING, &NOT_HEADLESS, &SELECTS_NOTHING];

rule!(
    MISSING,
    "STATUS-SERVICE-MISSING",
    Warning,
    "spec.serviceName names a Service that does not exist, so the pods' stable names do not \
     resolve. The API server accepts such a set.",
    "spec.serviceName and the Services of the namespace.",
    "Create a headless Service of that name: serviceName itself cannot be changed."
);

rule!(
    NOT_HEADLESS,
    "STATUS-SERVICE-NOT-HEADLESS",
    Warning,
    "The governing Service is not headless. With a cluster IP, its own name resolves to that \
     instead of the pods' addresses, and whether the names of single pods resolve depends on the \
     DNS server. An ExternalName is an alias for another name, and no pod has a name under it.",
    "The Service's spec.type and spec.clusterIP, which is not None.",
    "If the pods' names resolve (kubectl stateful dns shows whether they do), nothing has to be \
     done. Otherwise make it headless (clusterIP: None). The field cannot be changed: delete the \
     Service and create it again, which takes its name out of DNS for a moment."
);

rule!(
    SELECTS_NOTHING,
    "STATUS-SERVICE-SELECTS-NOTHING",
    Warning,
    "The governing Service does not select the pods of this set, or not all of them, so their names \
     do not resolve.",
    "The Service's selector requires a label that the pods, those that are named, or the pod template \
     do not have; the finding names the first such label. Or it has no selector: then only kubectl stateful dns explain, \
     which reads the EndpointSlices, can tell whether somebody else makes them.",
    "Correct the Service's selector. This is possible at any time."
);

pub(super) fn check(survey: &Survey, found: &mut Vec<Finding>) {
    let set = survey.set;
    let (Some(name), Some(services)) = (&set.service_name, &survey.facts.services) else {
        return;
    };
    let at = survey.at();
    let Some(service) = services.iter().find(|service| service.name == *name) else {
        found.push(
            MISSING
                .found(
                    set.reference(),
                    format!("serviceName is {name}, but Service {name} does not exist"),
                )
                .hint(create_command(name, survey)),
        );
        return;
    };
    let object = format!("service/{name}");
    if !service.headless {
        found.push(
            NOT_HEADLESS
                .found(
                    &object,
                    match service.kind.as_str() {
                        "ExternalName" => format!(
                            "Service {name} is an ExternalName, and no pod has a name under an alias"
                        ),
                        kind => format!("Service {name} has type {kind} and is not headless"),
                    },
                )
                .hint(format!("kubectl get service {name} {at} -o yaml")),
        );
    }
    // An alias has no selector, and is told above.
    if service.selector.is_empty() && service.kind != "ExternalName" {
        let message = format!(
            "Service {name} has no selector: the pods have no names in DNS, unless somebody else \
             makes its EndpointSlices"
        );
        let hint = format!("kubectl stateful dns explain {} {at}", set.name);
        found.push(SELECTS_NOTHING.found(&object, message).hint(hint));
    }
    if let Some(message) = left_out(survey, service) {
        let hint = format!("kubectl edit service {name} {at}");
        found.push(SELECTS_NOTHING.found(&object, message).hint(hint));
    }
}

/// Which pods a selector leaves out, and by which label. The template alone says it
/// where there are no pods: those that run may be of an older one.
fn left_out(survey: &Survey, service: &Service) -> Option<String> {
    let wrong = |labels: &BTreeMap<String, String>| {
        let (key, value) =
            service.selector.iter().find(|(key, value)| labels.get(*key) != Some(*value))?;
        Some((format!("{key}={value}"), key.clone(), labels.get(key).cloned()))
    };
    let says = |(wanted, key, has): (String, String, Option<String>), who: &str, plural: bool| {
        let has = match (has, plural) {
            (Some(other), true) => format!("have {key}={other}"),
            (Some(other), false) => format!("has {key}={other}"),
            (None, true) => "have no such label".to_owned(),
            (None, false) => "has no such label".to_owned(),
        };
        format!("Service {} selects {wanted}, but {who} {has}", service.name)
    };
    let pods: Vec<&Pod> =
        survey.pods().map(|(_, pod)| pod).filter(|pod| !pod.is_terminating()).collect();
    let out: Vec<&&Pod> = pods.iter().filter(|pod| wrong(&pod.labels).is_some()).collect();
    if let Some(label) = out.first().and_then(|pod| wrong(&pod.labels)) {
        if out.len() == pods.len() {
            return Some(says(label, "the pods", true));
        }
        let names: Vec<&str> = out.iter().map(|pod| pod.name.as_str()).collect();
        return Some(says(label, &list(&names), names.len() > 1));
    }
    let label = wrong(&survey.set.template.labels)?;
    if pods.is_empty() {
        return Some(says(label, "the pods", true));
    }
    let says = says(label, "the template", false);
    Some(format!("{says}: the next pods that are made have no names"))
}

/// The way of kubectl to create a Service with a given selector. Without it,
/// the Service would select a label that kubectl invents.
fn create_command(name: &str, survey: &Survey) -> String {
    let labels = survey.set.selector.labels.iter();
    let selector: Vec<String> = labels.map(|(key, value)| format!("{key}={value}")).collect();
    format!(
        "kubectl create service clusterip {name} --clusterip=None --dry-run=client -o yaml | \
         kubectl set selector --local -f - '{}' -o yaml | kubectl create {} -f -",
        selector.join(","),
        survey.at()
    )
}
