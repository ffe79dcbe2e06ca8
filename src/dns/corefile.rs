//! The parts of a Corefile that matter for names: zones, filters, and cache
//! times.
//!
//! It follows the plugins `kubernetes` and `cache` of CoreDNS 1.12 and their
//! defaults.

use std::collections::BTreeMap;

use crate::workload::{Expression, Selector};

/// The default of the plugin `kubernetes`.
const DEFAULT_TTL: u32 = 5;
/// The defaults of the plugin `cache`.
const MIN_TTL: u32 = 5;
const MAX_TTL: u32 = 3600;
const MAX_DENIAL_TTL: u32 = 1800;

/// A file's server blocks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Corefile {
    blocks: Vec<Block>,
    /// Included files, which are not read.
    pub imports: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Block {
    /// Zones without scheme and port; `.` is every zone.
    keys: Vec<String>,
    plugins: Vec<Plugin>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Plugin {
    name: String,
    args: Vec<String>,
    options: Vec<Vec<String>>,
}

/// The plugin `kubernetes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kubernetes {
    pub zones: Vec<String>,
    pub ttl: u32,
    /// `disabled`, `insecure`, `verified`.
    pub pods: String,
    /// If not empty, only these are served.
    pub namespaces: Vec<String>,
    pub labels: Option<String>,
    pub namespace_labels: Option<String>,
    pub noendpoints: bool,
    pub endpoint_pod_names: bool,
}

/// For how many seconds a server caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheTimes {
    /// `None`: answers are not cached.
    pub answers: Option<u32>,
    /// `None`: denials are not cached.
    pub denials: Option<u32>,
}

impl Corefile {
    /// Reads a file. What is not understood is skipped: the server itself
    /// refuses an invalid file.
    pub fn read(text: &str) -> Corefile {
        let mut snippets: BTreeMap<String, Vec<Plugin>> = BTreeMap::new();
        let mut corefile = Corefile::default();
        let lines: Vec<Vec<String>> = text.lines().map(tokens).collect();
        let mut lines = lines.into_iter().filter(|line| !line.is_empty()).peekable();
        let mut keys: Vec<String> = Vec::new();
        while let Some(mut line) = lines.next() {
            let opens = line.last().is_some_and(|last| last == "{");
            if opens {
                line.pop();
            }
            keys.extend(line.iter().flat_map(|word| word.split(',')).map(str::to_owned));
            keys.retain(|key| !key.is_empty());
            if !opens {
                if keys.first().is_some_and(|key| key == "import") {
                    corefile.imports.extend(keys.drain(..).skip(1));
                }
                continue;
            }
            let plugins = plugins(&mut lines);
            let named = std::mem::take(&mut keys);
            let snippet = named.first().and_then(|key| key.strip_prefix('(')?.strip_suffix(')'));
            if let Some(snippet) = snippet {
                snippets.insert(snippet.to_owned(), plugins);
                continue;
            }
            let mut block =
                Block { keys: named.iter().map(|key| zone_of(key)).collect(), plugins: Vec::new() };
            for plugin in plugins {
                match plugin.args.first().filter(|_| plugin.name == "import") {
                    None => block.plugins.push(plugin),
                    Some(name) => match snippets.get(name) {
                        Some(own) => block.plugins.extend(own.iter().cloned()),
                        None => corefile.imports.push(name.clone()),
                    },
                }
            }
            corefile.blocks.push(block);
        }
        corefile
    }

    /// The plugin `kubernetes` that serves a zone, or else the first one.
    pub fn kubernetes(&self, zone: &str) -> Option<Kubernetes> {
        let all = || self.blocks.iter().filter_map(Block::kubernetes);
        let serves = |one: &Kubernetes| one.zones.iter().any(|own| is_within(zone, own));
        all().find(serves).or_else(|| all().next())
    }

    /// Whether a plugin `kubernetes` serves this zone or a parent of it.
    pub fn serves(&self, zone: &str) -> bool {
        let mut all = self.blocks.iter().filter_map(Block::kubernetes);
        all.any(|one| one.zones.iter().any(|own| is_within(zone, own)))
    }

    /// The first zone that is not a reverse zone.
    pub fn primary_zone(&self) -> Option<String> {
        let all = self.blocks.iter().filter_map(Block::kubernetes);
        let mut zones = all.flat_map(|one| one.zones);
        zones.find(|zone| !is_reverse(zone) && zone != ".")
    }

