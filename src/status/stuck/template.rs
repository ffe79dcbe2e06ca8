//! What in the set's own spec will surprise someone.

use crate::{
    output::text::count,
    workload::{Container, Finding, Probe, ProbeKind, Retention, Rule, Severity, Survey, rule},
};

pub(super) const RULES: &[&Rule] = &[&PROBE_NO_SHELL, &WHEN_SCALED_DELETE, &WHEN_DELETED_DELETE];

rule!(
    PROBE_NO_SHELL,
    "STATUS-PROBE-NO-SHELL",
    Warning,
    "A probe's command contains a variable that is never expanded: no shell runs a probe, and \
     Kubernetes expands $(NAME) only in a container's command and args, not in probes. The program \
     receives the characters as written. The finding is an error while a container with such a \
     readiness or startup probe is not ready.",
    "A probe's exec command contains $(NAME) or ${NAME}, and its program is not a shell.",
    "Run the command through a shell: command: [\"sh\", \"-c\", \"…\"]."
);

rule!(
    WHEN_SCALED_DELETE,
    "STATUS-WHEN-SCALED-DELETE",
    Warning,
    "Scaling down deletes the claims of the removed ordinals at once, and this cannot be undone; \
     disks with the policy Delete go with them.",
    "persistentVolumeClaimRetentionPolicy.whenScaled is Delete.",
    "Set it to Retain, unless the data can be lost."
);

rule!(
    WHEN_DELETED_DELETE,
    "STATUS-WHEN-DELETED-DELETE",
    Warning,
    "Deleting the set deletes all its claims; disks with the policy Delete go with them.",
    "persistentVolumeClaimRetentionPolicy.whenDeleted is Delete.",
    "Set it to Retain, unless the data can be lost."
);

pub(super) fn check(survey: &Survey, found: &mut Vec<Finding>) {
    for container in &survey.set.template.containers {
        for probe in &container.probes {
            found.extend(probe_without_shell(survey, container, probe));
        }
    }
    found.extend(retention(survey));
}

fn probe_without_shell(survey: &Survey, container: &Container, probe: &Probe) -> Option<Finding> {
    if runs_shell(&probe.command) {
        return None;
    }
    let variable = probe.command.iter().find_map(|argument| unexpanded(argument))?;
    let (kind, name) = (probe.kind.name(), &container.name);
    let argument = probe.command.iter().find(|argument| argument.contains(&variable))?;
    let known = variable_name(&variable);
    let from = if container.env_names.iter().any(|env| env == known) {
        ""
    } else {
        " (and the container does not define it)"
    };
    let message = format!(
        "the {kind} probe of container {name} passes {argument:?} as written: probes run without \
         a shell, so {variable} is never expanded{from}"
    );
    // A readiness or startup probe keeps a pod from becoming Ready. A liveness
    // probe does not: it kills the container later.
    let pods = || survey.pods().map(|(_, pod)| pod).filter(|pod| !pod.is_terminating());
    let fails = probe.kind != ProbeKind::Liveness
        && pods()
            .any(|pod| pod.containers.iter().any(|status| status.name == *name && !status.ready));
    let severity = if fails { Severity::Error } else { Severity::Warning };
    Some(
        PROBE_NO_SHELL
            .found(survey.set.reference(), message)
            .at(severity)
            .hint(format!("use command: [\"sh\", \"-c\", {:?}]", shell_line(&probe.command))),
    )
}

fn runs_shell(command: &[String]) -> bool {
    let program = command.first().map_or("", |program| program.rsplit('/').next().unwrap_or(""));
    let shell = |name: &str| matches!(name, "sh" | "bash" | "ash" | "dash" | "zsh" | "ksh");
    shell(program)
        || (matches!(program, "busybox" | "env")
            && command.iter().skip(1).any(|word| shell(word.rsplit('/').next().unwrap_or(""))))
}

