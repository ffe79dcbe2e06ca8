//! The `explain` command: the page of a finding, without a server and without
//! the documentation. docs/findings.md is made of the same pages.

use clap::Args;
use serde::Serialize;

use crate::{
    canary, dns,
    flags::OutputArg,
    migrate, orphans,
    output::{
        Envelope, Error, Exit, Format, Terminal,
        table::{self, Give},
        text,
    },
    scale, status,
    workload::{Rule, Severity},
};

/// The columns of a page, where no terminal has fewer.
const COLUMNS: usize = 80;

/// Explain a finding: what it means, how it is known, and what to do
///
/// Without an ID, lists all findings; with the beginning of one, such as
/// `canary` or `dns-den`, those that begin so. Does not contact a server.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Examples:\n  kubectl stateful explain STATUS-IMAGE-PULL\n\n  # All findings of dns\n  kubectl stateful explain dns"
)]
pub struct ExplainArgs {
    /// The id of a finding, or the beginning of several
    #[arg(value_name = "ID")]
    pub finding: Option<String>,

    #[command(flatten)]
    pub output: OutputArg,
}

/// What there is to say about one kind of finding.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Page {
    id: &'static str,
    /// The command that makes the finding.
    command: &'static str,
    severity: Severity,
    /// What it means.
    means: &'static str,
    /// The fields from which it is concluded.
    evidence: &'static str,
    /// What to do about it.
    remedy: &'static str,
    /// The exit codes of a command that it stops, if it stops one.
    exit_codes: Option<String>,
    /// The flag that overrides it, if one does.
    overridden_by: Option<String>,
}

/// The payload of `explain -o json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Pages {
    items: Vec<Page>,
}

/// Every page, command by command.
pub fn pages() -> Vec<Page> {
    let plain = |command, rules: Vec<&'static Rule>| {
        rules.into_iter().map(move |rule| Page::new(command, rule, None, &[]))
    };
    let allowing = |command, rules: Vec<&'static Rule>, allowable: &'static [&'static Rule]| {
        rules.into_iter().map(move |rule| Page::new(command, rule, None, allowable))
    };
    let migrations = migrate::rules::all().into_iter().map(|rule| {
        let exit_codes = migrate::rules::exit_codes(rule);
        Page::new("migrate", rule, exit_codes, &migrate::rules::allowable())
    });
    plain("status", status::stuck::rules())
        .chain(allowing("canary", canary::rules::all(), canary::rules::ALLOWABLE))
        .chain(plain("dns", dns::rules::all()))
        .chain(allowing("scale", scale::rules::all(), scale::rules::ALLOWABLE))
        .chain(migrations)
        .chain(plain("orphans", orphans::rules::all()))
        .collect()
}

impl Page {
    fn new(
        command: &'static str,
        rule: &'static Rule,
        exit_codes: Option<String>,
        allowable: &[&Rule],
    ) -> Page {
        let Rule { id, severity, means, evidence, remedy } = rule;
        let overridden_by = allowable.contains(&rule).then(|| format!("--allow {id}"));
        Page {
            id,
            command,
            severity: *severity,
            means,
            evidence,
            remedy,
            exit_codes,
            overridden_by,
        }
    }

    pub fn id(&self) -> &'static str {
        self.id
    }

    pub fn command(&self) -> &'static str {
        self.command
    }

    fn severity_word(&self) -> &'static str {
        match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "note",
        }
    }

    /// The parts of a page, each with its heading.
    fn parts(&self) -> Vec<(&'static str, &str)> {
        let mut parts = vec![("How we know", self.evidence), ("What to do", self.remedy)];
        parts.extend(self.exit_codes.as_deref().map(|codes| ("Exit code", codes)));
        parts.extend(self.overridden_by.as_deref().map(|flag| ("Override", flag)));
        parts
    }

    /// The section in docs/findings.md.
    #[cfg(test)]
    pub fn markdown(&self) -> String {
        let Page { id, means, .. } = self;
        let mut paragraphs =
            vec![format!("### {id}"), format!("Severity: {}", self.severity_word())];
        paragraphs.push((*means).to_owned());
        paragraphs.extend(self.parts().iter().map(|(heading, part)| match *heading {
            "Override" => format!("**{heading}.** `{part}`"),
            _ => format!("**{heading}.** {part}"),
        }));
        format!("\n{}\n", paragraphs.join("\n\n"))
    }

    fn for_people(&self, columns: usize) -> String {
        let first = format!(
            "{}, {} of kubectl stateful {}",
            self.id,
            match self.severity {
                Severity::Error => "an error",
                Severity::Warning => "a warning",
                Severity::Note => "a note",
            },
            self.command
        );
        let mut lines = vec![first, String::new()];
        lines.extend(text::wrap(self.means, columns));
        for (heading, part) in self.parts() {
            lines.extend([String::new(), format!("{heading}:")]);
            let wrapped = text::wrap(part, columns - 2);
            lines.extend(wrapped.into_iter().map(|line| format!("  {line}")));
        }
        lines.push(String::new());
        lines.join("\n")
    }
}