    /// Whether reverse zones are served; `None` without a plugin `kubernetes`.
    pub fn serves_addresses(&self, zone: &str) -> Option<bool> {
        let kubernetes = self.kubernetes(zone)?;
        Some(kubernetes.zones.iter().any(|zone| is_reverse(zone) || zone == "."))
    }

    /// How long the server with this file caches answers for a zone; `ttl` is
    /// that of the answers.
    pub fn cache_times(&self, zone: &str, ttl: u32) -> CacheTimes {
        let matching = |block: &&Block| block.serves(zone);
        let block =
            self.blocks.iter().filter(matching).max_by_key(|block| block.longest_match(zone));
        let cache = block.and_then(|block| block.plugins.iter().find(|one| one.name == "cache"));
        match cache {
            None => CacheTimes { answers: None, denials: None },
            Some(cache) => cache.cache_times(zone, ttl),
        }
    }
}

impl Block {
    fn kubernetes(&self) -> Option<Kubernetes> {
        let plugin = self.plugins.iter().find(|plugin| plugin.name == "kubernetes")?;
        let words = |name: &str| -> Option<Vec<String>> {
            let found =
                plugin.options.iter().filter(|line| line.first().is_some_and(|w| w == name));
            let mut found = found.peekable();
            found.peek()?;
            Some(found.flat_map(|line| line.iter().skip(1).cloned()).collect())
        };
        let zones: Vec<String> = plugin.args.iter().map(|zone| zone_of(zone)).collect();
        let first = |name: &str| words(name).and_then(|words| words.into_iter().next());
        Some(Kubernetes {
            zones: if zones.is_empty() { self.keys.clone() } else { zones },
            ttl: first("ttl").and_then(|ttl| ttl.parse().ok()).unwrap_or(DEFAULT_TTL),
            pods: first("pods").unwrap_or_else(|| "disabled".to_owned()),
            namespaces: words("namespaces").unwrap_or_default(),
            labels: words("labels").map(|words| words.join(" ")),
            namespace_labels: words("namespace_labels").map(|words| words.join(" ")),
            noendpoints: words("noendpoints").is_some(),
            endpoint_pod_names: words("endpoint_pod_names").is_some(),
        })
    }

    fn serves(&self, zone: &str) -> bool {
        self.keys.iter().any(|key| is_within(zone, key))
    }

    /// CoreDNS takes the block with the longest matching zone.
    fn longest_match(&self, zone: &str) -> usize {
        let matching = self.keys.iter().filter(|key| is_within(zone, key));
        matching.map(|key| if key == "." { 0 } else { key.len() }).max().unwrap_or(0)
    }
}

impl Plugin {
    /// Of the plugin `cache`.
    fn cache_times(&self, zone: &str, ttl: u32) -> CacheTimes {
        let mut args = self.args.iter().peekable();
        let longest = args.peek().and_then(|word| word.parse::<u32>().ok());
        if longest.is_some() {
            args.next();
        }
        let zones: Vec<String> = args.map(|zone| zone_of(zone)).collect();
        if !zones.is_empty() && !zones.iter().any(|own| is_within(zone, own)) {
            return CacheTimes { answers: None, denials: None };
        }
        let of = |kind: &str, longest: u32| -> Option<u32> {
            let lines = || self.options.iter();
            let disabled = lines().any(|line| {
                let words: Vec<&str> = line.iter().map(String::as_str).collect();
                match words.as_slice() {
                    ["disable", what, zones @ ..] if *what == kind => {
                        zones.is_empty() || zones.iter().any(|own| is_within(zone, &zone_of(own)))
                    }
                    _ => false,
                }
            });
            if disabled {
                return None;
            }
            let own = lines().find(|line| line.first().is_some_and(|word| word == kind));
            let number = |place: usize| own.and_then(|line| line.get(place)?.parse::<u32>().ok());
            let (longest, shortest) = (number(2).unwrap_or(longest), number(3).unwrap_or(MIN_TTL));
            Some(ttl.max(shortest).min(longest))
        };
        CacheTimes {
            answers: of("success", longest.unwrap_or(MAX_TTL)).filter(|&seconds| seconds > 0),
            denials: of("denial", longest.unwrap_or(MAX_DENIAL_TTL)).filter(|&seconds| seconds > 0),
        }
    }
}

