//! `status` on claims and disks that are not what one would expect, made on a
//! real control plane.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::support::{
    self, Namespace, TestCluster, follow, hint_of, ids, status_document, until_found, wait_for,
};

const SOON: Duration = Duration::from_secs(120);

fn web(class: &str, change: impl FnOnce(&mut Value)) -> String {
    support::web(1, |set| {
        support::claims(set, class);
        change(set);
    })
}

fn message(document: &Value, id: &str) -> String {
    let reasons = document["reasons"].as_array().into_iter().flatten();
    let reason = reasons.into_iter().find(|reason| reason["id"] == id).expect("the finding");
    reason["message"].as_str().expect("a message").to_owned()
}

/// A database that is installed again finds the disk of the one before.
#[test]
fn a_set_that_was_made_again_finds_the_data_of_the_one_before() {
    let namespace = TestCluster::shared().namespace("again");
    namespace.apply(&web("standard", |_| {}));
    namespace.wait_until_ready("web");
    namespace.kubectl(["delete", "sts", "web"]).deadline(SOON).output().success();
    let claim = namespace.get("v1", "persistentvolumeclaims", "www-web-0").expect("the claim");
    let made = claim["metadata"]["creationTimestamp"].as_str().expect("a time");
    let made: Timestamp = made.parse().expect("a time");
    wait_for(SOON, "the claim to be a minute older", || {
        (Timestamp::now().duration_since(made).as_secs() > 62).then_some(())
    });
    // What a wrong password looks like from outside.
    namespace.apply(&web("standard", |set| {
        let never = json!({"stateful.test/never-ready": "true"});
        set["spec"]["template"]["metadata"]["annotations"] = never;
    }));
    let found = wait_for(SOON, "the old claim", || {
        let document = status_document(&namespace, "web");
        ids(&document).contains(&"STATUS-CLAIM-OLDER").then_some(document)
    });
    let said = message(&found, "STATUS-CLAIM-OLDER");
    assert!(said.starts_with("www-web-0 was made 6"), "{said}");
    assert!(said.contains("before the set: what is on it is from then"), "{said}");
    follow(&namespace, &hint_of(&found, "STATUS-CLAIM-OLDER"));
}

#[test]
fn a_claim_that_differs_grows_and_cannot_grow() {
    let namespace = TestCluster::shared().namespace("grows");
    let class = format!("grows-{}", namespace.name());
    let growing = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": class},
        "provisioner": "stateful.test/directory", "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate", "allowVolumeExpansion": true,
    });
    namespace.apply(&growing.to_string());
    namespace.apply(&web(&class, |_| {}));
    namespace.wait_until_ready("web");
    until_found(&namespace, "web", &[]);
    let larger = r#"{"spec":{"resources":{"requests":{"storage":"2Gi"}}}}"#;
    namespace.kubectl(["patch", "pvc", "www-web-0", "-p", larger]).output().success();
    // No resizer runs here: nobody begins with it.
    let found = until_found(&namespace, "web", &["STATUS-CLAIM-DIFFERS", "STATUS-RESIZE"]);
    let said = message(&found, "STATUS-CLAIM-DIFFERS");
    assert!(said.ends_with("www-web-0: 2Gi instead of 1Gi"), "{said}");
    let said = message(&found, "STATUS-RESIZE");
    assert!(said.contains("from 1Gi to 2Gi: nothing has begun with it yet"), "{said}");
    let step = |kind: &str, message: &str| {
        let condition = json!({
            "type": kind, "status": "True", "message": message,
            "lastTransitionTime": Timestamp::now().to_string(),
        });
        let patch = json!({"status": {"conditions": [condition]}}).to_string();
        let line = ["patch", "pvc", "www-web-0", "--subresource=status", "--type=merge", "-p"];
        namespace.kubectl(line.iter().copied().chain([patch.as_str()])).output().success();
    };
    step("FileSystemResizePending", "");
    let found = until_found(&namespace, "web", &["STATUS-CLAIM-DIFFERS", "STATUS-RESIZE"]);
    let said = message(&found, "STATUS-RESIZE");
    assert!(said.contains("the file system grows once the pod has it mounted (for "), "{said}");
    step("ControllerResizeError", "quota exceeded");
    let found = until_found(&namespace, "web", &["STATUS-RESIZE-STUCK", "STATUS-CLAIM-DIFFERS"]);
    let said = message(&found, "STATUS-RESIZE-STUCK");
    assert!(said.ends_with("to grow from 1Gi to 2Gi, and that fails: quota exceeded"), "{said}");
    namespace.cluster().kubectl(["delete", "sc", &class]).output().success();
}

/// The volume of a pod is still attached to another node. The pod's own node is
/// played by nobody, so that the pod waits as it does for a volume.
#[test]
fn who_has_the_volume_on_another_node_is_said() {
    let namespace = TestCluster::shared().namespace("attached");
    let node = format!("new-{}", namespace.name());
    let machine = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node}});
    namespace.apply(&machine.to_string());
    namespace.apply(&web("standard", |set| {
        set["spec"]["template"]["spec"]["nodeName"] = json!(node);
        let lives = json!([{"operator": "Exists"}]);
        set["spec"]["template"]["spec"]["tolerations"] = lives;
    }));
    let (pod, volume) = wait_for(SOON, "the pod and its volume", || {
        let pod = namespace.get("v1", "pods", "web-0")?;
        let claim = namespace.get("v1", "persistentvolumeclaims", "www-web-0")?;
        Some((pod, claim["spec"]["volumeName"].as_str()?.to_owned()))
    });
    let attachment = json!({
        "apiVersion": "storage.k8s.io/v1", "kind": "VolumeAttachment",
        "metadata": {"name": format!("va-{}", namespace.name())},
        "spec": {
            "attacher": "stateful.test", "nodeName": "kwok-1",
            "source": {"persistentVolumeName": volume},
        },
    });
    namespace.apply(&attachment.to_string());
    let said = format!(
        "Multi-Attach error for volume \"{volume}\" Volume is already used by pod(s) web-0-old"
    );
    let event = json!({
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "web-0.attach"},
        "involvedObject": {
            "apiVersion": "v1", "kind": "Pod", "name": "web-0", "namespace": namespace.name(),
            "uid": pod["metadata"]["uid"],
        },
        "reason": "FailedAttachVolume", "message": said, "type": "Warning", "count": 1,
        "lastTimestamp": Timestamp::now().to_string().split('.').next().map(|time| format!("{time}Z")),
    });
    namespace.apply(&event.to_string());
    let found = wait_for(SOON, "the attachment", || {
        let document = status_document(&namespace, "web");
        ids(&document).contains(&"STATUS-MULTI-ATTACH").then_some(document)
    });
    let said = message(&found, "STATUS-MULTI-ATTACH");
    let wanted = format!("web-0 waits: volume {volume} is still attached to node kwok-1 (for ");
    assert!(said.starts_with(&wanted), "{said}");
    assert!(said.ends_with("), where web-0-old uses it"), "{said}");
    follow(&namespace, &hint_of(&found, "STATUS-MULTI-ATTACH"));
    tidy(&namespace, &node);
}

/// Takes away what is of no namespace.
fn tidy(namespace: &Namespace, node: &str) {
    let attachment = format!("volumeattachment/va-{}", namespace.name());
    namespace.kubectl(["delete", "sts", "web", "--wait=false"]).output().success();
    let force = ["delete", "pod", "web-0", "--force", "--grace-period=0", "--wait=false"];
    namespace.kubectl(force).output().success();
    let machine = format!("node/{node}");
    namespace.cluster().kubectl(["delete", &attachment, &machine]).output().success();
}
