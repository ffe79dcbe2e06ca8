//! The view of the API alone.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use jiff::Timestamp;

use crate::{
    cluster::{Cluster, rights::can_i_of},
    dns::{
        args::{LookArgs, TargetArgs},
        compare::{JudgedRow, Verdict},
        corefile::Corefile,
        domain::{Domain, domain_from_facts},
        expected::{self, Expected, Row, RowOptions, Zone, rows},
        explain::explain,
        facts::Facts,
        inside::Inside,
        picture::{self, Picture, Responder, SearchPath},
        read, rules,
        search::ResolvConf,
    },
    output::{
        Error,
        text::{list, one_line},
    },
    workload::{Finding, Rule, Severity, Unread},
};

/// What is known before a server is asked.
pub struct ApiView {
    pub facts: Facts,
    pub domain: Domain,
    pub zone: Zone,
    options: RowOptions,
    /// Servers were to be asked, and none can be.
    pub cannot_ask: bool,
}

/// The short forms as they were tried, and what is to be said of the namespaces from
/// which they were.
pub struct Tried {
    paths: Vec<SearchPath>,
    notes: Vec<Finding>,
}

impl ApiView {
    pub fn new(facts: Facts, args: &TargetArgs, options: RowOptions) -> ApiView {
        let domain = domain_from_facts(args.cluster_domain.as_deref(), &facts.servers, None);
        let zone = Zone { namespace: facts.namespace.clone(), domain: domain.name.clone() };
        let mut api_view = ApiView { facts, domain, zone, options, cannot_ask: false };
        api_view.apply_corefile();
        api_view
    }

    /// Sets the domain that a server or a pod reported.
    pub fn set_domain(&mut self, domain: Domain) {
        self.zone.domain.clone_from(&domain.name);
        self.domain = domain;
        self.apply_corefile();
    }

    fn apply_corefile(&mut self) {
        let files = self.facts.servers.corefiles.iter();
        let read = files.map(|config| Corefile::read(&config.text));
        for corefile in read {
            self.options.no_reverse = corefile.serves_addresses(&self.domain.name) == Some(false);
            self.options.endpoint_pod_names = corefile
                .kubernetes(&self.domain.name)
                .is_some_and(|found| found.endpoint_pod_names);
        }
    }

    pub fn rows(&self) -> Vec<Row> {
        rows(&self.facts, &self.zone, &self.options)
    }

    /// The host whose short forms are tried, without the suffix.
    fn searched_host(&self) -> Option<String> {
        let service = self.facts.service.as_deref()?;
        let set = self.facts.governed_set();
        let ordinal = self.options.ordinal.or_else(|| set.and_then(|set| set.ordinals().next()));
        Some(match (set, ordinal) {
            (Some(set), Some(ordinal)) => format!("{}.{service}", set.pod_name(ordinal)),
            _ => service.to_owned(),
        })
    }

    /// The short forms, tried from each namespace of `--from-ns`.
    pub async fn paths(
        &self,
        args: &TargetArgs,
        cluster: Option<&Cluster>,
    ) -> Result<Tried, Error> {
        let mut notes = Vec::new();
        for from in &args.from_ns {
            notes.extend(self.origin(from, cluster).await?);
        }
        let (Some(host), namespace) = (self.searched_host(), &self.facts.namespace) else {
            return Ok(Tried { paths: Vec::new(), notes });
        };
        let domain = &self.domain.name;
        let target = format!("{host}{}", self.zone.suffix());
        let mut known: BTreeMap<(String, String), Option<bool>> = BTreeMap::new();
        for service in self.facts.services.iter().flatten() {
            known.insert((namespace.clone(), service.name.clone()), Some(true));
        }
        let mut paths = Vec::new();
        for from in &args.from_ns {
            let resolver = ResolvConf::of_pod(from, domain);
            for form in picture::short_forms(&host, namespace, domain) {
                for one in resolver.tries(&form) {
                    let Some((ns, service)) = picture::namespace_and_service(&one.name, domain)
                    else {
                        continue;
                    };
                    let place = (ns.to_owned(), service.to_owned());
                    if let Entry::Vacant(entry) = known.entry(place) {
                        let there = match cluster {
                            Some(cluster) => read::has_service(cluster, ns, service).await?,
                            None => None,
                        };
                        entry.insert(there);
                    }
                }
                let is_there = |ns: &str, service: &str| {
                    known.get(&(ns.to_owned(), service.to_owned())).copied().flatten()
                };
                paths
                    .push(picture::follow_form(from, &form, &target, domain, &resolver, &is_there));
            }
        }
        Ok(Tried { paths, notes })
    }

    /// What is to be said of a namespace from which names are tried, unless it is known
    /// to exist: without it, there is no pod that could ask.
    async fn origin(
        &self,
        from: &str,
        cluster: Option<&Cluster>,
    ) -> Result<Option<Finding>, Error> {
        let facts = &self.facts;
        if from == facts.namespace || facts.namespaces.iter().any(|known| known == from) {
            return Ok(None);
        }
        let mut unread = Vec::new();
        let there = match cluster {
            Some(cluster) => read::has_namespace(cluster, from, &mut unread).await?,
            None => None,
        };
        let object = format!("namespace/{from}");
        let unchecked = "so it was not checked whether it exists";
        Ok(match (there, unread.first()) {
            (Some(true), _) => None,
            (Some(false), _) => {
                let message = format!(
                    "namespace {from} does not exist: no pod asks from there, and what is shown is \
                     what one would get"
                );
                Some(rules::FROM_NAMESPACE.found(object, message))
            }
            (None, Some(Unread { why, .. })) => {
                let message =
                    format!("namespace {from} may not be read, {unchecked}: {}", one_line(why));
                let mut finding = rules::FROM_NAMESPACE.found(object, message);
                finding.hint = can_i_of(why, &facts.flags);
                Some(finding.at(Severity::Note))
            }
            (None, None) => {
                let message = format!("the input has no namespace {from}, {unchecked}");
                Some(rules::FROM_NAMESPACE.found(object, message).at(Severity::Note))
            }
        })
    }