/// The words of a line. Quotes keep words together; `#` begins a comment.
fn tokens(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut begun) = (false, false);
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' if quoted => word.extend(chars.next()),
            '"' => (quoted, begun) = (!quoted, true),
            '#' if !quoted && !begun => break,
            c if c.is_whitespace() && !quoted => {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
            }
            c => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// The plugins of a block, up to its end.
fn plugins(lines: &mut impl Iterator<Item = Vec<String>>) -> Vec<Plugin> {
    let mut found = Vec::new();
    while let Some(mut line) = lines.next() {
        if line.first().is_some_and(|word| word == "}") {
            break;
        }
        let opens = line.last().is_some_and(|word| word == "{");
        if opens {
            line.pop();
        }
        let mut words = line.into_iter();
        let name = words.next().unwrap_or_default();
        let mut plugin = Plugin { name, args: words.collect(), options: Vec::new() };
        if opens {
            options(lines, &mut plugin.options);
        }
        found.push(plugin);
    }
    found
}

fn options(lines: &mut impl Iterator<Item = Vec<String>>, found: &mut Vec<Vec<String>>) {
    while let Some(mut line) = lines.next() {
        if line.first().is_some_and(|word| word == "}") {
            break;
        }
        if line.last().is_some_and(|word| word == "{") {
            line.pop();
            // Only the end of a deeper block matters.
            options(lines, &mut Vec::new());
        }
        found.push(line);
    }
}

/// `dns://cluster.local.:53` is `cluster.local`, `.:53` is `.`.
fn zone_of(key: &str) -> String {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    let key = match key.rsplit_once(':') {
        Some((zone, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => zone,
        _ => key,
    };
    let zone = key.trim_end_matches('.').to_ascii_lowercase();
    if zone.is_empty() { ".".to_owned() } else { zone }
}

/// Whether a name is in a zone.
pub fn is_within(name: &str, zone: &str) -> bool {
    zone == "."
        || name.eq_ignore_ascii_case(zone)
        || name.len().checked_sub(zone.len() + 1).and_then(|cut| name.get(cut..)).is_some_and(
            |tail| tail.strip_prefix('.').is_some_and(|tail| tail.eq_ignore_ascii_case(zone)),
        )
}

fn is_reverse(zone: &str) -> bool {
    zone.ends_with("in-addr.arpa") || zone.ends_with("ip6.arpa") || zone.contains('/')
}

/// A label selector in text form: `a=b,c in (d, e),!f`. `None` if it is not
/// valid.
pub fn selector(text: &str) -> Option<Selector> {
    let mut parts: Vec<String> = vec![String::new()];
    let mut depth = 0_u32;
    for c in text.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        if c == ',' && depth == 0 {
            parts.push(String::new());
        } else {
            parts.last_mut()?.push(c);
        }
    }
    let mut found = Selector::default();
    for part in parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()) {
        found.expressions.push(expression(part)?);
    }
    Some(found)
}

