//! What `dns` says holds: of ports that no container has, of what was not read, of
//! namespaces and ordinals that do not exist.

use serde_json::{Value as Json, json};

use super::{
    build::{set, with},
    dns::{changed, endpoint, healthy, member, offline, service, slice, without},
};

/// What is printed, with the line breaks taken out.
fn joined(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A Service whose port leads to a name.
fn to_name(target: &str) -> Json {
    with(service(), "/spec/ports/0/targetPort", json!(target))
}

fn with_ports(object: Json, spec: &str, ports: &Json) -> Json {
    with(object, &format!("{spec}/containers/0/ports"), ports.clone())
}

fn without_ports(name: &str, ordinals: &[u32]) -> Json {
    let endpoints: Vec<Json> = ordinals.iter().map(|ordinal| endpoint(*ordinal)).collect();
    with(slice(name, &endpoints), "/ports", json!([]))
}

fn host(ordinal: u32) -> String {
    format!("web-{ordinal}.nginx.default.svc.cluster.local")
}

/// The EndpointSlice controller leaves a port out if no container has its target: there
/// is no SRV record then, and no number that anybody could connect to.
#[test]
fn a_port_that_no_container_has_is_no_port() {
    let objects = changed(&[to_name("peer"), without_ports("nginx-a", &[0, 1, 2])]);
    let (stdout, stderr, code) = offline(&objects, &["web", "-o", "srv-list"]);
    assert_eq!((stdout.as_str(), code), ("", Some(3)), "{stderr}");
    let said = joined(&stderr);
    assert!(
        said.contains(
            "the port web of Service nginx does not lead to web-0: its containers have no TCP port \
             named peer"
        ),
        "{stderr}"
    );
    assert!(said.contains("hint: kubectl stateful dns explain web -n default"), "{stderr}");
    // It is missing among the records as well, and its cause is found.
    let (stdout, _, code) = offline(&objects, &["web"]);
    assert_eq!(code, Some(3), "{stdout}");
    assert!(stdout.contains("_web._tcp.nginx SRV: no ready endpoint has a port named web"));
    let (stdout, _, code) = offline(&objects, &["explain", "web"]);
    assert_eq!(code, Some(3), "{stdout}");
    assert!(stdout.contains("DNS-TARGET-PORT"), "{stdout}");
    // The number that someone gives is theirs, and names need none.
    let (stdout, _, code) = offline(&objects, &["web/1", "-o", "srv-list", "--port", "7"]);
    assert_eq!((stdout, code), (format!("{}:7\n", host(1)), Some(0)));
    let (stdout, ..) = offline(&objects, &["web/1", "-o", "srv-list", "--format", "{host}"]);
    assert_eq!(stdout, format!("{}\n", host(1)));
}

/// A container's port counts by name and protocol, and only if the container keeps running.
#[test]
fn a_target_is_found_as_the_controller_finds_it() {
    let manifest = |containers: Json| {
        let set = with(set(), "/spec/template/spec", containers);
        let live = ["uid", "generation"];
        let mut set = set;
        for field in live {
            set["metadata"].as_object_mut().expect("fields").remove(field);
        }
        vec![set, to_name("peer")]
    };
    let port =
        |protocol: &str| json!([{"name": "peer", "containerPort": 7000, "protocol": protocol}]);
    let own = |ports: Json| json!({"containers": [{"name": "a", "image": "a", "ports": ports}]});
    let init = |more: Json| {
        let mut init = json!({"name": "i", "image": "i", "ports": port("TCP")});
        init.as_object_mut().expect("fields").extend(more.as_object().expect("fields").clone());
        json!({"containers": [{"name": "a", "image": "a"}], "initContainers": [init]})
    };
    let listed = |containers: Json| {
        let (stdout, stderr, code) = offline(&manifest(containers), &["web/0", "-o", "srv-list"]);
        if code == Some(3) {
            assert!(stderr.contains("have no TCP port"), "{stderr}");
        }
        (code == Some(8) || code == Some(0)).then_some(stdout)
    };
    let found = Some(format!("{}:7000\n", host(0)));
    assert_eq!(listed(own(port("TCP"))), found);
    assert_eq!(listed(own(json!([{"name": "peer", "containerPort": 7000}]))), found);
    assert_eq!(listed(own(port("UDP"))), None);
    assert_eq!(listed(own(json!([]))), None);
    assert_eq!(listed(init(json!({"restartPolicy": "Always"}))), found);
    assert_eq!(listed(init(json!({}))), None);
}

/// While a template is rolled out that moves the port, each pod has its own number.
#[test]
fn each_pod_is_listed_with_its_own_port() {
    let ports = |number: u16| json!([{"name": "peer", "containerPort": number}]);
    let slice = |name: &str, ordinals: &[u32], number: u16| {
        let ports = json!([{"name": "web", "port": number, "protocol": "TCP"}]);
        with(without_ports(name, ordinals), "/ports", ports)
    };
    let new = with_ports(set(), "/spec/template/spec", &ports(9000));
    let objects = changed(&[
        new.clone(),
        to_name("peer"),
        slice("nginx-a", &[0, 1], 8000),
        slice("nginx-b", &[2], 9000),
        with_ports(member(0), "/spec", &ports(8000)),
        with_ports(member(1), "/spec", &ports(8000)),
        with_ports(member(2), "/spec", &ports(9000)),
    ]);
    // The fourth does not exist yet: it will be as the template says.
    let (stdout, stderr, _) = offline(&objects, &["web", "-o", "srv-list", "--replicas", "4"]);
    let wanted: Vec<String> = [8000, 8000, 9000, 9000]
        .iter()
        .zip(0..)
        .map(|(port, ordinal)| format!("{}:{port}", host(ordinal)))
        .collect();
    assert_eq!(stdout, wanted.join(",") + "\n", "{stderr}");
    // A pod of an earlier template that had no such port is named, and no other.
    let objects = changed(&[
        new,
        to_name("peer"),
        without_ports("nginx-a", &[0]),
        slice("nginx-b", &[1, 2], 9000),
        with_ports(member(1), "/spec", &ports(9000)),
        with_ports(member(2), "/spec", &ports(9000)),
    ]);
    let (stdout, ..) = offline(&objects, &["explain", "web"]);
    let said = joined(&stdout);
    assert!(said.contains("which no container of web-0 has"), "{stdout}");
    assert!(said.contains("→ kubectl stateful status web -n default"), "{stdout}");
}

/// The line that mends it is printed where it is clear which port was meant.
#[test]
fn a_wrong_target_is_corrected_where_the_right_one_is_clear() {
    let hint = |ports: Json| {
        let pods = (0..3).map(|ordinal| with_ports(member(ordinal), "/spec", &ports));
        let own = [
            with_ports(set(), "/spec/template/spec", &ports),
            to_name("peer"),
            without_ports("nginx-a", &[0, 1, 2]),
        ];
        let objects = changed(&own.into_iter().chain(pods).collect::<Vec<_>>());
        let (stdout, ..) = offline(&objects, &["explain", "web", "-o", "json"]);
        let document: Json = serde_json::from_str(&stdout).expect("JSON");
        let reasons = document["reasons"].as_array().expect("reasons");
        let found: Vec<&Json> =
            reasons.iter().filter(|one| one["id"] == "DNS-TARGET-PORT").collect();
        assert_eq!(found.len(), 1, "{stdout}");
        found[0]["hint"].as_str().expect("a hint").to_owned()
    };
    let patched = |value: &str| {
        format!(
            "kubectl patch service nginx -n default --type json -p \
             '[{{\"op\":\"replace\",\"path\":\"/spec/ports/0/targetPort\",\"value\":{value}}}]'"
        )
    };
    let edit = "kubectl edit service nginx -n default";
    assert_eq!(hint(json!([{"name": "http", "containerPort": 8080}])), patched("\"http\""));
    assert_eq!(hint(json!([{"containerPort": 8080}])), patched("8080"));
    // Two, one of which has the number of the Service's own port.
    let two = json!([{"name": "a", "containerPort": 80}, {"name": "b", "containerPort": 81}]);
    assert_eq!(hint(two), patched("\"a\""));
    let two = json!([{"name": "a", "containerPort": 82}, {"name": "b", "containerPort": 81}]);
    assert_eq!(hint(two), edit);
    assert_eq!(hint(json!([])), edit);
    assert_eq!(hint(json!([{"containerPort": 8080, "protocol": "UDP"}])), edit);
}

/// A list has no room for what could not be read, so it is said beside it.
#[test]
fn lists_say_on_stderr_what_could_not_be_read() {
    let unread =
        "endpointslices.discovery.k8s.io could not be read: the input has no EndpointSlice";
    for (format, wanted) in [("hosts", 8), ("srv-list", 8), ("dig", 8), ("name", 0)] {
        let (_, stderr, code) = offline(&without("EndpointSlice", ""), &["web", "-o", format]);
        assert!(joined(&stderr).contains(unread), "{format}: {stderr}");
        assert_eq!(code, Some(wanted), "{format}: {stderr}");
    }
    let (_, stderr, _) = offline(&healthy(), &["web", "-o", "hosts"]);
    assert!(!stderr.contains("could not be read"), "{stderr}");
}

/// Files seldom have the namespaces: what is not in them is not known.
#[test]
fn a_namespace_that_is_not_in_the_files_was_not_checked() {
    let from = |objects: &[Json], namespace: &str| {
        let words = ["explain", "web", "--from-ns", namespace, "-o", "json"];
        let (stdout, stderr, code) = offline(objects, &words);
        assert_eq!(code, Some(0), "{stdout}{stderr}");
        let document: Json = serde_json::from_str(&stdout).expect("JSON");
        let reasons = document["reasons"].as_array().expect("reasons").clone();
        let found = reasons.into_iter().find(|one| one["id"] == "DNS-FROM-NAMESPACE");
        found.map(|one| {
            assert_eq!(one["severity"], "note");
            one["message"].as_str().expect("a message").to_owned()
        })
    };
    let mut objects = healthy();
    assert_eq!(from(&objects, "default"), None, "what was read is in it");
    assert_eq!(
        from(&objects, "shop").as_deref(),
        Some("the input has no namespace shop, so it was not checked whether it exists")
    );
    let there = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}});
    objects.push(there);
    assert_eq!(from(&objects, "shop"), None);
}

