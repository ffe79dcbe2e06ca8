//! `orphans adopt`: a volume becomes the claim of an ordinal.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    aftermath,
    context::{RunContext, refused, rehearse},
    rights::Rights,
    targets::parse,
};
use crate::{
    cluster::{Cluster, ConnectionArgs, DryRun, Mode, Resource, rights::Right},
    handover::Original,
    orphans::{
        adopt::{Adoption, Step, World, notes, plan},
        args::AdoptArgs,
        delete::{Action, Target, keep},
        read::around,
    },
    output::{Confirmed, Envelope, Error, Exit, Format, Question, Terminal, text::list},
    steps::{End, Progress, Stop},
    workload::{
        Finding, Severity, Unread, digest,
        raw::{items, name, uid},
    },
};

/// The payload of `orphans adopt -o json`.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct View {
    pub dry_run: bool,
    pub namespace: String,
    pub volume: String,
    pub stateful_set: String,
    pub ordinal: u32,
    pub claim: String,
    /// What is done, in order.
    pub steps: Vec<String>,
    /// What was written, in order.
    pub writes: Vec<String>,
    /// The same hash, the same plan.
    pub hash: String,
}

/// Runs it.
///
/// # Errors
/// When something cannot be read, or a guard refuses.
pub async fn run(
    args: &AdoptArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let cluster = Cluster::connect(connection, terminal).await?;
    let adoption = adoption(args, &cluster).await?;
    let world = around::to_adopt(&cluster, &adoption, None).await?;
    let unread = world.facts.unread.clone();
    terminal.warn_of_unread(&unread);
    let planned = plan(&adoption, &world, Timestamp::now())
        .map_err(|finding| refused(&cluster, &what(&adoption), std::slice::from_ref(&*finding)))?;
    let mut notes = notes(&adoption, &world);
    if !planned.is_empty() {
        notes.extend(rights_missing(&cluster, &adoption, &world, &planned).await?);
    }
    for finding in &notes {
        terminal.warn(&format!("{}: {}", finding.id, finding.message));
    }
    let steps: Vec<String> = planned.iter().map(|step| step.action().line()).collect();
    let hash = digest(
        &json!({ "volume": adoption.volume, "claim": adoption.claim(),
        "namespace": adoption.namespace, "steps": steps,
        "timeout": args.timeout.longest.as_secs() }),
        8,
    );
    let mut end = End::done();
    let mut writes = Vec::new();
    match args.confirmation.dry_run {
        DryRun::None if planned.is_empty() => {}
        DryRun::None => {
            // Who agreed beforehand sees each write when it is done.
            let consent = &args.confirmation.consent;
            if !consent.yes && consent.confirm_plan.is_none() {
                for step in &steps {
                    terminal.say(step);
                }
            }
            let Adoption { volume, set, ordinal, .. } = &adoption;
            let text = format!("Give volume {volume} to {set}-{ordinal}?");
            let question = Question {
                text: &text,
                plan: Some(&hash),
                type_to_agree: None,
                for_a_program: args.output.format.is_machine(),
            };
            let to_go_on = args.given.to_go_on::<AdoptArgs>("orphans adopt", &cluster);
            let confirmed = Confirmed::ask(terminal, &args.confirmation.consent, question)?;
            let progress =
                Progress { terminal, output: args.output.format, command: "orphans-adopt" };
            let timeout = args.timeout.longest;
            let mut context = RunContext::new(&cluster, confirmed, progress, timeout, to_go_on);
            let outcome = carry_out(&mut context, &adoption).await;
            end = context.close(outcome)?;
            writes = context.sender.writes;
        }
        DryRun::Client | DryRun::Server => {
            let server = args.confirmation.dry_run == DryRun::Server;
            let mode = if server { Mode::ServerDryRun } else { Mode::ClientDryRun };
            writes = rehearse(&cluster, planned.iter().map(Step::action), mode).await?;
        }
    }
    end.findings.extend(notes);
    let view = View {
        dry_run: args.confirmation.dry_run != DryRun::None,
        namespace: adoption.namespace.clone(),
        volume: adoption.volume.clone(),
        stateful_set: adoption.set.clone(),
        ordinal: adoption.ordinal,
        claim: adoption.claim(),
        steps,
        writes,
        hash,
    };
    let to_do = args.given.to_do::<AdoptArgs>("orphans adopt", &cluster, &view.hash);
    terminal.conclude(&render(&view, &end, &unread, args.output.format, &to_do)?)?;
    Ok(end.exit)
}

/// Refuses without the rights for every step, those included that come once the claim
/// is bound. Where they cannot be asked for, that is said.
async fn rights_missing(
    cluster: &Cluster,
    adoption: &Adoption,
    world: &World,
    steps: &[Step],
) -> Result<Vec<Finding>, Error> {
    let mut rights = Rights::default();
    rights.of_writes(steps.iter().map(Step::action));
    let returns = |volume: &Value| keep(volume).is_some() || Original::kept_on(volume).is_some();
    if world.volume.as_ref().is_some_and(returns) {
        for resource in [Resource::VOLUME, Resource::CLAIM] {
            let right = Right { verb: "patch", resource, subresource: "" };
            let namespace = if resource.namespaced { adoption.namespace.as_str() } else { "" };
            rights.add(right, namespace.to_owned());
        }
    }
    let on = format!("persistentvolume/{}", adoption.volume);
    let found = rights.missing(cluster, &on).await?;
    if found.iter().any(|finding| finding.severity == Severity::Error) {
        return Err(refused(cluster, &what(adoption), &found));
    }
    Ok(found)
}

