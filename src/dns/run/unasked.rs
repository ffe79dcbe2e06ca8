//! What the API alone says.

use std::collections::{BTreeMap, btree_map::Entry};

use jiff::Timestamp;

use crate::{
    cluster::{Cluster, naming},
    dns::{
        args::TargetArgs,
        compare::{Judged, Verdict},
        corefile::Corefile,
        domain::{Domain, without_asking},
        expected::{Row, Wish, Zone, rows},
        explain::explain,
        facts::Facts,
        inside::Inside,
        picture::{self, Asked, Path, Picture},
        rules,
        search::ResolvConf,
    },
    output::Error,
    workload::Finding,
};

/// What is known before anybody is asked.
pub struct Unasked {
    pub facts: Facts,
    pub domain: Domain,
    pub zone: Zone,
    wish: Wish,
}

impl Unasked {
    pub fn new(facts: Facts, args: &TargetArgs, wish: Wish) -> Unasked {
        let domain = without_asking(args.cluster_domain.as_deref(), &facts.servers, None);
        let zone = Zone { namespace: facts.namespace.clone(), domain: domain.name.clone() };
        let mut unasked = Unasked { facts, domain, zone, wish };
        unasked.heed_corefile();
        unasked
    }

    /// In this domain after all.
    pub fn set_domain(&mut self, domain: Domain) {
        self.zone.domain.clone_from(&domain.name);
        self.domain = domain;
        self.heed_corefile();
    }

    fn heed_corefile(&mut self) {
        let files = self.facts.servers.corefiles.iter();
        let read = files.map(|config| Corefile::read(&config.text));
        for corefile in read {
            self.wish.no_reverse = corefile.serves_addresses(&self.domain.name) == Some(false);
            self.wish.endpoint_pod_names = corefile
                .kubernetes(&self.domain.name)
                .is_some_and(|found| found.endpoint_pod_names);
        }
    }

    pub fn rows(&self) -> Vec<Row> {
        rows(&self.facts, &self.zone, &self.wish)
    }

    /// The full name whose short forms are tried, and its front.
    fn host(&self) -> Option<String> {
        let service = self.facts.service.as_deref()?;
        let set = self.facts.set.as_ref();
        let ordinal = self.wish.ordinal.or_else(|| set.and_then(|set| set.ordinals().next()));
        Some(match (set, ordinal) {
            (Some(set), Some(ordinal)) => format!("{}.{service}", set.pod_name(ordinal)),
            _ => service.to_owned(),
        })
    }

    /// The short forms from each namespace that was asked for.
    pub async fn paths(
        &self,
        args: &TargetArgs,
        cluster: Option<&Cluster>,
    ) -> Result<Vec<Path>, Error> {
        let (Some(host), namespace) = (self.host(), &self.facts.namespace) else {
            return Ok(Vec::new());
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
            for form in picture::forms(&host, namespace, domain) {
                for one in resolver.tries(&form) {
                    let Some((ns, service)) = picture::parts(&one.name, domain) else { continue };
                    let place = (ns.to_owned(), service.to_owned());
                    if let Entry::Vacant(entry) = known.entry(place) {
                        let there = match cluster {
                            Some(cluster) => naming::has_service(cluster, ns, service).await?,
                            None => None,
                        };
                        entry.insert(there);
                    }
                }
                let is_there = |ns: &str, service: &str| {
                    known.get(&(ns.to_owned(), service.to_owned())).copied().flatten()
                };
                paths.push(picture::path(from, &form, &target, domain, &resolver, &is_there));
            }
        }
        Ok(paths)
    }

    /// What the API alone says.
    pub fn picture(self, paths: Vec<Path>) -> Picture {
        let rows = self.rows();
        let service = self.zone.service(self.facts.service.as_deref().unwrap_or_default());
        let rows = rows.into_iter().map(|row| Judged::new(row, Vec::new(), &service)).collect();
        self.with(rows, Vec::new(), None, paths, Vec::new())
    }

    pub fn with(
        self,
        rows: Vec<Judged>,
        asked: Vec<Asked>,
        inside: Option<Inside>,
        paths: Vec<Path>,
        mut notes: Vec<Finding>,
    ) -> Picture {
        let mut findings = explain(&self.facts, &self.zone, &self.domain, &self.wish);
        let object = format!("service/{}", self.facts.service.as_deref().unwrap_or_default());
        findings.extend(picture::of_paths(&paths, &object));
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
        findings.extend(picture::of_answers(&rows, &asked, &self.zone, &service, &again));
        findings.append(&mut notes);
        // Where every answer is right, a cache has done no harm.
        let is_ok = |row: &Judged| row.verdict == Some(Verdict::Ok);
        if !rows.is_empty() && rows.iter().all(is_ok) {
            findings.retain(|finding| finding.id != rules::DENIALS_CACHED.id);
        }
        findings.sort_by_key(|finding| finding.severity);
        Picture {
            unread: self.facts.unread.clone(),
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
