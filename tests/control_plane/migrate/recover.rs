//! A set that came up on a blank disk gets the one with the data back.

use std::fmt;

use super::{
    super::support::{Mishap, Victim},
    *,
};

/// So many points of the sweep are tried, unless all are asked for.
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
    let again = accident.recover(0).args(["-o", "json"]).output().expect(4);
    assert_eq!(ids(&again), ["MIGRATE-VOLUME-UNFIT"]);
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
    assert_eq!(ids(&refused), ["MIGRATE-VOLUME-UNFIT"]);
    assert_eq!(accident.pod(0)["metadata"]["uid"], pod["metadata"]["uid"]);
    assert!(!accident.has_journal());
}

#[derive(Clone, Copy)]
struct Point {
    request: usize,
    mishap: Mishap,
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {}, {:?}", self.request, self.mishap)
    }
}

impl Point {
    fn try_it(&self) {
        let accident = Accident::happens(TestCluster::for_sweeps(), "recover-killed", 1);
        let proxy = accident.namespace.cluster().proxy();
        let victim = Victim::default();
        let (point, shared) = (*self, victim.clone());
        proxy.on(move |seen| {
            (seen.number == point.request).then(|| point.mishap.fault(seen, &shared))
        });
        let kubeconfig = accident.namespace.kubeconfig_through(&proxy);
        let output = accident.recover(0).kubeconfig(kubeconfig).victim(&victim).output();
        let killed = output.signal() == Some(9);
        // The count of looks is not the same each time.
        assert!(killed || output.code() == Some(0), "{output}\n{}", proxy.log());
        if accident.has_journal() {
            let words = ["migrate", "rollback", "sts/mysql", "--yes", "--takeover"];
            accident.namespace.stateful(words).deadline(SOON).output().expect(11);
            let words = ["migrate", "resume", "sts/mysql", "--yes", "--takeover"];
            accident.namespace.stateful(words).deadline(SOON).output().expect(0);
        } else if killed {
            // Either it had not begun, or it was over.
            let again = accident.recover(0).output();
            assert!(matches!(again.code(), Some(0 | 4)), "{again}");
        }
        accident.is_recovered(0);
        assert!(!accident.has_journal());
    }
}

#[test]
fn killed_at_any_request_a_recovery_goes_on() {
    let accident = Accident::happens(TestCluster::for_sweeps(), "recover-counted", 1);
    let proxy = accident.namespace.cluster().proxy();
    let kubeconfig = accident.namespace.kubeconfig_through(&proxy);
    accident.recover(0).kubeconfig(kubeconfig).output().expect(0);
    accident.is_recovered(0);
    let requests = proxy.requests().len();
    let points = (1..=requests)
        .flat_map(|request| Mishap::KILLED.map(|mishap| Point { request, mishap }))
        .collect();
    let of = format!("requests: {requests}");
    support::sweep("recover killed", &of, points, SAMPLE, Point::try_it);
}
