//! Writes on a real API server: what no longer holds is a conflict, a dry run
//! changes nothing, and nothing is deleted that only has the same name.

use std::path::PathBuf;

use kubectl_stateful::{
    cluster::{
        Cluster, ConnectionArgs, Failure, Mode, Object, Patch, Precondition, Propagation, Resource,
        Write,
    },
    output::{Confirmed, ConsentArgs, Question, Terminal},
};
use serde_json::{Value, json};

use super::support::{Namespace, TestCluster};

fn confirmed() -> Confirmed {
    let consent = ConsentArgs { yes: true, confirm_plan: None };
    let question =
        Question { text: "Do it?", plan: None, type_to_agree: None, for_a_program: true };
    Confirmed::ask(Terminal::silent(), &consent, question).expect("--yes agrees")
}

fn config_map(namespace: &Namespace) -> Object {
    let (namespace, name) = (Some(namespace.name().to_owned()), "notes".to_owned());
    Object { resource: Resource::CONFIG_MAP, namespace, name }
}

/// Sends one write for real, or lets the server only check it.
fn send(kubeconfig: PathBuf, write: &Write, real: bool) -> Result<Option<Value>, Failure> {
    let connection = ConnectionArgs { kubeconfig: Some(kubeconfig), ..ConnectionArgs::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let cluster = Cluster::connect(&connection, Terminal::silent()).await.expect("a cluster");
        let confirmed = confirmed();
        let mode = if real { Mode::Real(&confirmed) } else { Mode::ServerDryRun };
        cluster.write(write, mode).await
    })
}

fn fields(value: &str) -> serde_json::Map<String, Value> {
    json!({"data": {"key": value}}).as_object().cloned().expect("an object")
}

#[test]
fn preconditions_hold_on_a_real_server() {
    let namespace = TestCluster::shared().namespace("write");
    let kubeconfig = namespace.cluster().kubeconfig().to_owned();
    let send = |write: &Write, real| send(kubeconfig.clone(), write, real);
    let stored = || namespace.get("v1", "configmaps", "notes").expect("the object");
    let body = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "notes", "namespace": namespace.name()}, "data": {"key": "one"},
    });
    let create = Write::create(config_map(&namespace), body, "");
    send(&create, false).expect("the server would take it");
    assert!(namespace.get("v1", "configmaps", "notes").is_none(), "a dry run stores nothing");
    send(&create, true).expect("it is created");
    assert!(matches!(send(&create, true), Err(Failure::AlreadyExists(_))));
    let first = stored();
    let read_at = |object: &Value| {
        Precondition::ResourceVersion(
            object["metadata"]["resourceVersion"].as_str().expect("one").to_owned(),
        )
    };
    let patch = |precondition: &Precondition, value: &str| {
        Write::patch(config_map(&namespace), Patch::merge(precondition, fields(value)), "")
    };
    send(&patch(&read_at(&first), "two"), false).expect("the server would take it");
    assert_eq!(stored()["data"]["key"], "one", "a dry run changes nothing");
    send(&patch(&read_at(&first), "two"), true).expect("nothing changed in between");
    let late = send(&patch(&read_at(&first), "three"), true);
    assert!(matches!(late, Err(Failure::Conflict(_))), "{late:?}");
    let other = Precondition::Uid("00000000-0000-0000-0000-000000000000".to_owned());
    let namesake = send(&patch(&other, "three"), true);
    assert!(matches!(namesake, Err(Failure::Conflict(_))), "{namesake:?}");
    let replace = vec![json!({"op": "replace", "path": "/data/key", "value": "three"})];
    let tested = Patch::json("/data/key", &json!("one"), replace);
    let gone = send(&Write::patch(config_map(&namespace), tested, ""), true);
    assert!(matches!(gone, Err(Failure::Conflict(_))), "{gone:?}");
    assert_eq!(stored()["data"]["key"], "two", "what was refused changed nothing");
    let managers = stored()["metadata"]["managedFields"].to_string();
    assert!(managers.contains(r#""manager":"kubectl-stateful""#), "{managers}");
    let delete =
        |uid: &str| Write::delete(config_map(&namespace), uid, None, Propagation::Background, "");
    let wrong = send(&delete("00000000-0000-0000-0000-000000000000"), true);
    assert!(matches!(wrong, Err(Failure::Conflict(_))), "{wrong:?}");
    let uid = first["metadata"]["uid"].as_str().expect("a uid");
    send(&delete(uid), false).expect("the server would delete it");
    stored();
    send(&delete(uid), true).expect("it is deleted");
    assert!(namespace.get("v1", "configmaps", "notes").is_none());
}
