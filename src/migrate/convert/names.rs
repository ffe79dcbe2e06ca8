//! Checks that Kubernetes accepts the new names.

use serde_json::Value;

use super::{Converter, fold::Source, volumes::Storage};
use crate::{
    migrate::rules,
    workload::{
        Rule,
        raw::{kind_and_name, name},
    },
};

/// The label `controller-revision-hash` has the name of the set, a hyphen and ten
/// characters, and the limit of a label is 63.
const SET: usize = 52;
const LABEL: usize = 63;
const SUBDOMAIN: usize = 253;

fn is_dns_label(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    !text.is_empty() && text.chars().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

impl Converter<'_> {
    pub(super) fn check_names(
        &mut self,
        source: &Source,
        set: &str,
        service: &str,
        storage: &Storage,
    ) {
        let on = kind_and_name(&source.body);
        let mut found = |rule: &Rule, message: String, flag: &str| {
            self.findings
                .push(rule.found(on.clone(), message).hint(format!("choose another: {flag}")));
        };
        let too_long = |what: &str, text: &str, most: usize, flag: &str| {
            let length = text.chars().count();
            (length > most).then(|| {
                (
                    format!("{what} {text} has {length} characters, and the limit is {most}"),
                    flag.to_owned(),
                )
            })
        };
        let replicas = self
            .options
            .replicas
            .map(u64::from)
            .or_else(|| source.body.pointer("/spec/replicas").and_then(Value::as_u64))
            .unwrap_or(1);
        let last = format!("{set}-{}", replicas.saturating_sub(1));
        let mut long = vec![
            too_long("the StatefulSet's name", set, SET, "--name"),
            too_long("the pod's name", &last, LABEL, "--name"),
            too_long("the Service's name", service, LABEL, "--service"),
        ];
        for view in &storage.views {
            let Some(template) = &view.template else { continue };
            long.push(too_long("the template's name", template, LABEL, "--claim VOLUME=TEMPLATE"));
            long.push(too_long(
                "the claim's name",
                &view.claim_then,
                SUBDOMAIN,
                "--claim VOLUME=TEMPLATE",
            ));
        }
        for (message, flag) in long.into_iter().flatten() {
            found(&rules::NAME_TOO_LONG, message, &flag);
        }
        let unusable = |what: &str, text: &str| format!("{what} {text:?} is not a DNS label");
        if !is_dns_label(set) {
            found(&rules::NAME_UNUSABLE, unusable("the StatefulSet's name", set), "--name");
        }
        let letter_first = service.starts_with(|c: char| c.is_ascii_lowercase());
        if !is_dns_label(service) || !letter_first {
            found(&rules::NAME_UNUSABLE, unusable("the Service's name", service), "--service");
        }
        for template in storage.views.iter().filter_map(|view| view.template.as_deref()) {
            if !is_dns_label(template) {
                let message = unusable("the template's name", template);
                found(&rules::NAME_UNUSABLE, message, "--claim VOLUME=TEMPLATE");
            }
        }
        if let Some(taken) = self.find("StatefulSet", set, &source.body) {
            let message = format!("StatefulSet {} already exists", name(&self.objects[taken]));
            self.findings.push(rules::NAME_TAKEN.found(on, message).hint("choose another: --name"));
        }
    }
}
