//! Reads manifests, converts them, writes what came out.

use jiff::Timestamp;

use crate::{
    cluster::ConnectionArgs,
    migrate::{
        args::{ConvertArgs, Written},
        convert::{self, Conversion},
        files::Manifests,
        report, rules,
    },
    output::{
        Error, Exit, Look, Terminal,
        text::{count, one_line},
    },
    workload::Severity,
};

/// Runs `migrate convert`.
///
/// # Errors
/// When the input is no manifest, a word names nothing, a guard says no, or
/// the output cannot be written.
pub fn convert(
    args: &ConvertArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let options = args.options(connection.namespace.as_deref())?;
    let manifests = Manifests::read(&args.filename)?;
    let mut conversion = convert::convert(&manifests.objects, &options)?;
    say_lost_comments(&manifests, &mut conversion)?;
    if conversion.is_refused() {
        conversion.findings.retain(|finding| finding.severity == Severity::Error);
    }
    let look = Look {
        palette: terminal.stderr_palette(),
        columns: terminal.stderr_columns().unwrap_or(crate::output::layout::NARROW),
        ..Look::plain(Timestamp::now())
    };
    let notes = report::notes(&conversion, look);
    if conversion.is_refused() {
        terminal.say(&notes);
        return Err(refused(conversion));
    }
    let exit = if args.exit_code && conversion.needs_a_person() { Exit::Found } else { Exit::Done };
    // Files come first: where they cannot be written, nothing was converted.
    let written = match &args.out {
        Some(folder) => Some(manifests.write(&conversion.outcomes, folder, args.yes)?),
        None => None,
    };
    let answer = match (args.output, &written) {
        (Written::Json, _) => {
            let items = manifests.items(&conversion.outcomes);
            report::document(&conversion.sets, &items, &conversion.findings, exit)?
        }
        (Written::Yaml, Some(paths)) => {
            paths.iter().map(|path| one_line(&path.display().to_string()) + "\n").collect()
        }
        (Written::Yaml, None) => manifests.stream(&conversion.outcomes)?,
    };
    if !notes.is_empty() && args.output == Written::Yaml {
        terminal.say(&notes);
    }
    terminal.conclude(&answer)?;
    Ok(exit)
}

fn say_lost_comments(manifests: &Manifests, conversion: &mut Conversion) -> Result<(), Error> {
    for lost in manifests.lost_comments(&conversion.outcomes)? {
        let object = &manifests.objects[lost.object];
        let word = |pointer: &str| object.pointer(pointer).and_then(serde_json::Value::as_str);
        let on = format!(
            "{}/{}",
            word("/kind").unwrap_or_default(),
            word("/metadata/name").unwrap_or_default()
        );
        let lines: Vec<String> = lost.lines.iter().map(ToString::to_string).collect();
        let message = format!(
            "{} inside {on} not carried over: {} line {}",
            count(lines.len(), "comment"),
            lost.file,
            lines.join(", ")
        );
        conversion.findings.push(rules::COMMENTS_LOST.found(on, message));
    }
    conversion.findings.sort_by_key(|finding| finding.severity);
    Ok(())
}

/// What was only to be said of an output that is not there goes unsaid.
fn refused(conversion: Conversion) -> Error {
    let reasons = conversion.findings;
    let message = format!("{} said no; nothing was written", count(reasons.len(), "guard"));
    Error::new(Exit::Refused, message).because(reasons)
}
