//! Volumes that wait for any claim: the binder prefers them to making a new one, so the
//! disk of a new ordinal may be an old one.

use super::{
    super::support::{self, csi_volume, document},
    *,
};

/// A class of this namespace whose volumes are made on demand, by its name.
fn class(namespace: &Namespace, mode: &str) -> String {
    let name = format!("{}-any", namespace.name());
    let class = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": name},
        "provisioner": "stateful.test/directory", "volumeBindingMode": mode,
    });
    namespace.cluster().api().create("/apis/storage.k8s.io/v1/storageclasses", &class);
    name
}

/// A volume without a claim that is there to be taken.
fn waiting(namespace: &Namespace, name: &str, class: &str, change: impl FnOnce(&mut Value)) {
    let mut volume = csi_volume(name, class, "5Gi");
    change(&mut volume);
    let api = namespace.cluster().api();
    api.create("/api/v1/persistentvolumes", &volume);
    wait_for(SOON, "the volume to be Available", || {
        let found = api.get(&format!("/api/v1/persistentvolumes/{name}"))?;
        (found["status"]["phase"] == "Available").then_some(())
    });
}

/// The finding of this rule.
#[track_caller]
fn told(document: &Value, id: &str) -> Value {
    let reasons = document["reasons"].as_array().expect("reasons");
    let found = reasons.iter().find(|one| one["id"] == id);
    found.unwrap_or_else(|| panic!("no {id}: {document:#}")).clone()
}

#[track_caller]
fn names(finding: &Value, names: &[&str]) {
    let message = finding["message"].as_str().expect("a message");
    assert!(names.iter().all(|name| message.contains(name)), "{names:?}: {message}");
}

/// It fits, and so it is taken: that is said before, and after, with its name.
#[test]
fn a_volume_that_waits_is_told_before_and_after_it_is_taken() {
    for (hint, mode) in
        [("scale-waits", "Immediate"), ("scale-waits-consumer", "WaitForFirstConsumer")]
    {
        let namespace = TestCluster::shared().namespace(hint);
        let class = class(&namespace, mode);
        make(&namespace, 1, |set| claims(set, &class));
        let left = format!("{}-left", namespace.name());
        waiting(&namespace, &left, &class, |_| {});
        for flags in ["", " --fresh"] {
            let words = format!("--replicas 2 --dry-run -o json{flags}");
            let plan = document(&ends(&namespace, &words, 0));
            let finding = told(&plan, "SCALE-FREE-VOLUME");
            names(&finding, &["www-web-1", &left]);
            support::follow(&namespace, finding["hint"].as_str().expect("a line"));
        }
        let output = ends(&namespace, "--replicas 2 -o json", 0);
        assert!(output.stderr.contains("SCALE-FREE-VOLUME"), "{output}");
        let end = document(&output);
        assert_eq!(Picture::of(&namespace).claims["www-web-1"].1, left, "the binder took it");
        let finding = told(&end, "SCALE-OLD-VOLUME");
        names(&finding, &["www-web-1", &left]);
        support::follow(&namespace, finding["hint"].as_str().expect("a line"));
        let disk = &end["items"][0]["claims"][0];
        assert_eq!((&disk["volume"], &disk["fate"]), (&json!(left), &json!("found")), "{end:#}");
        let in_words = ends(&namespace, "--replicas 2", 0);
        assert!(!in_words.stdout.contains("SCALE-OLD-VOLUME"), "nothing came: {in_words}");
    }
}

/// What cannot be taken is not told of, and a disk that is made is a new one.
#[test]
fn a_volume_that_does_not_fit_is_none_to_tell_of() {
    let namespace = TestCluster::shared().namespace("scale-waits-unfit");
    let class = class(&namespace, "WaitForFirstConsumer");
    make(&namespace, 1, |set| claims(set, &class));
    let name = |what: &str| format!("{}-{what}", namespace.name());
    waiting(&namespace, &name("small"), &class, |volume| {
        volume["spec"]["capacity"]["storage"] = json!("512Mi");
    });
    waiting(&namespace, &name("modes"), &class, |volume| {
        volume["spec"]["accessModes"] = json!(["ReadOnlyMany"]);
    });
    waiting(&namespace, &name("block"), &class, |volume| {
        volume["spec"]["volumeMode"] = json!("Block");
    });
    waiting(&namespace, &name("class"), &format!("{class}-other"), |_| {});
    waiting(&namespace, &name("node"), &class, |volume| {
        let term = json!({"matchExpressions": [
            {"key": "kubernetes.io/hostname", "operator": "In", "values": ["no-such-node"]},
        ]});
        volume["spec"]["nodeAffinity"] = json!({"required": {"nodeSelectorTerms": [term]}});
    });
    let output = ends(&namespace, "--replicas 2 -o json", 0);
    let end = document(&output);
    assert_eq!(end["reasons"], json!([]), "{end:#}");
    assert!(!output.stderr.contains("SCALE-FREE-VOLUME"), "{output}");
    let disk = &end["items"][0]["claims"][0];
    assert_eq!(disk["fate"], "new", "{end:#}");
    assert_eq!(disk["volume"], json!(Picture::of(&namespace).claims["www-web-1"].1), "{end:#}");
}
