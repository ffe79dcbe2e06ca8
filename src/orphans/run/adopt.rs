//! `orphans adopt`: a volume becomes the claim of an ordinal.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::{
    delete::{parse, refused},
    hand::{End, Hand, Looked},
};
use crate::{
    cluster::{Cluster, ConnectionArgs, DryRun, Mode, disks::around},
    migrate::object::{items, name},
    orphans::{
        adopt::{Todo, Wish, plan},
        args::AdoptArgs,
        delete::Next,
    },
    output::{Confirmed, Envelope, Error, Exit, Format, Question, Terminal, text::list},
    steps::Teller,
    workload::{Finding, digest},
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
/// When something cannot be read, or a guard says no.
pub async fn run(
    args: &AdoptArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let cluster = Cluster::connect(connection, terminal).await?;
    let wish = wish(args, &cluster).await?;
    let world = around::to_adopt(&cluster, &wish, None).await?;
    let todo = plan(&wish, &world, Timestamp::now())
        .map_err(|no| refused(&what(&wish), std::slice::from_ref(&*no)))?;
    let steps: Vec<String> = todo.iter().map(|todo| todo.next().line()).collect();
    let hash = digest(
        &json!({ "volume": wish.volume, "claim": wish.claim(),
        "namespace": wish.namespace, "steps": steps }),
        8,
    );
    let teller = Teller { terminal, output: args.output, command: "orphans-adopt" };
    let mut end = (Exit::Done, Vec::new());
    let mut writes = Vec::new();
    match args.rehearsal.dry_run {
        DryRun::None if todo.is_empty() => {}
        DryRun::None => {
            for step in &steps {
                terminal.say(step);
            }
            let text = format!("Give volume {} to {}-{}?", wish.volume, wish.set, wish.ordinal);
            let question = Question {
                text: &text,
                plan: Some(&hash),
                type_to_agree: None,
                for_a_program: args.output.is_machine(),
            };
            let confirmed = Confirmed::ask(terminal, &args.consent, question)?;
            let mut hand = Hand::new(&cluster, confirmed, teller, args.timeout);
            end = carry_out(&mut hand, &wish).await?;
            writes = hand.sender.writes;
        }
        DryRun::Client | DryRun::Server => {
            let server = args.rehearsal.dry_run == DryRun::Server;
            let mode = if server { Mode::ServerDryRun } else { Mode::ClientDryRun };
            for todo in &todo {
                if let Next::Write(write) = todo.next() {
                    cluster.write(write, mode).await?;
                    writes.push(write.done(mode));
                }
            }
        }
    }
    let (exit, findings) = end;
    let view = View {
        dry_run: args.rehearsal.dry_run != DryRun::None,
        namespace: wish.namespace.clone(),
        volume: wish.volume.clone(),
        stateful_set: wish.set.clone(),
        ordinal: wish.ordinal,
        claim: wish.claim(),
        steps,
        writes,
        hash,
    };
    answer(&view, exit, &findings, args.output, terminal)?;
    Ok(exit)
}

async fn wish(args: &AdoptArgs, cluster: &Cluster) -> Result<Wish, Error> {
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
                || "which template is it for?".to_owned(),
                |asked| format!("{set} has no template {asked}"),
            );
            return Err(Error::usage(what)
                .hint(format!("--template NAME; there are: {}", known.join(", "))));
        }
    };
    // A bare name is a volume here.
    let (is_volume, word) =
        if args.volume.contains('/') { parse(&args.volume)? } else { (true, args.volume.as_str()) };
    let volume = if is_volume {
        word.to_owned()
    } else {
        let volume = around::volume_of_claim(cluster, &namespace, word).await?;
        volume.ok_or_else(|| Error::usage(format!("claim {word} has no volume")))?
    };
    Ok(Wish { namespace, volume, set, ordinal, template })
}

/// A look before every step.
async fn carry_out(hand: &mut Hand<'_>, wish: &Wish) -> Result<End, Error> {
    let on = format!("persistentvolume/{}", wish.volume);
    loop {
        let (cluster, known) = (hand.cluster, hand.known());
        let world = match hand.look(around::to_adopt(cluster, wish, known.as_ref())).await? {
            Looked::Found(world) => world,
            Looked::Again => continue,
            Looked::End(end) => return Ok(end),
        };
        let todo = plan(wish, &world, Timestamp::now());
        let next = todo.as_ref().map(|todo| todo.first().map(Todo::next));
        let next = match next {
            Ok(None) => return Ok((Exit::Done, Vec::new())),
            Ok(Some(next)) => Ok(next),
            Err(finding) => Err(finding),
        };
        if !hand.is_sure_of(next.as_ref().ok(), &world.facts) {
            continue;
        }
        let end = match next {
            Ok(next) => hand.step(&next, &on).await?,
            Err(finding) if hand.sender.writes.is_empty() => {
                return Err(refused(&what(wish), std::slice::from_ref(&**finding)));
            }
            Err(finding) => Some(hand.stopped(Exit::Conflict, (**finding).clone())),
        };
        if let Some(end) = end {
            return Ok(end);
        }
    }
}

fn what(wish: &Wish) -> String {
    format!("cannot give volume {} to {}-{}", wish.volume, wish.set, wish.ordinal)
}

fn answer(
    view: &View,
    exit: Exit,
    findings: &[Finding],
    format: Format,
    terminal: Terminal,
) -> Result<(), Error> {
    let text = match format {
        Format::Json | Format::Yaml | Format::Jsonl => {
            Envelope::new("orphans-adopt", exit, findings, &[], view).render(format)?
        }
        Format::Name => format!("persistentvolumeclaim/{}\n", view.claim),
        Format::Table | Format::Wide => said(view, exit),
    };
    terminal.conclude(&text)
}

fn said(view: &View, exit: Exit) -> String {
    let View { volume, claim, hash, .. } = view;
    if view.dry_run {
        let steps: Vec<&str> = view.steps.iter().map(String::as_str).collect();
        let steps =
            if steps.is_empty() { "nothing is left to do".to_owned() } else { list(&steps) };
        let again = crate::steps::again(std::env::args().skip(1), None, &["--dry-run"]);
        return format!(
            "{steps}\nplan {hash}: nothing was changed; to do it: {again} --confirm-plan {hash}\n"
        );
    }
    if exit == Exit::Done {
        format!("persistentvolumeclaim/{claim} has volume {volume}\n")
    } else {
        format!("persistentvolumeclaim/{claim} does not have volume {volume} yet\n")
    }
}
