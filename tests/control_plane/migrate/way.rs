//! There, back, there again and finished, for every shape of application.

use super::{super::support::Mishap, *};

/// The whole way, and what is told on it.
#[track_caller]
fn goes_the_whole_way(story: Story) -> Place {
    let mut place = Place::make(story);
    let plan = document(&place.ends(&format!("plan {} --exit-code -o json", story.words), 3));
    assert_eq!(plan["statefulSet"], story.set);
    assert_eq!(plan["items"].as_array().map(Vec::len), Some(story.claims.len()));
    assert_eq!(place.before.differences(&place.picture()), Vec::<String>::new());

    let output = place.run("-o json").output().expect(0);
    is_told(&output, "arrived", story);
    place.is_moved();
    let status = place.on("status", "-o json").output().expect(0);
    is_told(&status, "arrived", story);
    assert_eq!(document(&status)["writes"], json!([]));
    for word in ["rollback", "finalize"] {
        let line = format!("kubectl stateful migrate {word} sts/{}", story.set);
        let text = place.on("status", "").output().success();
        assert!(text.contains(&line), "{line} is not in\n{text}");
    }
    let list = place.ends("status", 0).stdout;
    assert!(list.contains("moved") && list.contains(story.set), "{list}");
    let list = document(&place.ends("status -o json", 0));
    assert_eq!(list["items"][0]["name"], story.set);

    let before = place.picture();
    let shown = is_shown(&place, "rollback");
    assert_eq!(before.differences(&place.picture()), Vec::<String>::new());
    let back = place.on("rollback", "-o json").output().expect(0);
    is_told(&back, "rolled-back", story);
    is_as_shown(&shown, &back);
    place.is_home();
    place.watch_anew();
    assert_eq!(place.ends("status", 0).stdout, "no migration is under way\n");

    place.moves();
    let before = place.picture();
    let shown = is_shown(&place, "finalize");
    assert_eq!(before.differences(&place.picture()), Vec::<String>::new());
    let finished = place.on("finalize", "-o json").output().expect(0);
    is_told(&finished, "finished", story);
    is_as_shown(&shown, &finished);
    place.is_finished();
    place.on("status", "").output().expect(4);
    // With nothing to do, a program gets its document all the same.
    let nothing = document(&place.on("finalize", "-o json").output().expect(0));
    assert_eq!(nothing["items"], json!([]));
    place
}

/// What a verb would write, which a dry run shows and the server tries, and nothing is
/// changed. What builds on an earlier write to the same object the server cannot try.
#[track_caller]
fn is_shown(place: &Place, verb: &str) -> Vec<String> {
    let proxy = place.namespace.cluster().proxy();
    let kubeconfig = place.namespace.kubeconfig_through(&proxy);
    let shown = ["--dry-run", "--dry-run=client", "--dry-run=server"].map(|flag| {
        let run = place.on(verb, &format!("{flag} -o json")).kubeconfig(&kubeconfig);
        let document = document(&run.output().expect(0));
        let lines = document["writes"].as_array().expect("a list").iter();
        let lines = lines.map(|line| line.as_str().expect("a line"));
        let is_tried = |line: &&str| line.ends_with(" (server dry run)");
        let tried = lines.clone().filter(is_tried).count();
        assert_eq!(tried > 0, flag.ends_with("server"), "{document:#}");
        let bare = |line: &str| {
            let line = line.strip_suffix(" (server dry run)").or(line.strip_suffix(" (dry run)"));
            line.expect("a dry run").to_owned()
        };
        lines.map(bare).collect::<Vec<String>>()
    });
    // Neither an object nor the lock or the direction in the journal. A deletion says in its
    // body that it is a dry run.
    let changes = proxy.count(|seen| seen.changes() && seen.method != "DELETE");
    assert_eq!(changes, 0, "{}", proxy.log());
    let [by_default, by_us, by_server] = shown;
    assert_eq!(by_default, by_us);
    assert_eq!(by_us, by_server);
    by_us
}

/// What was shown is what was done, besides the lock and the notes in the journal.
#[track_caller]
fn is_as_shown(shown: &[String], done: &Output) {
    let document = document(done);
    let lines = document["writes"].as_array().expect("a list").iter();
    let lines = lines.map(|line| line.as_str().expect("a line"));
    let is_note =
        |line: &&str| ["(lock held by", "(the set runs)"].iter().any(|note| line.contains(note));
    let wrote: Vec<&str> = lines.filter(|line| !is_note(line)).collect();
    assert_eq!(shown, wrote, "{done}");
}

