//! `plan`, and how `run` makes the same plan.

use jiff::Timestamp;

use super::{Session, find, tries::try_all};
use crate::{
    cluster::{
        Cluster, ConnectionArgs, Failure, Resource,
        rights::{Right, missing_rights},
    },
    manifests::Bundle,
    migrate::{
        args::{PlanArgs, RunArgs},
        forward::Act,
        journal::{CopyPass, Intent, Mode, StoredJournal},
        offline,
        plan::{self, Plan, Request},
        read,
        remains::Remains,
        report::{self, PlanView},
        rules,
        world::World,
        writes,
    },
    output::{Error, Exit, Look, Terminal, text::list},
    workload::{Finding, refuses},
};

/// Runs `plan`.
pub async fn plan(
    args: &PlanArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let request = args.request.request(&args.wishes)?;
    let (plan, cluster) = if args.files.paths.is_empty() {
        let session = Session::open(args.output.format, connection, terminal).await?;
        let journals = match read::journals(&session.cluster, false).await {
            Err(Failure::Forbidden(_)) => None,
            journals => Some(journals?),
        };
        let begun = journals.as_ref();
        let begun = begun.and_then(|all| find::of_deployments(all, request.deployments()));
        if let Some(stored) = begun {
            let hint = session.command("status", &stored.journal);
            return Err(has_begun(&stored).hint(hint));
        }
        let mut plan = make_plan(&session, &request, true, args.request.admin_steps).await?;
        if journals.is_none() {
            plan.findings.insert(0, rules::no_right("list configmaps"));
        }
        (plan, Some(session.cluster))
    } else {
        (from_files(&args.files.paths, connection.namespace.as_deref(), &request)?, None)
    };
    let exit = match (refuses(&plan.findings), args.exit_code) {
        (true, true) => Exit::Refused,
        (false, true) => Exit::Found,
        _ if plan.unread.is_empty() => Exit::Done,
        _ => Exit::Incomplete,
    };
    if let Some(folder) = &args.emit {
        report::emit(&plan.journal, folder, args.yes)?;
    }
    let hash = &plan.journal.plan;
    let to_do = |cluster: &Cluster| args.given.to_do::<RunArgs>("migrate run", cluster, hash);
    // What refuses now refuses the same line.
    let command = cluster.as_ref().filter(|_| !refuses(&plan.findings)).map(to_do);
    let view = PlanView::new(&plan, cluster.map(|cluster| cluster.flags()).as_deref(), command);
    let look = Look::of(terminal, Timestamp::now());
    let Plan { findings, unread, .. } = &plan;
    let text = report::render_plan(&view, exit, findings, unread, args.output.format, look)?;
    terminal.conclude(&text)?;
    Ok(exit)
}

/// The plan without a cluster. If the input has a journal of these
/// Deployments, the migration has already been begun.
fn from_files(files: &[String], namespace: Option<&str>, request: &Request) -> Result<Plan, Error> {
    let bundle = Bundle::read(files)?;
    let volumes = request.mode != Mode::Keep;
    let surroundings = offline::surroundings(&bundle, request.deployments(), namespace, volumes)?;
    let journals = offline::journals(&bundle, Some(&surroundings.namespace));
    if let Some(stored) = find::of_deployments(&journals, request.deployments()) {
        return Err(has_begun(&stored));
    }
    plan::plan(&surroundings, request, &new_operation_id(), Timestamp::now())
}

/// The journal of a migration of one of these Deployments, if one has been
/// begun.
pub async fn under_way(
    session: &Session,
    request: &Request,
) -> Result<Option<StoredJournal>, Error> {
    let journals = read::journals(&session.cluster, false).await?;
    Ok(find::of_deployments(&journals, request.deployments()))
}

/// The refusal to plan what has begun: the objects are no longer as they were
/// before it.
fn has_begun(stored: &StoredJournal) -> Error {
    let journal = &stored.journal;
    let from: Vec<&str> = journal.deployments.iter().map(|one| one.name.as_str()).collect();
    let message = format!(
        "the migration of Deployment {} to StatefulSet {} has begun already",
        list(&from),
        journal.set_name()
    );
    let on = format!("configmap/{}", journal.config_map_name());
    let finding = rules::UNDER_WAY.found(on, message.clone());
    Error::new(rules::refused_for(&finding), format!("{message}; nothing was changed"))
        .because(vec![finding])
}

/// Reads the objects and makes the plan. If `tries`, also checks the rights
/// and has the server try the objects that will be created.
pub async fn make_plan(
    session: &Session,
    request: &Request,
    tries: bool,
    admin_steps: bool,
) -> Result<Plan, Error> {
    let cluster = &session.cluster;
    let mut surroundings = read::surroundings(cluster, request.mode != Mode::Keep).await?;
    if request.mode.fills() {
        read::storage(cluster, &mut surroundings).await?;
    }
    plan::check_deployments_exist(&surroundings, &request.options)?;
    let now = Timestamp::now();
    let mut plan = plan::plan(&surroundings, request, &new_operation_id(), now)?;
    name_remains(cluster, &mut plan.findings).await?;
    if tries {
        // Whatever else refuses: nobody should ask for rights twice.
        let missing = missing_rights(cluster, &required_rights(&plan, admin_steps)).await?;
        plan.findings.extend(missing.iter().map(|right| rules::no_right(right)));
        // What may not be created is not tried either.
        if !refuses(&plan.findings) {
            let refused = try_creates(cluster, &plan).await?;
            plan.findings.extend(refused);
        }
        request.options.allow.weigh(&mut plan.findings);
        plan.findings.sort_by_key(|finding| finding.severity);
    }
    Ok(plan)
}