/// The command in shell syntax. Words with spaces are in double quotes, which
/// let the shell expand variables; `$(NAME)`, which a shell would run, becomes
/// `${NAME}`.
fn shell_line(command: &[String]) -> String {
    let words = command.iter().map(|word| {
        let word = match unexpanded(word) {
            Some(variable) if variable.starts_with("$(") => {
                word.replace(&variable, &format!("${{{}}}", variable_name(&variable)))
            }
            _ => word.clone(),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@%+,${}".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            return word;
        }
        format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\"").replace('`', "\\`"))
    });
    words.collect::<Vec<_>>().join(" ")
}

/// The first `$(NAME)` or `${NAME}` in an argument.
fn unexpanded(argument: &str) -> Option<String> {
    let mut rest = argument;
    while let Some(start) = rest.find('$') {
        let tail = &rest[start..];
        let close = match tail.as_bytes().get(1) {
            Some(b'(') => ')',
            Some(b'{') => '}',
            _ => {
                rest = &tail[1..];
                continue;
            }
        };
        if let Some(end) = tail.find(close) {
            let name = &tail[2..end];
            let is_name =
                !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if is_name {
                return Some(tail[..=end].to_owned());
            }
        }
        rest = &tail[1..];
    }
    None
}

fn variable_name(variable: &str) -> &str {
    variable.trim_start_matches(['$', '(', '{']).trim_end_matches([')', '}'])
}

fn retention(survey: &Survey) -> Vec<Finding> {
    let set = survey.set;
    if set.claim_templates.is_empty() {
        return Vec::new();
    }
    let disks = survey.slots.iter().flat_map(|slot| &slot.claims).filter_map(|part| part.volume);
    let deleted = disks.filter(|volume| volume.reclaim_policy == "Delete").count();
    let fate = if survey.facts.volumes.is_none() {
        "the policies of the disks could not be read".to_owned()
    } else {
        format!("{} in use would go with them (policy Delete)", count(deleted, "disk"))
    };
    let patch = |field: &str| {
        format!(
            "kubectl patch sts {} {} -p '{{\"spec\":{{\"persistentVolumeClaimRetentionPolicy\":\
             {{\"{field}\":\"Retain\"}}}}}}'",
            set.name,
            survey.at()
        )
    };
    let mut found = Vec::new();
    if set.when_scaled == Retention::Delete {
        let message = format!("whenScaled is Delete: scaling down deletes claims at once; {fate}");
        found.push(WHEN_SCALED_DELETE.found(set.reference(), message).hint(patch("whenScaled")));
    }
    if set.when_deleted == Retention::Delete {
        let message = format!("whenDeleted is Delete: deleting the set deletes its claims; {fate}");
        found.push(WHEN_DELETED_DELETE.found(set.reference(), message).hint(patch("whenDeleted")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn variables_that_are_never_expanded_are_found() {
        assert_eq!(
            unexpanded("-p${MYSQL_ROOT_PASSWORD}").as_deref(),
            Some("${MYSQL_ROOT_PASSWORD}")
        );
        assert_eq!(unexpanded("$(POD)").as_deref(), Some("$(POD)"));
        assert_eq!(unexpanded("$$ $x ${A B} ${OK}").as_deref(), Some("${OK}"));
        for plain in ["", "$", "${", "costs $5", "$(date +%s)", "${}"] {
            assert_eq!(unexpanded(plain), None, "{plain}");
        }
    }

    #[test]
    fn the_hint_can_be_pasted() {
        let command = words(&["mysql", "-p$(PW)", "-e", "SELECT \"1\""]);
        assert_eq!(shell_line(&command), r#"mysql -p${PW} -e "SELECT \"1\"""#);
    }

    #[test]
    fn a_shell_expands_them() {
        assert!(runs_shell(&words(&["/bin/bash", "-c", "x"])));
        assert!(runs_shell(&words(&["busybox", "sh", "-c", "x"])));
        assert!(!runs_shell(&words(&["mysql", "-u", "root"])));
        assert!(!runs_shell(&[]));
    }
}
