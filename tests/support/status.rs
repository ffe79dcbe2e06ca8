//! `status` and its hints, as the tests of both tiers use them.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    time::Duration,
};

use serde_json::Value;

use super::{Namespace, Run, wait_for};

const SOON: Duration = Duration::from_secs(240);

/// The document of `status SET -o json`, whatever the exit code.
pub fn status_document(namespace: &Namespace, set: &str) -> Value {
    let output = namespace.stateful(["status", set, "-o", "json"]).output();
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{output}"))
}

/// The ids of the reasons in a document, in their order.
pub fn ids(document: &Value) -> Vec<&str> {
    let reasons = document["reasons"].as_array().expect("reasons");
    reasons.iter().filter_map(|reason| reason["id"].as_str()).collect()
}

/// Waits until exactly these are found, and returns the document.
#[track_caller]
pub fn until_found(namespace: &Namespace, set: &str, wanted: &[&str]) -> Value {
    let mut last = Value::Null;
    let found = catch_unwind(AssertUnwindSafe(|| {
        wait_for(SOON, "the findings", || {
            last = status_document(namespace, set);
            (ids(&last) == wanted).then(|| last.clone())
        })
    }));
    found.unwrap_or_else(|_| {
        panic!("wanted {wanted:?}, but\n{last:#}\nfound {:?}, wanted {wanted:?}", ids(&last))
    })
}

/// The hint of a finding.
pub fn hint_of(document: &Value, id: &str) -> String {
    let reasons = document["reasons"].as_array().expect("reasons");
    let reason = reasons.iter().find(|reason| reason["id"] == id).expect("the finding");
    reason["hint"].as_str().expect("a hint").to_owned()
}

/// Runs the line of a hint, in a shell that has the real kubectl.
pub fn follow(namespace: &Namespace, hint: &str) {
    let script = namespace.directory().join("hint.sh");
    // A simulated node replaces a pod so fast that kubectl can miss the end of the
    // old one, and then waits for a week.
    let mut hint = hint.replace("kubectl delete pod ", "kubectl delete --wait=false pod ");
    // Nobody is there to confirm it.
    let verbs = ["canary", "migrate", "scale"];
    let ours = verbs.map(|verb| format!("kubectl stateful {verb} "));
    let agreed = |line: &str| {
        let looks = [" status ", " plan ", " history "].iter().any(|verb| line.contains(verb));
        let asks = !looks && ours.iter().any(|ours| line.starts_with(ours.as_str()));
        if asks { format!("{line} --yes") } else { line.to_owned() }
    };
    hint = hint.split(" && ").map(agreed).collect::<Vec<_>>().join(" && ");
    fs::write(&script, format!("{hint}\n")).expect("a file");
    let bin = namespace.cluster().kubectl_path().parent().expect("a directory").to_owned();
    Run::new("/bin/sh")
        .arg(&script)
        .search(bin)
        .search(Path::new(env!("CARGO_BIN_EXE_kubectl-stateful")).parent().expect("a directory"))
        .kubeconfig(namespace.cluster().kubeconfig())
        .deadline(SOON)
        .output()
        .success();
}
