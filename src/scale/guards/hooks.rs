//! Whether the hooks can run in the pods that leave: a container or a port that these do
//! not have would only fail once the scaling has begun. Pure.

use crate::{
    output::text::list,
    scale::{
        args::HookArgs,
        preview::{Preview, Way},
        rules,
    },
    workload::{Finding, Pod, Survey},
};

/// What `--container` and `--before-http` name, and is not there.
pub fn hooks(survey: &Survey, preview: &Preview, hooks: &HookArgs) -> Vec<Finding> {
    let leaves = |name: &str| {
        preview.items.iter().any(|item| item.class == Way::Leaves && item.name == name)
    };
    let mut found = Vec::new();
    let pods: Vec<&Pod> =
        survey.pods().map(|(_, pod)| pod).filter(|pod| leaves(&pod.name)).collect();
    if let Some(container) = hooks.container.as_deref().filter(|_| hooks.before_exec.is_some()) {
        let lacks = |pod: &&&Pod| !pod.lasting_containers().any(|one| one == container);
        let without: Vec<&Pod> = pods.iter().filter(lacks).copied().collect();
        if let Some(first) = without.first() {
            let names: Vec<&str> = without.iter().map(|pod| pod.name.as_str()).collect();
            let has: Vec<&str> = first.lasting_containers().collect();
            let (pods, whose) = match names.as_slice() {
                [one] => (format!("pod {one} has"), "it".to_owned()),
                several => (format!("pods {} have", list(several)), first.name.clone()),
            };
            let message =
                format!("{pods} no container {container}; {whose} has {}", has.join(", "));
            found.push(rules::HOOK_UNUSABLE.found(format!("pod/{}", first.name), message));
        }
    }
    if let Some(request) = &hooks.before_http
        && let Err(why) = request.port(&survey.set.template)
        && preview.items.iter().any(|item| item.class == Way::Leaves)
    {
        let message = format!("--before-http {request}: {why}");
        found.push(rules::HOOK_UNUSABLE.found(survey.set.reference(), message));
    }
    found
}
