//! A set that came up on a blank disk gets the one with the data back.

use super::{
    super::support::{Mishap, Point, sweep_requests},
    *,
};

/// How many points of the sweep are tried, unless all are asked for.
const SAMPLE: usize = 6;

/// A move by hand that went wrong: the set was there before the volume was its
/// own, and the data sits on a volume that nobody has.
struct Accident {
    namespace: Namespace<'static>,
    /// The volume of each ordinal that held the data, and the blank one.
    disks: Vec<(Value, Value)>,
    vigil: Vigil,
}

impl Accident {
    fn happens(cluster: &'static TestCluster, hint: &str, replicas: u32) -> Accident {
        let namespace = cluster.namespace(hint);
        let api = namespace.cluster().api();
        let names: Vec<String> = (0..replicas).map(|number| format!("old-{number}")).collect();
        for name in &names {
            create(&namespace, &claim(name, "standard", "ReadWriteOnce"));
        }
        wait_for(SOON, "the old claims to be bound", || are_bound(&namespace).then_some(()));
        let lost: Vec<Value> = names.iter().map(|name| volume_of(&namespace, name)).collect();
        for (name, disk) in names.iter().zip(&lost) {
            api.patch(
                &path_of(disk),
                &json!({"spec": {"persistentVolumeReclaimPolicy": "Retain"}}),
            );
            api.delete(&namespace.path("v1", "persistentvolumeclaims", name));
        }
        for object in [headless("mysql"), set(replicas)] {
            match object["kind"].as_str() {
                Some("StatefulSet") => {
                    api.create(&namespace.path("apps/v1", "statefulsets", ""), &object)
                }
                _ => create(&namespace, &object),
            };
        }
        serves(&namespace, replicas);
        let disks = lost.into_iter().zip(0..replicas).map(|(disk, ordinal)| {
            let disk = wait_for(SOON, "the volume to be Released", || {
                let disk = api.get(&path_of(&disk))?;
                (disk["status"]["phase"] == "Released").then_some(disk)
            });
            (disk, volume_of(&namespace, &format!("data-mysql-{ordinal}")))
        });
        let disks = disks.collect();
        let vigil = Vigil::begin(&namespace);
        Accident { namespace, disks, vigil }
    }

    fn recover(&self, ordinal: usize) -> Run {
        let pv = self.disks[ordinal].0["metadata"]["name"].as_str().expect("a name");
        let ordinal = ordinal.to_string();
        let words = ["migrate", "recover", "sts/mysql", "--pv", pv, "--ordinal", &ordinal];
        self.namespace.stateful(words).args(["--yes"]).deadline(SOON)
    }

    fn has_journal(&self) -> bool {
        self.namespace.get("v1", "configmaps", "kubectl-stateful-migrate-mysql").is_some()
    }

    fn pod(&self, ordinal: usize) -> Value {
        self.namespace.get("v1", "pods", &format!("mysql-{ordinal}")).expect("a pod")
    }

    /// The volume with the data is the ordinal's, the blank one is kept as it
    /// is, and nothing tells of it.
    #[track_caller]
    fn is_recovered(&self, ordinal: usize) {
        let api = self.namespace.cluster().api();
        serves(&self.namespace, u32::try_from(self.disks.len()).expect("few"));
        let (data, blank) = &self.disks[ordinal];
        let claim = format!("data-mysql-{ordinal}");
        let now = volume_of(&self.namespace, &claim);
        assert_eq!(now["metadata"]["uid"], data["metadata"]["uid"], "{now:#}");
        assert_eq!(now["status"]["phase"], "Bound", "{now:#}");
        for path in
            ["/metadata/annotations", "/metadata/labels", "/spec/capacity", "/spec/hostPath"]
        {
            assert_eq!(now.pointer(path), data.pointer(path), "{path}");
        }
        assert_eq!(now["spec"]["persistentVolumeReclaimPolicy"], "Retain");
        let kept = wait_for(SOON, "the blank volume to be Released", || {
            let kept = api.get(&path_of(blank)).expect("the blank volume");
            (kept["status"]["phase"] == "Released").then_some(kept)
        });
        assert_eq!(kept["metadata"]["uid"], blank["metadata"]["uid"]);
        assert_eq!(kept["spec"]["claimRef"]["uid"], blank["spec"]["claimRef"]["uid"]);
        // Its class deletes; what was written to it is nobody's to throw away.
        assert_eq!(kept["spec"]["persistentVolumeReclaimPolicy"], "Retain");
        assert_eq!(Picture::of(&self.namespace).marked(), Vec::<String>::new());
        for other in (0..self.disks.len()).filter(|other| *other != ordinal) {
            let now = volume_of(&self.namespace, &format!("data-mysql-{other}"));
            assert_eq!(now["metadata"]["uid"], self.disks[other].1["metadata"]["uid"]);
        }
        self.vigil.check_reserved(&self.namespace);
    }
}