/// Prints a page, or a list of them.
///
/// # Errors
/// `Usage` when no finding has such an id.
pub fn print(args: &ExplainArgs, terminal: Terminal) -> Result<Exit, Error> {
    let chosen = chosen(args.finding.as_deref())?;
    let columns = terminal.size().map_or(COLUMNS, |(columns, _)| columns.clamp(40, 100));
    let answer = match args.output.format {
        Format::Json | Format::Yaml | Format::Jsonl => {
            let payload = Pages { items: chosen };
            Envelope::new("explain", Exit::Done, &[], &[], payload).render(args.output.format)?
        }
        Format::Name => {
            let ids: Vec<&str> = chosen.iter().map(Page::id).collect();
            ids.join("\n") + "\n"
        }
        Format::Table | Format::Wide => match chosen.as_slice() {
            [page] => page.for_people(columns),
            pages => list(pages, columns),
        },
    };
    terminal.answer(&answer)?;
    Ok(Exit::Done)
}

/// The page with this id, or those that begin so; case does not matter.
fn chosen(typed: Option<&str>) -> Result<Vec<Page>, Error> {
    let all = pages();
    let Some(typed) = typed else { return Ok(all) };
    let id = typed.to_ascii_uppercase();
    if let Some(page) = all.iter().find(|page| page.id == id) {
        return Ok(vec![page.clone()]);
    }
    let found: Vec<Page> = all.into_iter().filter(|page| page.id.starts_with(&id)).collect();
    if found.is_empty() {
        return Err(
            Error::usage(format!("there is no finding {typed:?}")).hint("kubectl stateful explain")
        );
    }
    Ok(found)
}

/// One row a finding, with as much of its first sentence as there is room for.
fn list(pages: &[Page], columns: usize) -> String {
    let headings = ["ID", "SEVERITY", "MEANS"].map(str::to_owned).to_vec();
    let row = |page: &Page| [page.id, page.severity_word(), page.means].map(str::to_owned).to_vec();
    let rows = std::iter::once(headings).chain(pages.iter().map(row)).collect();
    table::fitted(rows, &[Give::Cut("MEANS", 20)], columns).join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(typed: &str) -> Vec<&'static str> {
        chosen(Some(typed))
            .map_or_else(|_| Vec::new(), |found| found.iter().map(Page::id).collect())
    }

    #[test]
    fn an_id_is_found_in_any_case_and_by_its_beginning() {
        assert_eq!(ids("status-image-pull"), ["STATUS-IMAGE-PULL"]);
        assert_eq!(ids("STATUS-IMAGE-PULL"), ["STATUS-IMAGE-PULL"]);
        assert!(ids("dns").len() > 10 && ids("dns").iter().all(|id| id.starts_with("DNS-")));
        // One that is the beginning of another is itself.
        for page in pages() {
            assert_eq!(ids(page.id()), [page.id()]);
        }
        assert_eq!(ids("nope"), [] as [&str; 0]);
    }

    #[test]
    fn no_two_pages_share_an_id_and_each_names_its_command() {
        let mut seen = std::collections::BTreeSet::new();
        for page in pages() {
            assert!(seen.insert(page.id()), "{} is there twice", page.id());
            let lines = page.for_people(80);
            assert!(
                lines.lines().all(|line| line.len() <= 80 || !line.trim().contains(' ')),
                "{lines}"
            );
        }
    }
}
