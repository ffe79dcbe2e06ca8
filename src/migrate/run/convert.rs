//! `convert`: reads manifests, converts them, and writes the result.

use jiff::Timestamp;

use crate::{
    cluster::ConnectionArgs,
    migrate::{
        args::{ConvertArgs, ConvertFormat},
        convert::{self, Conversion, Refused},
        files::Manifests,
        report, rules,
    },
    output::{
        Error, Exit, Look, Terminal,
        text::{count, one_line},
    },
    workload::{Finding, Severity, raw::name},
};

/// Runs `migrate convert`.
///
/// # Errors
/// When the input is not a manifest, an argument names nothing, a guard refuses,
/// or the output cannot be written.
pub fn convert(
    args: &ConvertArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let options = args.options(connection.namespace.as_deref())?;
    let manifests = Manifests::read(&args.files.paths)?;
    let mut conversion = convert::convert_what_fits(&manifests.objects, &options)?;
    report_lost_comments(&manifests, &mut conversion)?;
    report_other_files(&manifests, &mut conversion);
    report_refused(&manifests, &mut conversion);
    let refused = conversion.is_refused();
    // Then there is nothing to write.
    let converted = !refused || !conversion.sets.is_empty();
    if !converted {
        conversion.findings.retain(|finding| finding.severity == Severity::Error);
    }
    let look = Look {
        palette: terminal.stderr_palette(),
        columns: terminal.stderr_columns().unwrap_or(crate::output::layout::NARROW),
        ..Look::plain(Timestamp::now())
    };
    let notes = report::notes(&conversion, look);
    if !converted {
        terminal.say(&notes);
        return Err(refusal(conversion));
    }
    let exit = match (refused, args.exit_code && conversion.needs_a_person()) {
        (true, _) => Exit::Refused,
        (false, true) => Exit::Found,
        (false, false) => Exit::Done,
    };
    // Files first: if they cannot be written, stdout must not list them.
    let written = match &args.out {
        Some(folder) => Some(manifests.write(&conversion.outcomes, folder, args.yes)?),
        None => None,
    };
    let answer = match (args.output, &written) {
        (ConvertFormat::Json, _) => {
            let items = manifests.items(&conversion.outcomes);
            report::document(&conversion.sets, &items, &conversion.findings, exit)?
        }
        (ConvertFormat::Yaml, Some(paths)) => {
            paths.iter().map(|path| one_line(&path.display().to_string()) + "\n").collect()
        }
        (ConvertFormat::Yaml, None) => manifests.stream(&conversion.outcomes)?,
    };
    if !notes.is_empty() && args.output == ConvertFormat::Yaml {
        terminal.say(&notes);
    }
    terminal.conclude(&answer)?;
    Ok(exit)
}

fn report_lost_comments(manifests: &Manifests, conversion: &mut Conversion) -> Result<(), Error> {
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
            "{} in {on} not kept: {} line {}",
            count(lines.len(), "comment"),
            lost.file,
            lines.join(", ")
        );
        conversion.findings.push(rules::COMMENTS_LOST.found(on, message));
    }
    conversion.findings.sort_by_key(|finding| finding.severity);
    Ok(())
}

/// Names what stays as it is, where it is, and why.
fn report_refused(manifests: &Manifests, conversion: &mut Conversion) {
    for Refused { deployments, reasons } in std::mem::take(&mut conversion.refused) {
        let each = deployments.iter().map(|place| {
            let called = name(&manifests.objects[*place]);
            format!("Deployment {called} ({})", manifests.origin(*place))
        });
        let whose = each.collect::<Vec<_>>().join(", ");
        let named = reasons.into_iter().map(|reason| Finding {
            message: format!("{whose} is not converted: {}", reason.message),
            ..reason
        });
        conversion.findings.extend(named);
    }
    conversion.findings.sort_by_key(|finding| finding.severity);
}

fn report_other_files(manifests: &Manifests, conversion: &mut Conversion) {
    let found = manifests.other_files().map(|file| {
        let message =
            format!("{file} is not a Kubernetes object: --out copies it, stdout has it not");
        rules::NOT_AN_OBJECT.found(file, message)
    });
    conversion.findings.extend(found);
}

/// The refusal: which guards, and why.
fn refusal(conversion: Conversion) -> Error {
    let reasons = conversion.findings;
    let message = format!("{} refused; nothing was written", count(reasons.len(), "guard"));
    Error::new(Exit::Refused, message).because(reasons)
}