/// Gives the findings about objects that are left of a migration without a journal the
/// line that clears these.
async fn name_remains(cluster: &Cluster, findings: &mut [Finding]) -> Result<(), Error> {
    let ids = [rules::UNDER_WAY.id, rules::NAME_TAKEN.id, rules::SERVICE_UNFIT.id];
    if !findings.iter().any(|finding| ids.contains(&finding.id)) {
        return Ok(());
    }
    // Without the right to list the journals the plan is refused anyway.
    let left = match read::remains(cluster, false).await {
        Err(Failure::Forbidden(_)) => return Ok(()),
        other => other?.0,
    };
    for remnant in left.iter().flat_map(Remains::remnants) {
        let on = format!("{}/{}", remnant.resource.singular, remnant.name);
        // A name that is taken is found on the object that would get it.
        let kind = match remnant.resource {
            Resource::CLAIM => "claim",
            other => other.kind,
        };
        let taken = format!("{kind} {} already exists", remnant.name);
        for finding in findings.iter_mut().filter(|finding| ids.contains(&finding.id)) {
            if finding.object.to_lowercase() == on || finding.message.starts_with(&taken) {
                finding.message = format!("{}: {}", finding.message, remnant.what);
                finding.hint = Some(format!("{}{}", remnant.line, cluster.flags()));
            }
        }
    }
    Ok(())
}

/// A new id for a migration, made from the time and the process.
pub fn new_operation_id() -> String {
    let moment = Timestamp::now().as_nanosecond() / 1_000_000;
    let number = (moment << 16) ^ i128::from(std::process::id());
    format!("{:010x}", number & 0xff_ffff_ffff)
}

/// The rights that the migration will need.
fn required_rights(plan: &Plan, admin_steps: bool) -> Vec<Right> {
    let right = |verb, resource| Right { verb, resource, subresource: "" };
    let mut all = vec![
        right("create", Resource::CONFIG_MAP),
        right("patch", Resource::CONFIG_MAP),
        right("delete", Resource::CONFIG_MAP),
        right("create", Resource::STATEFUL_SET),
        right("patch", Resource::STATEFUL_SET),
        right("delete", Resource::STATEFUL_SET),
        right("patch", Resource::DEPLOYMENT),
        right("delete", Resource::DEPLOYMENT),
    ];
    if plan.journal.service.is_some() {
        all.extend(["create", "patch", "delete"].map(|verb| right(verb, Resource::SERVICE)));
    }
    // A volume that may not be read is not in the journal.
    if plan.view.claims.iter().any(|claim| claim.claim_then != claim.claim_now) {
        all.extend(["create", "patch", "delete"].map(|verb| right(verb, Resource::CLAIM)));
        if !admin_steps && !plan.journal.fills() {
            all.push(right("patch", Resource::VOLUME));
        }
    }
    let creates = match plan.journal.mode {
        Mode::Copy => Some(Resource::JOB),
        Mode::Snapshot => Some(Resource::SNAPSHOT),
        _ => None,
    };
    all.extend(
        creates.into_iter().flat_map(|one| ["create", "delete"].map(|verb| right(verb, one))),
    );
    for scaler in &plan.journal.scalers {
        all.push(right("patch", scaler.kind.resource()));
    }
    all
}

/// Has the server try the objects that will be created.
async fn try_creates(cluster: &Cluster, plan: &Plan) -> Result<Vec<Finding>, Error> {
    let journal = &plan.journal;
    let (world, now) = (World::default(), Timestamp::now());
    let mut acts: Vec<Act> = (0..journal.disks.len()).map(Act::CreateClaim).collect();
    if journal.service.is_some() {
        acts.push(Act::CreateService);
    }
    acts.push(Act::CreateSet);
    if journal.mode == Mode::Copy {
        acts.extend((0..journal.disks.len()).map(|disk| Act::CreateJob(disk, CopyPass::Last)));
    }
    acts.extend((0..journal.disks.len()).map(Act::CreateSnapshot));
    let creates =
        acts.into_iter().filter_map(|act| writes::of(act, journal, &world, now)).flatten();
    let open = writes::create_journal(journal, "", Intent::Forward, now);
    try_all(cluster, creates.chain([open]).chain(writes::pod_of_job(journal))).await
}

/// A refusal; the hint names the guards that can be overridden.
pub fn refused(what: &str, findings: &[Finding]) -> Error {
    crate::steps::refused(what, findings, &rules::allowable())
}
