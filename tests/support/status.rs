//! What the tests of both tiers ask of `status`.

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
pub fn document(namespace: &Namespace, set: &str) -> Value {
    let output = namespace.stateful(["status", set, "-o", "json"]).output();
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}\n{output}"))
}

/// The ids of its findings, in their order.
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
            last = document(namespace, set);
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

/// Does what a hint says, in a shell that has the real kubectl.
pub fn follow(namespace: &Namespace, hint: &str) {
    let script = namespace.directory().join("hint.sh");
    // Fake nodes are so quick that kubectl can miss the end of a pod whose
    // successor has its name, and then waits for a week.
    let mut hint = hint.replace("kubectl delete pod ", "kubectl delete --wait=false pod ");
    if hint.starts_with("kubectl stateful canary ") {
        // Nobody is there to be asked.
        hint += " --yes";
    }
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