async fn adoption(args: &AdoptArgs, cluster: &Cluster) -> Result<Adoption, Error> {
    let namespace = cluster.namespace().to_owned();
    let (set, ordinal) = args.to.clone();
    let found = around::set(cluster, &namespace, &set).await?;
    let templates: Vec<&str> = items(&found, "/spec/volumeClaimTemplates").map(name).collect();
    let template = match (&args.template, templates.as_slice()) {
        (_, []) => return Err(Error::usage(format!("{set} has no volumeClaimTemplates"))),
        (Some(asked), known) if known.contains(&asked.as_str()) => asked.clone(),
        (None, [one]) => (*one).to_owned(),
        (asked, known) => {
            let what = asked.as_ref().map_or_else(
                || format!("{set} has several volumeClaimTemplates"),
                |asked| format!("{set} has no volumeClaimTemplate {asked}"),
            );
            return Err(
                Error::usage(what).hint(format!("--template NAME is one of: {}", known.join(", ")))
            );
        }
    };
    // A bare name is a volume here.
    let named = parse(&args.volume)?;
    let is_volume = named.is_volume || !args.volume.contains('/');
    let volume = if is_volume {
        named.name.to_owned()
    } else {
        let (here, name) = (named.namespace.unwrap_or(&namespace), named.name);
        if here != namespace {
            let message = format!("claim {name} is in namespace {here}, and {set} in {namespace}");
            return Err(Error::usage(message));
        }
        let volume = around::volume_of_claim(cluster, &namespace, name).await?;
        volume.ok_or_else(|| Error::usage(format!("claim {name} has no volume")))?
    };
    Ok(Adoption { namespace, volume, set, ordinal, template, claim_uid: None })
}

/// Carries it out. An orphan that has the volume is not left held.
async fn carry_out(context: &mut RunContext<'_>, adoption: &Adoption) -> Result<End, Stop> {
    let mut holder = None;
    match steps(context, adoption, &mut holder).await {
        Ok(end) => Ok(end),
        Err(stop) => {
            let mut left = Vec::new();
            if let Some(holder) = holder {
                left.extend(aftermath::spare(context, &holder).await);
            }
            let claim = (adoption.namespace.as_str(), adoption.claim());
            left.extend(aftermath::left_held(context, claim.0, &claim.1).await);
            left.extend(aftermath::left_retained(context, &adoption.volume).await);
            Err(left.into_iter().fold(stop, Stop::and))
        }
    }
}

/// Looks again before every step. `holder` is the orphan that has the volume.
async fn steps(
    context: &mut RunContext<'_>,
    adoption: &Adoption,
    holder: &mut Option<Target>,
) -> Result<End, Stop> {
    let on = format!("persistentvolume/{}", adoption.volume);
    let mut adoption = adoption.clone();
    loop {
        let (cluster, known) = (context.cluster, context.known());
        let read = around::to_adopt(cluster, &adoption, known.as_ref());
        let Some(world) = context.read(read).await? else { continue };
        adoption.remember(&world);
        *holder = world.holder.as_ref().map(|found| Target {
            is_volume: false,
            namespace: Some(adoption.namespace.clone()),
            name: name(found).to_owned(),
            uid: Some(uid(found).to_owned()),
        });
        let steps = plan(&adoption, &world, Timestamp::now());
        let action = match &steps {
            Ok(steps) => match steps.first() {
                None => return Ok(End::done()),
                Some(first) => Ok(first.action()),
            },
            Err(finding) => Err(finding),
        };
        let depends = !matches!(action, Ok(Action::Wait { .. }));
        if !context.is_fresh(depends, &world.facts) {
            continue;
        }
        match action {
            Ok(action) => context.act(&action, &on).await?,
            Err(finding) => return Err(context.blocked(&what(&adoption), finding)),
        }
    }
}

fn what(adoption: &Adoption) -> String {
    let Adoption { volume, set, ordinal, .. } = adoption;
    format!("cannot give volume {volume} to {set}-{ordinal}")
}

fn render(
    view: &View,
    end: &End,
    unread: &[Unread],
    format: Format,
    to_do: &str,
) -> Result<String, Error> {
    match format {
        Format::Json | Format::Yaml | Format::Jsonl => {
            Envelope::new("orphans-adopt", end.exit, &end.findings, unread, view).render(format)
        }
        Format::Name => Ok(format!("persistentvolumeclaim/{}\n", view.claim)),
        Format::Table | Format::Wide => Ok(text(view, end.exit, to_do)),
    }
}

fn text(view: &View, exit: Exit, to_do: &str) -> String {
    let View { volume, claim, hash, .. } = view;
    if view.dry_run {
        let steps: Vec<&str> = view.steps.iter().map(String::as_str).collect();
        let steps =
            if steps.is_empty() { "nothing is left to do".to_owned() } else { list(&steps) };
        return format!("{steps}\nplan {hash}: nothing was changed; to do it: {to_do}\n");
    }
    if exit == Exit::Done {
        format!("persistentvolumeclaim/{claim} has volume {volume}\n")
    } else {
        format!("persistentvolumeclaim/{claim} does not have volume {volume} yet\n")
    }
}