fn expression(part: &str) -> Option<Expression> {
    let make = |key: &str, operator: &str, values: Vec<String>| Expression {
        key: key.trim().to_owned(),
        operator: operator.to_owned(),
        values,
    };
    let one = |value: &str| vec![value.trim().to_owned()];
    if let Some((head, list)) = part.split_once('(') {
        let list = list.trim_end().strip_suffix(')')?;
        let values = list.split(',').map(|value| value.trim().to_owned()).collect();
        let mut words = head.split_whitespace();
        let (key, operator) = (words.next()?, words.next()?);
        return match operator {
            "in" => Some(make(key, "In", values)),
            "notin" => Some(make(key, "NotIn", values)),
            _ => None,
        };
    }
    if let Some(key) = part.strip_prefix('!') {
        return Some(make(key, "DoesNotExist", Vec::new()));
    }
    for (sign, operator) in [("!=", "NotIn"), ("==", "In"), ("=", "In")] {
        if let Some((key, value)) = part.split_once(sign) {
            return Some(make(key, operator, one(value)));
        }
    }
    (!part.contains(char::is_whitespace)).then(|| make(part, "Exists", Vec::new()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KUBEADM: &str = "\
.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    prometheus :9153
    forward . /etc/resolv.conf {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
";

    fn cache_times(text: &str) -> (Option<u32>, Option<u32>) {
        let corefile = Corefile::read(text);
        let ttl = corefile.kubernetes("cluster.local").map_or(30, |one| one.ttl);
        let found = corefile.cache_times("cluster.local", ttl);
        (found.answers, found.denials)
    }

    #[test]
    fn a_file_of_kubeadm_is_understood() {
        let corefile = Corefile::read(KUBEADM);
        let kubernetes = corefile.kubernetes("cluster.local").unwrap();
        assert_eq!(kubernetes.zones, ["cluster.local", "in-addr.arpa", "ip6.arpa"]);
        assert_eq!((kubernetes.ttl, kubernetes.pods.as_str()), (30, "insecure"));
        assert_eq!(corefile.primary_zone().as_deref(), Some("cluster.local"));
        assert_eq!(corefile.serves_addresses("cluster.local"), Some(true));
        assert!(corefile.serves("cluster.local"));
        assert!(!corefile.serves("example.org"));
        assert_eq!(cache_times(KUBEADM), (Some(30), Some(30)));
    }

    #[test]
    fn cache_times_follow_the_plugin() {
        let with = |cache: &str| cache_times(&KUBEADM.replace("cache 30", cache));
        assert_eq!(with(""), (None, None));
        assert_eq!(with("cache"), (Some(30), Some(30)));
        assert_eq!(with("cache 10"), (Some(10), Some(10)));
        assert_eq!(with("cache 30 example.org"), (None, None));
        let disabled =
            "cache 30 {\n disable success cluster.local\n disable denial cluster.local\n}";
        assert_eq!(with(disabled), (None, None));
        assert_eq!(with("cache 30 {\n disable denial\n}"), (Some(30), None));
        assert_eq!(with("cache 30 {\n disable denial example.org\n}"), (Some(30), Some(30)));
        assert_eq!(with("cache {\n success 9984 20\n denial 9984 5\n}"), (Some(20), Some(5)));
        assert_eq!(with("cache {\n denial 9984 60 45\n}"), (Some(30), Some(45)));
        let short = KUBEADM.replace("ttl 30", "ttl 0");
        assert_eq!(cache_times(&short), (Some(5), Some(5)));
    }

    #[test]
    fn blocks_snippets_ports_and_filters() {
        let text = "\
# a comment
(shared) {
    cache 7
}
dns://example.org:53, example.com {
    forward . 192.0.2.1
}
My.Zone.:1053 { # the cluster
    import shared
    import /etc/coredns/custom/*.override
    kubernetes {
        namespaces a b
        namespaces c
        labels env in (dev, test),app
        noendpoints
        endpoint_pod_names
    }
}
import /etc/coredns/custom/*.server
";
        let corefile = Corefile::read(text);
        let kubernetes = corefile.kubernetes("my.zone").unwrap();
        assert_eq!(kubernetes.zones, ["my.zone"]);
        assert_eq!(kubernetes.namespaces, ["a", "b", "c"]);
        assert_eq!(kubernetes.labels.as_deref(), Some("env in (dev, test),app"));
        assert!(kubernetes.noendpoints && kubernetes.endpoint_pod_names);
        assert_eq!(kubernetes.pods, "disabled");
        assert_eq!(corefile.serves_addresses("my.zone"), Some(false));
        assert_eq!(corefile.cache_times("my.zone", 5).denials, Some(5));
        assert_eq!(corefile.cache_times("example.org", 5).denials, None);
        assert_eq!(
            corefile.imports,
            ["/etc/coredns/custom/*.override", "/etc/coredns/custom/*.server"]
        );
        for odd in ["", "}", "{", ".:53 {", "kubernetes", "a {\n b {\n"] {
            Corefile::read(odd);
        }
    }

    #[test]
    fn selectors_are_read_as_labels_are_written() {
        let labels = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
            pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
        };
        let is = |text: &str, pairs| selector(text).unwrap().matches(&labels(pairs));
        assert!(is("a=b", &[("a", "b")]));
        assert!(!is("a==b", &[("a", "c")]));
        assert!(is("a!=b", &[]));
        assert!(is("a in (b, c),d", &[("a", "c"), ("d", "")]));
        assert!(!is("a notin (b),!d", &[("a", "x"), ("d", "")]));
        assert!(is("", &[]));
        assert_eq!(selector("a in b"), None);
        assert_eq!(selector("a)"), None);
    }

    #[test]
    fn names_are_in_their_zones_only() {
        assert!(is_within("web.svc.cluster.local", "cluster.local"));
        assert!(is_within("Cluster.Local", "cluster.local"));
        assert!(!is_within("mycluster.local", "cluster.local"));
        assert!(is_within("anything", "."));
        assert!(!is_within("ä.x", "é.x"));
    }
}
