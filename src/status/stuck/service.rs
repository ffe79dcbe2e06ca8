//! The governing Service: without it the ordinals have no names.

use crate::workload::{Finding, Rule, Survey, contains_all, rule};

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
    "The governing Service does not select the pods of this set, so their names do not resolve.",
    "The Service's selector requires a label that the pod template does not have; the finding \
     names the first such label. Or it has no selector: then only kubectl stateful dns explain, \
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
    if service.selector.is_empty() || contains_all(&set.template.labels, &service.selector) {
        return;
    }
    let wrong =
        service.selector.iter().find(|(key, value)| set.template.labels.get(*key) != Some(*value));
    if let Some((key, value)) = wrong {
        let has = set
            .template
            .labels
            .get(key)
            .map_or_else(|| "have no such label".to_owned(), |other| format!("have {key}={other}"));
        found.push(
            SELECTS_NOTHING
                .found(&object, format!("Service {name} selects {key}={value}, but the pods {has}"))
                .hint(format!("kubectl edit service {name} {at}")),
        );
    }
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
