//! What `migrate convert` writes, in front of a real API server: taken with
//! strict field validation, first as a dry run, then for good.

use std::{fs, path::Path};

use serde_json::Value;

use super::support::{Namespace, TestCluster, stateful};

/// What is converted, and the StatefulSets that must be there afterwards.
const CASES: [(&str, &[&str], &[&str]); 9] = [
    ("tests/apps/mysql-deployment.yaml", &[], &["mysql"]),
    (
        "tests/apps/zookeeper-deployment.yaml",
        &["--claim", "zookeeper-data=zookeeper-vol"],
        &["zookeeper"],
    ),
    ("tests/apps/seeds/mysql-deployment.yaml", &[], &["mysql"]),
    (
        "tests/apps/seeds/zookeeper-deployment.yaml",
        &["--claim", "zookeeper-data=zookeeper-vol"],
        &["zookeeper"],
    ),
    ("tests/apps/seeds/nginx-deployment.yaml", &["deploy/nginx-deployment"], &["nginx-deployment"]),
    ("tests/scenarios/convert/helm.yaml", &["--retarget", "hpa"], &["release-db"]),
    ("tests/scenarios/convert/shared-kept.yaml", &["--mode", "keep"], &["files"]),
    (
        "tests/scenarios/convert/fold.yaml",
        &["--from", "shard-a,shard-b", "--name", "shard"],
        &["shard"],
    ),
    ("tests/scenarios/convert/fold.yaml", &[], &["shard-a", "shard-b"]),
];

/// Without what belongs to no namespace: other tests have the same names.
fn without_volumes(manifests: &str) -> String {
    let documents = manifests.split("---\n");
    documents
        .filter(|document| !document.contains("kind: PersistentVolume\n"))
        .collect::<Vec<_>>()
        .join("---\n")
}

fn converted(file: &str, words: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let path = path.to_string_lossy().into_owned();
    let output = stateful([&["migrate", "convert", "-f", &path], words].concat()).output();
    without_volumes(&output.success())
}

fn apply(namespace: &Namespace, manifests: &str, more: &[&str]) {
    let words = [&["apply", "--validate=strict", "-f", "-"], more].concat();
    namespace.kubectl(words).stdin(manifests).output().expect(0);
}

#[test]
fn a_real_server_takes_every_converted_manifest() {
    for (file, words, sets) in CASES {
        let namespace = TestCluster::shared().namespace("convert");
        let manifests = converted(file, words);
        apply(&namespace, &manifests, &["--dry-run=server"]);
        apply(&namespace, &manifests, &[]);
        for set in sets {
            let stored = namespace.get("apps/v1", "statefulsets", set).expect("the set");
            let service = stored["spec"]["serviceName"].as_str().expect("a Service");
            let service = namespace.get("v1", "services", service).expect("it is there");
            assert_eq!(service["spec"]["clusterIP"], "None", "{file}");
            for template in stored["spec"]["volumeClaimTemplates"].as_array().into_iter().flatten()
            {
                check_claim(&namespace, set, template);
            }
        }
        assert!(
            namespace.get("apps/v1", "deployments", sets[0]).is_none(),
            "{file}: the Deployment is not among what was written"
        );
    }
}

/// The controller would make this claim if it were not there.
fn check_claim(namespace: &Namespace, set: &str, template: &Value) {
    let template_name = template["metadata"]["name"].as_str().expect("a name");
    let name = format!("{template_name}-{set}-0");
    let claim = namespace.get("v1", "persistentvolumeclaims", &name).expect("the claim");
    for field in ["accessModes", "storageClassName", "resources"] {
        assert_eq!(claim["spec"][field], template["spec"][field], "{name}: {field}");
    }
}

/// A live application, dumped, converted and put back: what the server wrote
/// into it is gone, and it is taken again.
#[test]
fn a_dump_of_a_live_deployment_converts() {
    let namespace = TestCluster::shared().namespace("convert-dump");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps/mysql-deployment.yaml");
    let app = without_volumes(&fs::read_to_string(file).expect("the manifests"));
    namespace.apply(&app);
    namespace.kubectl(["rollout", "pause", "deploy/mysql"]).output().expect(0);
    let dump = || {
        let words = ["get", "deploy,pvc,svc", "-o", "yaml"];
        namespace.kubectl(words).output().success()
    };
    let convert = |dump: String, more: &[&str]| {
        stateful([&["migrate", "convert", "-f", "-"], more].concat()).stdin(dump).output()
    };
    let paused = convert(dump(), &[]).expect(4);
    assert!(paused.stderr.contains("MIGRATE-PAUSED") && paused.stdout.is_empty(), "{paused}");
    namespace.kubectl(["rollout", "resume", "deploy/mysql"]).output().expect(0);
    // The claim stays Pending here, which a conversion that moves it refuses;
    // kept as it is the rest must be taken.
    let refused = convert(dump(), &[]).expect(4);
    assert!(refused.stderr.contains("MIGRATE-PVC-UNUSABLE"), "{refused}");
    let kept = convert(
        dump(),
        &["--mode", "keep", "--name", "mysql-set", "--allow", "MIGRATE-ROLLOUT-IN-PROGRESS"],
    )
    .expect(0);
    apply(&namespace, &kept.stdout, &["--dry-run=server"]);
    assert!(!kept.stdout.contains("deployment.kubernetes.io"), "{kept}");
}