    /// The view of the API alone.
    pub fn without_answers(self, tried: Tried) -> Picture {
        let rows = self.rows();
        let service = self.zone.service(self.facts.service.as_deref().unwrap_or_default());
        let rows = rows.into_iter().map(|row| JudgedRow::new(row, Vec::new(), &service)).collect();
        self.with_answers(rows, Vec::new(), None, tried, Vec::new())
    }

    /// That `--type` leaves nothing, where it is known what there is.
    fn no_record(&self, rows: &[JudgedRow]) -> Option<Finding> {
        let kinds = &self.options.kinds;
        if kinds.is_empty() || !rows.is_empty() || !self.facts.unread.is_empty() {
            return None;
        }
        let service = self.facts.service.as_deref()?;
        let every = RowOptions { kinds: Vec::new(), ..self.options.clone() };
        let all = expected::rows(&self.facts, &self.zone, &every);
        let there: BTreeSet<&str> = all.iter().map(|row| row.kind.name()).collect();
        let there: Vec<&str> = there.into_iter().collect();
        let wanted: Vec<&str> = kinds.iter().map(|kind| kind.name()).collect();
        let message = format!(
            "no name of Service {service} has a record of type {}, so none was asked for{}",
            wanted.join(" or "),
            if there.is_empty() { String::new() } else { format!("; there are {}", list(&there)) }
        );
        Some(rules::NO_RECORD.found(format!("service/{service}"), message))
    }

    pub fn with_answers(
        self,
        rows: Vec<JudgedRow>,
        asked: Vec<Responder>,
        inside: Option<Inside>,
        tried: Tried,
        mut notes: Vec<Finding>,
    ) -> Picture {
        let Tried { paths, notes: mut of_origins } = tried;
        let mut findings = explain(&self.facts, &self.zone, &self.domain, &self.options);
        let object = format!("service/{}", self.facts.service.as_deref().unwrap_or_default());
        findings.extend(picture::path_findings(&paths, &object));
        let service = self.zone.service(self.facts.service.as_deref().unwrap_or_default());
        let again = match (&self.facts.set, &self.facts.service) {
            (Some(set), _) => {
                format!("kubectl stateful dns {} --wait 60s {}", set.name, self.facts.at())
            }
            (None, Some(service)) => {
                format!("kubectl stateful dns svc/{service} --wait 60s {}", self.facts.at())
            }
            (None, None) => String::new(),
        };
        findings.extend(picture::answer_findings(&rows, &asked, &self.zone, &service, &again));
        findings.append(&mut of_origins);
        findings.append(&mut notes);
        findings.extend(self.no_record(&rows));
        let findings = weigh(findings, &rows);
        Picture {
            unread: self.facts.unread.clone(),
            cannot_ask: self.cannot_ask,
            facts: self.facts,
            domain: self.domain,
            zone: self.zone,
            rows,
            asked,
            inside,
            paths,
            findings,
            now: Timestamp::now(),
        }
    }
}

/// What the answers say about the findings of the API's view.
fn weigh(mut findings: Vec<Finding>, rows: &[JudgedRow]) -> Vec<Finding> {
    let served = |judged: &&JudgedRow| matches!(judged.row.expected, Expected::Records(_));
    let denies = |judged: &JudgedRow| judged.replies().any(|one| one.denied_for.is_some());
    // What caches keep matters while one keeps the denial of a name that exists.
    if !rows.iter().filter(served).any(denies) {
        findings.retain(|finding| finding.id != rules::DENIALS_CACHED.id);
    }
    let is_ok = |judged: &JudgedRow| judged.verdict == Some(Verdict::Ok);
    let all_ok = !rows.is_empty() && rows.iter().all(is_ok);
    let has = |rule: &Rule| findings.iter().any(|finding| finding.id == rule.id);
    let for_good = has(&rules::FILTERED) || has(&rules::WRONG_DOMAIN);
    for finding in &mut findings {
        // Every name is served: making the Service again would mend nothing.
        if finding.id == rules::NOT_HEADLESS.id && all_ok {
            finding.severity = Severity::Note;
            finding.hint = None;
        }
        // Waiting does not help where the servers are told to keep names back.
        if finding.id == rules::DENIED.id && for_good {
            finding.hint = None;
        }
    }
    findings.sort_by_key(|finding| finding.severity);
    findings
}

/// The finding of a pod that searches in another domain than the cluster's.
pub fn wrong_search_domain(inside: &Inside, api_view: &ApiView) -> Option<Finding> {
    let own = inside.resolver.as_ref()?.cluster_domain()?;
    let served = &api_view.domain.name;
    if own == *served {
        return None;
    }
    let message = format!(
        "{} searches in {own}, but the cluster's domain is {served}: its short names do not resolve",
        inside.pod
    );
    Some(rules::WRONG_DOMAIN.found(format!("pod/{}", inside.pod), message))
}

/// Gives the set the number of replicas in `--replicas`.
pub fn with_replicas(mut facts: Facts, args: &LookArgs) -> Facts {
    if let (Some(set), Some(replicas)) = (&mut facts.set, args.replicas) {
        set.replicas = replicas;
    }
    facts
}