/// A run that is killed anywhere: what is shown of the way on, and of the way back, is
/// what is done then. A run that finds it begun shows the same, and writes nothing either.
#[test]
fn the_way_on_is_shown_from_wherever_it_stands() {
    for (number, write) in [1, 3, 5, 7].into_iter().enumerate() {
        let place = Place::make(Story { name: "shown", ..STATIC });
        let proxy = place.namespace.cluster().proxy();
        let mut writes = 0;
        let victim = Mishap::KilledAfter.inject(&proxy, move |seen| {
            writes += usize::from(seen.changes());
            seen.changes() && writes == write
        });
        let kubeconfig = place.namespace.kubeconfig_through(&proxy);
        place.run("").kubeconfig(kubeconfig).victim(&victim).output();
        assert!(place.has_journal(), "killed after write {write}");
        let verb = if number % 2 == 0 { "resume" } else { "rollback" };
        let shown = is_shown(&place, verb);
        if verb == "resume" {
            let proxy = place.namespace.cluster().proxy();
            let kubeconfig = place.namespace.kubeconfig_through(&proxy);
            let output = place.run("--dry-run -o json").kubeconfig(kubeconfig).output().expect(0);
            let again = document(&output);
            let again = again["writes"].as_array().expect("a list").iter();
            let again = again.map(|line| line.as_str().expect("a line"));
            let again: Vec<&str> =
                again.map(|line| line.strip_suffix(" (dry run)").expect("it")).collect();
            assert_eq!(shown, again, "{output}");
            assert_eq!(proxy.count(|seen| seen.changes()), 0, "{}", proxy.log());
        }
        let done = place.on(verb, "--takeover -o json").output().expect(0);
        is_as_shown(&shown, &done);
    }
}

/// What is in the way is said before, and what would be waited for in between.
#[test]
fn a_dry_run_says_what_it_waits_for_and_what_is_in_the_way() {
    let place = Place::make(Story { name: "waits", ..STATIC });
    place.moves();
    let output = place.on("rollback", "--dry-run").output().expect(0);
    for wanted in ["statefulset.apps/mysql patched", "waits for mysql-0 to be gone"] {
        assert!(output.stderr.contains(wanted), "{wanted}: {output}");
    }
    let delete = ["delete", "pvc/data-mysql-0", "--wait=false"];
    place.namespace.kubectl(delete).output().expect(0);
    let before = place.picture();
    let output = place.on("rollback", "--dry-run -o json").output();
    let code = output.code().expect("an end");
    assert!([0, 4, 11].contains(&code), "{output}");
    assert_eq!(before.differences(&place.picture()), Vec::<String>::new());
}

#[track_caller]
fn is_told(output: &Output, stage: &str, story: Story) {
    let document = document(output);
    assert_eq!(document["stage"], stage, "{output}");
    assert_eq!(document["statefulSet"], story.set);
    let others = ["made-again", "another"].map(Value::from);
    assert!(!others.contains(&document["set"]["presence"]), "nobody deleted it\n{output}");
    let disks = document["items"].as_array().expect("items");
    let told: Vec<(&str, &str)> = disks
        .iter()
        .map(|disk| {
            (disk["oldClaim"].as_str().unwrap_or(""), disk["newClaim"].as_str().unwrap_or(""))
        })
        .collect();
    assert_eq!(told, story.claims);
    for disk in disks {
        let (policy, now) = (&disk["policy"], &disk["policyNow"]);
        let wanted = if stage == "arrived" { &json!("Retain") } else { policy };
        assert_eq!(now, wanted, "{disk:#}");
    }
}

#[test]
fn a_volume_made_by_hand_is_handed_over() {
    goes_the_whole_way(STATIC);
}

#[test]
fn a_volume_with_policy_retain_is_handed_over() {
    let manifests = |namespace: &str| by_hand(namespace, "Retain");
    goes_the_whole_way(Story { name: "retain", manifests, ..STATIC });
}

#[test]
fn two_volumes_are_handed_over() {
    goes_the_whole_way(PAIR);
}

#[test]
fn a_provisioned_volume_is_handed_over() {
    goes_the_whole_way(Story { name: "immediate", manifests: |_| with_class("standard"), ..WAIT });
}

#[test]
fn a_volume_of_one_node_is_handed_over() {
    goes_the_whole_way(WAIT);
}

#[test]
fn the_deployment_may_stop_first() {
    goes_the_whole_way(Story { name: "stop", words: "deploy/mysql --stop-first", ..STATIC });
}

#[test]
fn a_claim_may_stay_as_it_is() {
    let place = goes_the_whole_way(Story {
        name: "keep",
        words: "deploy/mysql --mode keep",
        claims: &[],
        ..STATIC
    });
    keeps(&place, "mysql-pv-claim");
}

#[test]
fn pods_may_go_on_sharing_a_claim() {
    let place = goes_the_whole_way(Story {
        name: "shared",
        manifests: |namespace| {
            let class = format!("manual-{namespace}");
            vec![
                disk(namespace, "Delete", "ReadWriteMany"),
                claim("files", &class, "ReadWriteMany"),
                headless("mysql"),
                deployment("mysql", 3, &[("data", "files")]),
            ]
        },
        words: "deploy/mysql --mode keep",
        claims: &[],
        ..STATIC
    });
    keeps(&place, "files");
    let set = place.namespace.get("apps/v1", "statefulsets", "mysql").expect("the set");
    assert_eq!(set["status"]["readyReplicas"], 3);
}

/// Nothing but its uid tells this set from another one of its name, at the end.
#[test]
fn a_deployment_without_claims_becomes_a_set() {
    goes_the_whole_way(Story {
        name: "bare",
        manifests: |_| vec![headless("mysql"), deployment("mysql", 1, &[])],
        claims: &[],
        ..STATIC
    });
}

