//! `migrate recover`: a move by hand went wrong, MySQL runs on a blank disk, and
//! its rows sit on a volume that nobody has.

use serde_json::{Value, json};

use super::copy::{SOON, SUM, begin, claim, deployment, inside, migrate, mysql, volume_of};
use crate::support::{TestCluster, wait_for};

#[test]
fn rows_on_a_released_volume_come_back() {
    let namespace = TestCluster::shared_node().namespace("migrate-recover");
    let class = claim("standard", "ReadWriteOnce");
    begin(&namespace, "mysql", &deployment("mysql", 1, &mysql(), &class));
    let sql = |statements: &str| format!("mysql -uroot -ppassword -e \"{statements}\"");
    let fill = "CREATE DATABASE shop; CREATE TABLE shop.orders (n VARCHAR(64)); \
                INSERT INTO shop.orders SELECT UUID() FROM information_schema.columns";
    inside(&namespace, "deploy/mysql", &sql(fill));
    let rows = inside(&namespace, "deploy/mysql", SUM);
    let data = volume_of(&namespace, "mysql-claim");
    let pv = data["metadata"]["name"].as_str().expect("a name");

    // What people type.
    let by_hand = |words: &[&str]| namespace.kubectl(words).deadline(SOON).output().expect(0);
    by_hand(&["patch", "pv", pv, "-p", r#"{"spec":{"persistentVolumeReclaimPolicy":"Retain"}}"#]);
    by_hand(&["delete", "deploy/mysql", "--cascade=foreground", "--timeout=120s"]);
    by_hand(&["delete", "pvc/mysql-claim", "--timeout=120s"]);
    let labels = json!({ "app": "mysql" });
    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "mysql" },
        "spec": {
            "serviceName": "mysql", "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "terminationGracePeriodSeconds": 5, "containers": [mysql()] },
            },
            "volumeClaimTemplates": [{ "metadata": { "name": "data" }, "spec": class }],
        },
    });
    namespace.apply(&set.to_string());
    by_hand(&["rollout", "status", "sts/mysql", "--timeout=200s"]);
    inside(&namespace, "mysql-0", &sql("CREATE DATABASE empty_one"));
    let blank = volume_of(&namespace, "data-mysql-0");
    assert_ne!(blank["metadata"]["uid"], data["metadata"]["uid"]);

    migrate(&namespace, &["recover", "sts/mysql", "--pv", pv, "--yes"], 0);
    assert_eq!(inside(&namespace, "mysql-0", SUM), rows);
    let now = volume_of(&namespace, "data-mysql-0");
    assert_eq!(now["metadata"]["uid"], data["metadata"]["uid"]);
    let volume = |name: &Value| {
        let path = format!("/api/v1/persistentvolumes/{}", name.as_str().expect("a name"));
        namespace.cluster().api().get(&path).expect("a volume")
    };
    let kept = wait_for(SOON, "the blank volume to be Released", || {
        Some(volume(&blank["metadata"]["name"]))
            .filter(|kept| kept["status"]["phase"] == "Released")
    });
    assert_eq!(kept["spec"]["persistentVolumeReclaimPolicy"], "Retain");

    // The way back is the same with the other one, and both disks are what they were.
    let words =
        ["recover", "sts/mysql", "--yes", "--pv", kept["metadata"]["name"].as_str().expect("")];
    migrate(&namespace, &words, 0);
    let databases = inside(&namespace, "mysql-0", "mysql -uroot -ppassword -NBe 'SHOW DATABASES'");
    assert!(databases.contains("empty_one") && !databases.contains("shop"), "{databases}");
    migrate(&namespace, &["recover", "sts/mysql", "--pv", pv, "--yes"], 0);
    assert_eq!(inside(&namespace, "mysql-0", SUM), rows);
}