fn set(replicas: u32) -> Value {
    let mut set = deployment("mysql", replicas, &[("data", "?")]);
    set["kind"] = json!("StatefulSet");
    let spec = set["spec"].as_object_mut().expect("a spec");
    spec.remove("strategy");
    spec.insert("serviceName".to_owned(), json!("mysql"));
    let template = json!({
        "metadata": {"name": "data"},
        "spec": claim("data", "standard", "ReadWriteOnce")["spec"],
    });
    spec.insert("volumeClaimTemplates".to_owned(), json!([template]));
    set["spec"]["template"]["spec"].as_object_mut().expect("a pod").remove("volumes");
    set
}

#[track_caller]
fn serves(namespace: &Namespace, replicas: u32) {
    wait_for(SOON, "the set to be ready", || {
        let set = namespace.get("apps/v1", "statefulsets", "mysql").expect("the set");
        (set["status"]["readyReplicas"] == replicas && set["spec"]["replicas"] == replicas)
            .then_some(())
    });
}

fn path_of(volume: &Value) -> String {
    format!("/api/v1/persistentvolumes/{}", volume["metadata"]["name"].as_str().expect("a name"))
}

#[track_caller]
fn volume_of(namespace: &Namespace, claim: &str) -> Value {
    let claim = namespace.get("v1", "persistentvolumeclaims", claim).expect("the claim");
    let name = claim["spec"]["volumeName"].as_str().expect("it is bound");
    let path = format!("/api/v1/persistentvolumes/{name}");
    namespace.cluster().api().get(&path).expect("its volume")
}

#[test]
fn the_volume_with_the_data_is_put_back_and_the_blank_one_kept() {
    let accident = Accident::happens(TestCluster::shared(), "recover", 1);
    let output = accident.recover(0).output().expect(0);
    assert!(output.stderr.contains("MIGRATE-BLANK-IS-KEPT"), "{output}");
    accident.is_recovered(0);
    assert!(!accident.has_journal());
    // It has it already.
    let again = accident.recover(0).args(["-o", "json"]).output().expect(0);
    assert_eq!(document(&again)["command"], Value::Null, "{again}");
}

/// What would be done, and to which volume, for programs too; and which volumes
/// there are, for those who do not know the name.
#[test]
fn the_volume_is_shown_and_found() {
    let accident = Accident::happens(TestCluster::shared(), "recover-shown", 1);
    let before = Picture::of(&accident.namespace);
    let data = accident.disks[0].0["metadata"]["name"].as_str().expect("a name");
    let shown = accident.recover(0).args(["--dry-run", "-o", "json"]).output().expect(0);
    let shown = document(&shown);
    assert_eq!(shown["schema"], "kubectl-stateful/migrate-recovery/v1");
    let item = &shown["items"][0];
    assert_eq!(item["name"], data, "{shown:#}");
    for field in ["lastClaim", "size", "accessModes", "created", "insteadOf", "phase"] {
        assert!(!item[field].is_null(), "{field}: {shown:#}");
    }
    let list = |more: &[&str], code| {
        let words = [&["migrate", "recover", "sts/mysql"], more].concat();
        accident.namespace.stateful(words).output().expect(code)
    };
    let found = document(&list(&["-o", "json"], 0));
    let items = found["items"].as_array().expect("a list");
    assert_eq!(items[0]["name"], data, "of this namespace first: {found:#}");
    assert!(items.iter().all(|item| item["phase"] != "Bound"), "{found:#}");
    let table = list(&[], 0);
    assert!(table.stdout.contains("LAST CLAIM") && table.stdout.contains(data), "{table}");
    let next = found["next"].as_str().expect("only one is of this namespace");
    assert!(next.contains(&format!("--pv {data}")), "{next}");
    accident.recover(0).args(["--dry-run=server"]).output().expect(0);
    assert_eq!(before.differences(&Picture::of(&accident.namespace)), Vec::<String>::new());
    support::follow(&accident.namespace, shown["command"].as_str().expect("a line"));
    accident.is_recovered(0);
}

/// A volume of another namespace is not taken without its own word.
#[test]
fn the_volume_of_another_namespace_is_refused() {
    let accident = Accident::happens(TestCluster::shared(), "recover-foreign", 1);
    let data = &accident.disks[0].0;
    let theirs = json!({"namespace": "elsewhere", "name": "data-mysql-0", "uid": "gone"});
    let api = accident.namespace.cluster().api();
    api.patch(&path_of(data), &json!({"spec": {"claimRef": theirs}}));
    let refused = accident.recover(0).args(["-o", "json"]).output().expect(4);
    assert_eq!(error_ids(&refused), ["MIGRATE-VOLUME-FOREIGN"], "{refused}");
    assert!(!accident.has_journal());
    let allow = ["--allow", "MIGRATE-VOLUME-FOREIGN"];
    accident.recover(0).args(allow).output().expect(0);
    accident.is_recovered(0);
}

