//! How a resolver expands a short name: a `resolv.conf`, and the names that are
//! tried, in order.

/// The default of glibc.
const DEFAULT_NDOTS: usize = 1;
/// What kubelets write for `ClusterFirst`.
const POD_NDOTS: usize = 5;
/// The maximum of glibc.
const MAX_NDOTS: usize = 15;

/// A `resolv.conf`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolvConf {
    pub nameservers: Vec<String>,
    pub search: Vec<String>,
    pub ndots: usize,
}

/// A name that is tried, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// The full name, without the dot at its end.
    pub name: String,
    pub why: String,
}

impl ResolvConf {
    /// What a kubelet writes into a pod of `namespace`, except for the search
    /// domains from its node, which are not known here.
    pub fn of_pod(namespace: &str, domain: &str) -> ResolvConf {
        ResolvConf {
            nameservers: Vec::new(),
            search: vec![
                format!("{namespace}.svc.{domain}"),
                format!("svc.{domain}"),
                domain.to_owned(),
            ],
            ndots: POD_NDOTS,
        }
    }

    /// Reads a file as described in resolv.conf(5): the last `search` or
    /// `domain` counts.
    pub fn read(text: &str) -> ResolvConf {
        let mut found =
            ResolvConf { nameservers: Vec::new(), search: Vec::new(), ndots: DEFAULT_NDOTS };
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match words.next() {
                Some("nameserver") => found.nameservers.extend(words.next().map(str::to_owned)),
                Some("search" | "domain") => {
                    found.search =
                        words.map(|word| word.trim_end_matches('.').to_owned()).collect();
                }
                Some("options") => {
                    for option in words {
                        let ndots = option.strip_prefix("ndots:");
                        if let Some(ndots) = ndots.and_then(|number| number.parse().ok()) {
                            found.ndots = MAX_NDOTS.min(ndots);
                        }
                    }
                }
                _ => {}
            }
        }
        found
    }

    /// The cluster's domain, if the search path has the form that kubelets
    /// write.
    pub fn cluster_domain(&self) -> Option<String> {
        let mut plain = self.search.iter();
        let domain = plain.find_map(|entry| entry.strip_prefix("svc."))?;
        let second = self
            .search
            .iter()
            .any(|entry| entry.strip_suffix(domain).is_some_and(|front| front.ends_with(".svc.")));
        second.then(|| domain.to_ascii_lowercase())
    }

    /// The names that are tried one after the other until one answers.
    pub fn tries(&self, name: &str) -> Vec<Try> {
        if let Some(absolute) = name.strip_suffix('.') {
            let why = "ends in a dot: tried only as written".to_owned();
            return vec![Try { name: absolute.to_owned(), why }];
        }
        let dots = name.matches('.').count();
        let dots_text = if dots == 1 { "1 dot".to_owned() } else { format!("{dots} dots") };
        let searched = self.search.iter().map(|domain| Try {
            name: format!("{name}.{domain}"),
            why: format!("search {domain}"),
        });
        let enough = dots >= self.ndots;
        let compared = if enough { "not fewer than" } else { "fewer than" };
        let why = format!("as written: {dots_text}, {compared} ndots:{}", self.ndots);
        let itself = Try { name: name.to_owned(), why };
        let mut all: Vec<Try> = searched.collect();
        if enough {
            all.insert(0, itself);
        } else {
            all.push(itself);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(resolver: &ResolvConf, name: &str) -> Vec<String> {
        resolver.tries(name).into_iter().map(|one| one.name).collect()
    }

    #[test]
    fn a_short_name_goes_along_the_search_path_first() {
        let pod = ResolvConf::of_pod("shop", "cluster.local");
        assert_eq!(
            names(&pod, "web-0.nginx"),
            [
                "web-0.nginx.shop.svc.cluster.local",
                "web-0.nginx.svc.cluster.local",
                "web-0.nginx.cluster.local",
                "web-0.nginx",
            ]
        );
        // A Service's full name has only four dots, a pod's has five.
        assert_eq!(names(&pod, "nginx.shop.svc.cluster.local").len(), 4);
        assert_eq!(
            names(&pod, "nginx.shop.svc.cluster.local")[0],
            "nginx.shop.svc.cluster.local.shop.svc.cluster.local"
        );
        let full = "web-0.nginx.shop.svc.cluster.local";
        assert_eq!(names(&pod, full)[0], full);
        assert_eq!(names(&pod, "nginx."), ["nginx"]);
    }

    #[test]
    fn files_are_read_as_the_resolver_reads_them() {
        let text = "# c\nnameserver 10.96.0.10\nnameserver 169.254.20.10\nsearch a.svc.my.zone \
                    svc.my.zone my.zone corp.example.\noptions edns0 ndots:2\n";
        let read = ResolvConf::read(text);
        assert_eq!(read.nameservers, ["10.96.0.10", "169.254.20.10"]);
        assert_eq!(read.search, ["a.svc.my.zone", "svc.my.zone", "my.zone", "corp.example"]);
        assert_eq!(read.ndots, 2);
        assert_eq!(read.cluster_domain().as_deref(), Some("my.zone"));
        assert_eq!(ResolvConf::read("").ndots, 1);
        assert_eq!(ResolvConf::read("options ndots:99").ndots, 15);
        assert_eq!(ResolvConf::read("search corp.example").cluster_domain(), None);
        assert_eq!(ResolvConf::read("search svc.x").cluster_domain(), None);
    }
}
