//! What is said of the way out: once, and about what was asked.

use std::collections::BTreeSet;

use super::{
    super::support::{self, Disk},
    truth::user_of,
    *,
};

/// The volume is left under Retain and the claim is still there: both have the same way
/// on, and it is one line.
#[test]
fn a_line_to_type_is_printed_once() {
    let namespace = TestCluster::shared().namespace("orphans-one-hint");
    scaled(&namespace, "db", 2, 1);
    let disk = Disk::of_claim(&namespace, "data-db-1");
    user_of(&namespace, "reader-once", "data-db-1");
    namespace.kubectl(["delete", "pvc", "data-db-1", "--wait=false"]).output().expect(0);
    let words = ["orphans", "delete", "data-db-1", "--yes", "--timeout", "1s"];
    let output = namespace.stateful(words).output().expect(6);
    assert!(output.stderr.contains("ORPHANS-NOT-YET"), "{output}");
    assert!(output.stderr.contains("ORPHANS-LEFT-RETAINED"), "{output}");
    let hints: Vec<&str> =
        output.stderr.lines().filter(|line| line.starts_with("hint: ")).collect();
    assert_eq!(hints.len(), hints.iter().collect::<BTreeSet<_>>().len(), "{output}");
    assert_eq!(hints.len(), 1, "{output}");
    assert!(disk.is_whole());
}

/// That there is nothing in it would be no answer, nor is what other namespaces have.
#[test]
fn a_namespace_that_does_not_exist_is_said_to_be_none() {
    let cluster = TestCluster::shared();
    for words in [
        &["orphans"][..],
        &["orphans", "web"],
        &["orphans", "-o", "name"],
        &["orphans", "delete", "--class", "unreferenced", "--yes"],
    ] {
        let run = support::stateful(words.iter().chain(&["-n", "no-such-namespace"]));
        let output = run.kubeconfig(cluster.kubeconfig()).output().expect(1);
        let said = "Error from server (NotFound): namespaces \"no-such-namespace\" not found\n";
        assert_eq!(output.stderr, format!("{said}hint: kubectl get namespaces\n"), "{output}");
        assert_eq!(output.stdout, "");
    }
}