/// Nothing runs on the volume of an ordinal that the set does not have.
#[test]
fn an_ordinal_beyond_the_set_is_not_said_to_run() {
    let accident = Accident::happens(TestCluster::shared(), "recover-beyond", 1);
    let pod = accident.pod(0);
    let data = accident.disks[0].0["metadata"]["name"].as_str().expect("a name").to_owned();
    let words = ["migrate", "recover", "sts/mysql", "--ordinal", "3", "--pv", &data, "--yes"];
    let more = ["-o", "json", "--allow", "MIGRATE-VOLUME-FOREIGN"];
    let output = accident.namespace.stateful([&words[..], &more].concat()).output().expect(0);
    let document = document(&output);
    assert_eq!(document["stage"], "put-back", "{output}");
    assert!(reason_ids(&output).iter().any(|id| id == "MIGRATE-NO-SUCH-ORDINAL"), "{output}");
    let volume = volume_of(&accident.namespace, "data-mysql-3");
    assert_eq!(volume["metadata"]["name"], json!(data));
    assert_eq!(accident.pod(0)["metadata"]["uid"], pod["metadata"]["uid"]);
}

/// Those before it run on: a set loses its highest ordinals first.
#[test]
fn lower_ordinals_run_on_meanwhile() {
    let accident = Accident::happens(TestCluster::shared(), "recover-middle", 3);
    let before = [accident.pod(0), accident.pod(2)];
    accident.recover(1).output().expect(0);
    accident.is_recovered(1);
    let uid = |pod: &Value| pod["metadata"]["uid"].clone();
    assert_eq!(uid(&accident.pod(0)), uid(&before[0]));
    assert_ne!(uid(&accident.pod(2)), uid(&before[1]));
}

/// The volume that somebody else took meanwhile is theirs, and the set goes on.
#[test]
fn a_volume_that_somebody_has_is_not_taken() {
    let accident = Accident::happens(TestCluster::shared(), "recover-taken", 1);
    let data = &accident.disks[0].0;
    let api = accident.namespace.cluster().api();
    let mut taker = claim("taker", "standard", "ReadWriteOnce");
    taker["spec"]["volumeName"] = data["metadata"]["name"].clone();
    create(&accident.namespace, &taker);
    // Reserved by name at once: for a moment it would be anybody's.
    let taken = json!({"name": "taker", "uid": null, "resourceVersion": null});
    api.patch(&path_of(data), &json!({"spec": {"claimRef": taken}}));
    wait_for(SOON, "the taker to have it", || are_bound(&accident.namespace).then_some(()));
    let pod = accident.pod(0);
    let refused = accident.recover(0).args(["-o", "json"]).output().expect(4);
    assert_eq!(reason_ids(&refused), ["MIGRATE-VOLUME-UNFIT"]);
    assert_eq!(accident.pod(0)["metadata"]["uid"], pod["metadata"]["uid"]);
    assert!(!accident.has_journal());
}

fn try_point(point: &Point<'_, &str, ()>) {
    let accident = Accident::happens(TestCluster::for_sweeps(), "recover-killed", 1);
    let (proxy, victim) = point.proxy(accident.namespace.cluster());
    let kubeconfig = accident.namespace.kubeconfig_through(&proxy);
    let output = accident.recover(0).kubeconfig(kubeconfig).victim(&victim).output();
    // The number of reads varies: the request may not come at all.
    let killed = !point.survived(&output, &proxy);
    if accident.has_journal() {
        let words = ["migrate", "rollback", "sts/mysql", "--yes", "--takeover"];
        accident.namespace.stateful(words).deadline(SOON).output().expect(11);
        // The same command goes on, and another one says what is under way.
        let words = ["migrate", "recover", "sts/mysql", "--pv", "another", "--yes"];
        accident.namespace.stateful(words).output().expect(7);
        accident.recover(0).arg("--takeover").output().expect(0);
    } else if killed {
        // Either it had not begun, or it was over.
        accident.recover(0).output().expect(0);
    }
    accident.is_recovered(0);
    assert!(!accident.has_journal());
}

fn requests() -> usize {
    let accident = Accident::happens(TestCluster::for_sweeps(), "recover-counted", 1);
    let proxy = accident.namespace.cluster().proxy();
    let kubeconfig = accident.namespace.kubeconfig_through(&proxy);
    accident.recover(0).kubeconfig(kubeconfig).output().expect(0);
    accident.is_recovered(0);
    proxy.requests().len()
}

#[test]
fn killed_at_any_request_a_recovery_goes_on() {
    let undisturbed = |_: &&str| ((), requests());
    let kills = &Mishap::KILLED;
    sweep_requests("recover killed", &["recover"], kills, SAMPLE, undisturbed, try_point);
}
