//! The governing Service: without it the ordinals have no names.

use crate::workload::{Finding, Rule, Severity, Survey, contains_all};

pub(super) const RULES: &[&Rule] = &[&MISSING, &NOT_HEADLESS, &SELECTS_NOTHING];

const MISSING: Rule = Rule {
    id: "STATUS-SERVICE-MISSING",
    severity: Severity::Warning,
    means: "spec.serviceName names a Service that does not exist, so the pods' stable names do not \
            resolve. The API server accepts such a set.",
    evidence: "spec.serviceName and the Services of the namespace.",
    remedy: "Create a headless Service of that name: serviceName itself cannot be changed.",
};

const NOT_HEADLESS: Rule = Rule {
    id: "STATUS-SERVICE-NOT-HEADLESS",
    severity: Severity::Warning,
    means: "The governing Service has an address of its own. Its name then answers with that \
            address instead of the pods', and whether single pods' names resolve depends on the \
            DNS server.",
    evidence: "The Service's spec.clusterIP is not None.",
    remedy: "Make it headless (clusterIP: None). The field cannot be changed: delete and create \
             the Service, which takes its name out of DNS for a moment.",
};

const SELECTS_NOTHING: Rule = Rule {
    id: "STATUS-SERVICE-SELECTS-NOTHING",
    severity: Severity::Warning,
    means: "The governing Service does not select the pods of this set, so their names do not \
            resolve.",
    evidence: "The Service's selector asks for labels that the pod template does not have; the \
               first such label is named.",
    remedy: "Correct the Service's selector; that is possible at any time.",
};

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
                    format!("serviceName is {name}, and there is no Service of that name"),
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
                    format!("Service {name} is of type {} and not headless", service.kind),
                )
                .hint(format!("kubectl get service {name} {at} -o yaml")),
        );
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

/// kubectl's own idiom for a Service with a selector of one's choice; without
/// it the Service would select by a label that kubectl makes up.
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