#[test]
fn what_is_no_ordinal_is_answered_with_what_there_is() {
    for word in ["x", "-1", "007", "99999999999"] {
        let name = format!("web/{word}");
        for words in [&[&*name][..], &["explain", &name], &[&format!("sts/{name}")]] {
            let (stdout, stderr, code) = offline(&healthy(), words);
            assert_eq!((stdout.as_str(), code), ("", Some(2)), "{stderr}");
            let said =
                format!("error: \"{word}\" is not an ordinal of web, which has ordinals 0 to 2\n");
            assert!(stderr.starts_with(&said), "{stderr}");
            assert!(stderr.contains("the number at the end of a pod's name"), "{stderr}");
        }
    }
    // A set that starts elsewhere, and one that is not there.
    let late = with(set(), "/spec/ordinals", json!({"start": 5}));
    let (_, stderr, _) = offline(&[late, service()], &["web/x"]);
    assert!(stderr.contains("which has ordinals 5 to 7\n"), "{stderr}");
    assert!(stderr.contains(": web/5\n"), "{stderr}");
    let (_, stderr, code) = offline(&healthy(), &["stss/web"]);
    assert_eq!(code, Some(2));
    assert!(stderr.contains("\"web\" is not an ordinal, and \"stss\" is not a kind"), "{stderr}");
    // No API server has that many: there is no line that scales so far.
    let (stdout, _, code) = offline(&healthy(), &["web/4294967294"]);
    assert_eq!(code, Some(3), "{stdout}");
    assert!(stdout.contains("DNS-NO-ORDINAL") && !stdout.contains("scale web"), "{stdout}");
}
