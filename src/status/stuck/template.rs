//! What the set's own spec says that will surprise somebody.

use crate::workload::{Container, Finding, Probe, ProbeKind, Retention, Rule, Severity, Survey};

pub(super) const RULES: &[&Rule] = &[&PROBE_NO_SHELL, &WHEN_SCALED_DELETE, &WHEN_DELETED_DELETE];

const PROBE_NO_SHELL: Rule = Rule {
    id: "STATUS-PROBE-NO-SHELL",
    severity: Severity::Warning,
    means: "A probe's command holds a variable that nobody expands: no shell runs a probe, and \
            Kubernetes expands $(NAME) in a container's command and args only, never in a probe. \
            The program receives the characters as they stand. An error while the pod is not Ready.",
    evidence: "A probe's exec command holds $(NAME) or ${NAME} and does not begin with a shell \
               that is given -c.",
    remedy: "Run it through a shell: command: [\"sh\", \"-c\", \"…\"].",
};

const WHEN_SCALED_DELETE: Rule = Rule {
    id: "STATUS-WHEN-SCALED-DELETE",
    severity: Severity::Warning,
    means: "Scaling down deletes the claims of the ordinals that leave, at once and without a way \
            back; disks whose policy is Delete go with them.",
    evidence: "persistentVolumeClaimRetentionPolicy.whenScaled is Delete.",
    remedy: "Set it to Retain unless the data is dispensable.",
};

const WHEN_DELETED_DELETE: Rule = Rule {
    id: "STATUS-WHEN-DELETED-DELETE",
    severity: Severity::Warning,
    means: "Deleting the set deletes all its claims; disks whose policy is Delete go with them.",
    evidence: "persistentVolumeClaimRetentionPolicy.whenDeleted is Delete.",
    remedy: "Set it to Retain unless the data is dispensable.",
};

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
        " (nor does the container define it)"
    };
    let message = format!(
        "the {kind} probe of container {name} passes {argument:?} as it stands: no shell runs \
         probes, so {variable} is never expanded{from}"
    );
    // A pod that this probe keeps from being Ready; liveness kills it later.
    let pods = || survey.pods().map(|(_, pod)| pod).filter(|pod| !pod.is_terminating());
    let fails = probe.kind != ProbeKind::Liveness
        && pods()
            .any(|pod| pod.containers.iter().any(|status| status.name == *name && !status.ready));
    let severity = if fails { Severity::Error } else { Severity::Warning };
    Some(
        PROBE_NO_SHELL.found(survey.set.reference(), message).at(severity).hint(format!(
            "write it as command: [\"sh\", \"-c\", {:?}]",
            shell_line(&probe.command)
        )),
    )
}

fn runs_shell(command: &[String]) -> bool {
    let program = command.first().map_or("", |program| program.rsplit('/').next().unwrap_or(""));
    let shell = |name: &str| matches!(name, "sh" | "bash" | "ash" | "dash" | "zsh" | "ksh");
    shell(program)
        || (matches!(program, "busybox" | "env")
            && command.iter().skip(1).any(|word| shell(word.rsplit('/').next().unwrap_or(""))))
}

/// The command as a shell wants it; words with blanks in quotes that let the
/// shell expand variables, and `$(NAME)`, which a shell would run, as `${NAME}`.
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

/// The first `$(NAME)` or `${NAME}` of an argument.
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
    let doomed = disks.filter(|volume| volume.reclaim_policy == "Delete").count();
    let fate = if survey.facts.volumes.is_none() {
        "what happens to the disks could not be read".to_owned()
    } else {
        format!("{doomed} of the disks in use have policy Delete and go with them")
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
    fn variables_that_nobody_expands_are_seen() {
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