/// The claim and its volume are the very same, and the set mounts it.
#[track_caller]
fn keeps(place: &Place, claim: &str) {
    let now = place.picture();
    let is = now.get("persistentvolumeclaims", claim);
    assert_eq!(is, place.before.get("persistentvolumeclaims", claim));
    let disk = is["spec"]["volumeName"].as_str().expect("a volume");
    assert_eq!(now.get("persistentvolumes", disk), place.before.get("persistentvolumes", disk));
    let volumes = &now.get("statefulsets", "mysql")["spec"]["template"]["spec"]["volumes"];
    let claims = volumes.as_array().into_iter().flatten();
    let mut claims = claims.map(|volume| &volume["persistentVolumeClaim"]["claimName"]);
    assert!(claims.any(|name| name == claim), "{volumes:#}");
}

#[test]
fn one_of_two_claims_may_stay() {
    let place = goes_the_whole_way(Story {
        name: "half",
        words: "deploy/mysql --keep logs",
        claims: &[("mysql-data", "data-mysql-0")],
        ..PAIR
    });
    keeps(&place, "mysql-logs");
}

#[test]
fn a_claim_template_can_be_renamed() {
    goes_the_whole_way(Story {
        name: "template",
        words: "deploy/mysql --claim data=database",
        claims: &[("mysql-data", "database-mysql-0")],
        ..WAIT
    });
}

#[test]
fn several_deployments_become_one_set() {
    goes_the_whole_way(Story {
        name: "several",
        manifests: |_| {
            let mut all = Vec::new();
            for name in ["a", "b", "c"] {
                let disk = format!("{name}-disk");
                all.push(claim(&disk, "standard", "ReadWriteOnce"));
                all.push(deployment(name, 1, &[("data", &disk)]));
            }
            all
        },
        words: "--from a,b,c --name db",
        set: "db",
        claims: &[("a-disk", "data-db-0"), ("b-disk", "data-db-1"), ("c-disk", "data-db-2")],
    });
}

#[test]
fn an_autoscaler_comes_along() {
    let place = goes_the_whole_way(Story {
        name: "hpa",
        manifests: |namespace| {
            let mut all = by_hand(namespace, "Delete");
            all.push(autoscaler());
            all
        },
        words: "deploy/mysql --retarget hpa",
        ..STATIC
    });
    let now = place.picture();
    let hpa = now.get("horizontalpodautoscalers", "mysql");
    let target = json!({"apiVersion": "apps/v1", "kind": "StatefulSet", "name": "mysql"});
    assert_eq!(hpa["spec"]["scaleTargetRef"], target);
}

pub fn autoscaler() -> Value {
    json!({
        "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "mysql"},
        "spec": {
            "minReplicas": 1, "maxReplicas": 1,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "mysql"},
        },
    })
}

#[test]
fn a_deployment_without_pods_becomes_a_set_without_pods() {
    let place = goes_the_whole_way(Story {
        name: "none",
        manifests: |_| {
            vec![
                claim("mysql-data", "standard", "ReadWriteOnce"),
                headless("mysql"),
                deployment("mysql", 0, &[("data", "mysql-data")]),
            ]
        },
        ..WAIT
    });
    let set = place.namespace.get("apps/v1", "statefulsets", "mysql").expect("the set");
    assert_eq!(set["spec"]["replicas"], 0);
}

/// The Service is ours: it goes with the way back, and stays with the set.
#[test]
fn a_service_is_made_where_there_is_none() {
    let place = goes_the_whole_way(Story {
        name: "service",
        manifests: |namespace| {
            let mut all = by_hand(namespace, "Delete");
            all.retain(|object| object["kind"] != "Service");
            all
        },
        ..STATIC
    });
    assert!(!place.before.has("services", "mysql-headless"));
    assert!(place.picture().has("services", "mysql-headless"));
}

/// What `--emit` writes is what a person would write, and makes the set that the
/// migration makes.
#[test]
fn the_manifests_for_git_make_the_same_set() {
    let place = Place::make(Story { name: "emit", ..STATIC });
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_string_lossy().into_owned();
    place.ends(&format!("plan {} --emit {path}", place.story.words), 0);
    let file = folder.path().join("mysql-statefulset.yaml");
    let text = std::fs::read_to_string(&file).expect("the file");
    assert!(text.starts_with("apiVersion: apps/v1\nkind: StatefulSet\nmetadata:\n"), "{text}");
    for default in ["terminationMessagePath", "dnsPolicy", "schedulerName", "imagePullPolicy"] {
        assert!(!text.contains(default), "{default}\n{text}");
    }
    let file = file.to_string_lossy().into_owned();
    let made = ["create", "-f", &file, "--dry-run=server", "-o", "json"];
    let made = place.namespace.kubectl(made).output().expect(0);
    let made: Value = serde_json::from_str(&made.stdout).expect("JSON");
    place.moves();
    let live = place.namespace.get("apps/v1", "statefulsets", "mysql").expect("the set");
    assert_eq!(made["spec"], live["spec"]);
}
