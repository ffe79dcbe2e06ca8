//! A plan that was looked at is the plan that is carried out, or none is.

use super::*;

fn hash(place: &Place) -> String {
    let plan = document(&place.ends(&format!("plan {} -o json", place.story.words), 0));
    plan["hash"].as_str().expect("a hash").to_owned()
}

#[test]
fn what_does_not_matter_changes_no_plan() {
    let place = Place::make(Story { name: "hash", ..STATIC });
    let hash = hash(&place);
    // Another pod, another status; and somebody else's things.
    let pods = place.namespace.path("v1", "pods", "");
    let api = place.namespace.cluster().api();
    let list = api.get(&pods).expect("pods");
    let pod = list["items"][0]["metadata"]["name"].as_str().expect("a pod").to_owned();
    api.delete(&format!("{pods}/{pod}"));
    wait_for(SOON, "the next pod", || {
        (api.get(&format!("{pods}/{pod}")).is_none() && runs(&place.namespace)).then_some(())
    });
    let metadata = json!({"name": "other"});
    create(
        &place.namespace,
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}),
    );
    create(&place.namespace, &claim("other", "standard-wait", "ReadWriteOnce"));
    create(&place.namespace, &headless("other"));
    let plan = document(&place.ends(&format!("plan {} -o json", place.story.words), 0));
    assert_eq!(plan["hash"], json!(hash));
    support::follow(&place.namespace, plan["command"].as_str().expect("a line"));
    place.is_moved();
}

#[test]
fn what_matters_makes_another_plan() {
    let place = Place::make(Story { name: "other-hash", ..STATIC });
    let disk = format!("/api/v1/persistentvolumes/mysql-pv-{}", place.namespace.name());
    let template = |value: Value| json!({"spec": {"template": {"metadata": {"annotations": {"rolled": value}}}}});
    let changes: [&dyn Fn(); 4] = [
        &|| place.edit_deployment(&template(json!("once"))),
        &|| {
            let policy = json!({"spec": {"persistentVolumeReclaimPolicy": "Retain"}});
            place.namespace.cluster().api().patch(&disk, &policy);
        },
        &|| place.edit_deployment(&json!({"spec": {"replicas": 0}})),
        &|| {
            let service = place.namespace.path("v1", "services", "mysql");
            place.namespace.cluster().api().delete(&service);
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let hash = hash(&place);
        change();
        wait_for(SOON, "the change to be through", || runs(&place.namespace).then_some(()));
        let before = place.picture();
        let output = place.run(&format!("--confirm-plan {hash} -o json")).output();
        assert_eq!(output.code(), Some(7), "{number}\n{output}");
        assert_eq!(before.differences(&place.picture()), Vec::<String>::new());
        assert_ne!(self::hash(&place), hash, "{number}");
    }
}

/// Words are a part of the plan.
#[test]
fn other_flags_make_another_plan() {
    let place = Place::make(Story { name: "words", ..STATIC });
    let hash = hash(&place);
    for words in ["--stop-first", "--mode keep", "--claim data=other", "--name other"] {
        let output = place.run(&format!("{words} --confirm-plan {hash}")).output().expect(7);
        assert!(output.stderr.contains("the plan has changed"), "{words}\n{output}");
    }
    assert_eq!(place.before.differences(&place.picture()), Vec::<String>::new());
}
