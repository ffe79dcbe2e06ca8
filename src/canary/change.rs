//! What is to change in the pod template, as one strategic merge patch. Pure.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{container_edits, patch_file::PatchFile, refused::Refused, strategic};
use crate::output::Error;

/// The annotation that `kubectl rollout restart` sets.
const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// What is to change in the pod template.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "Change")]
pub struct ChangeArgs {
    /// Set the image of a container; may be repeated. *=IMAGE means all containers, init
    /// containers too; IMAGE alone is enough where there is one container
    #[arg(long, value_name = "CONTAINER=IMAGE")]
    pub image: Vec<String>,

    /// Set a variable, or remove it with NAME-; may be repeated. Without CONTAINER: in all
    /// containers but init containers
    #[arg(long, value_name = "[CONTAINER:]NAME=VALUE")]
    pub env: Vec<String>,

    /// Set limits and requests, such as limits.cpu=1,requests.memory=2Gi; may be repeated. Without
    /// CONTAINER: in all containers but init containers
    #[arg(long, value_name = "[CONTAINER:]LIST")]
    pub set_resources: Vec<String>,

    /// Recreate every pod from the same template, as kubectl rollout restart does
    #[arg(long)]
    pub restart: bool,

    /// Read the change from a file, or - for stdin: a strategic merge patch of the StatefulSet,
    /// YAML or JSON, with nothing but spec.template in it
    #[arg(
        long,
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath,
        conflicts_with_all = ["image", "env", "set_resources", "restart"]
    )]
    pub patch_file: Option<String>,

    /// Adopt a template that was already applied but held back by the partition
    #[arg(
        long,
        conflicts_with_all = ["image", "env", "set_resources", "restart", "patch_file"]
    )]
    pub adopt: bool,
}

impl ChangeArgs {
    /// Whether no flag names a change, nor --adopt.
    pub fn is_empty(&self) -> bool {
        self.image.is_empty()
            && self.env.is_empty()
            && self.set_resources.is_empty()
            && !self.restart
            && self.patch_file.is_none()
            && !self.adopt
    }

    /// Reads the patch file, if there is one: once, because stdin cannot be read
    /// again.
    ///
    /// # Errors
    /// [`Refused`], where it cannot be read or is no patch of a StatefulSet.
    pub fn read(
        &self,
        read_file: impl FnOnce(&str) -> Result<String, Error>,
    ) -> Result<Change<'_>, Refused> {
        let file = self.patch_file.as_deref().map(|file| PatchFile::read(file, read_file));
        Ok(Change { flags: self, file: file.transpose()? })
    }

    /// The change of the template that the flags ask for.
    fn template(&self, template: &Value, now: Timestamp) -> Result<Map<String, Value>, Refused> {
        let mut changed = Map::new();
        if self.restart {
            let annotations = json!({ RESTARTED_AT: format!("{now:.0}") });
            changed.insert("metadata".to_owned(), json!({ "annotations": annotations }));
        }
        let spec = container_edits::spec(template, &self.image, &self.env, &self.set_resources)?;
        if !spec.is_empty() {
            changed.insert("spec".to_owned(), Value::Object(spec));
        }
        Ok(changed)
    }
}

/// The flags, with the contents of the patch file.
#[derive(Debug)]
pub struct Change<'a> {
    pub flags: &'a ChangeArgs,
    file: Option<PatchFile<'a>>,
}

impl Change<'_> {
    /// Checks that a patch file is for this set; the namespace counts where it is
    /// known.
    ///
    /// # Errors
    /// [`Refused::Malformed`], where it names another object.
    pub fn is_for(&self, set: &str, namespace: Option<&str>) -> Result<(), Refused> {
        let Some(file) = &self.file else { return Ok(()) };
        file.says("/metadata/name", set)?;
        namespace.map_or(Ok(()), |namespace| file.says("/metadata/namespace", namespace))
    }

    /// The body of the patch, `{"spec":{"template":{…}}}`, without metadata.
    /// `template` is the set's current `spec.template`. What it has already is not
    /// changed, except by `--restart`.
    ///
    /// # Errors
    /// [`Refused`]; also where the server would refuse to merge it.
    pub fn patch(&self, template: &Value, now: Timestamp) -> Result<Map<String, Value>, Refused> {
        let changed = match &self.file {
            Some(file) => file.template(template)?,
            None => self.flags.template(template, now)?,
        };
        let spec = Map::from_iter([("template".to_owned(), Value::Object(changed))]);
        Ok(Map::from_iter([("spec".to_owned(), Value::Object(spec))]))
    }
}

/// A template without the moment at which it was last restarted.
pub fn without_restart(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(Value::Object(annotations)) = template.pointer_mut("/metadata/annotations") {
        annotations.shift_remove(RESTARTED_AT);
    }
    template
}

/// The template after a patch of its set, as the server would merge it. A patch
/// that the server would reject changes nothing.
pub fn apply(template: &Value, patch: &Map<String, Value>) -> Value {
    match patch.get("spec").and_then(|spec| spec.get("template")) {
        Some(Value::Object(changed)) => {
            strategic::merge(template, changed).unwrap_or_else(|_| template.clone())
        }
        _ => template.clone(),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::{
        canary::diff::{differences, tests::template},
        output::Exit,
    };

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        change: ChangeArgs,
    }

    fn args(words: &[&str]) -> ChangeArgs {
        Cli::try_parse_from(["start"].iter().chain(words)).unwrap().change
    }

    fn no_file(name: &str) -> Result<String, Error> {
        Err(Error::new(Exit::Error, format!("{name} was not to be read")))
    }

    fn patch_of(template: &Value, words: &[&str]) -> Result<Map<String, Value>, Refused> {
        args(words).read(no_file)?.patch(template, Timestamp::UNIX_EPOCH)
    }

    fn patch(words: &[&str]) -> Result<Map<String, Value>, Refused> {
        patch_of(&template(), words)
    }

    fn of_file(text: &str) -> Result<Map<String, Value>, Refused> {
        let args = args(&["--patch-file", "p.yaml"]);
        let change = args.read(|name| {
            assert_eq!(name, "p.yaml");
            Ok(text.to_owned())
        })?;
        change.is_for("db", Some("shop"))?;
        change.patch(&template(), Timestamp::UNIX_EPOCH)
    }

    /// What changes, a line each.
    fn changes(words: &[&str]) -> Vec<String> {
        let patch = patch(words).unwrap();
        let after = apply(&template(), &patch);
        assert_eq!(apply(&after, &patch), after, "{words:?} once more changes nothing");
        let said = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        differences(&template(), &after)
            .into_iter()
            .map(|found| format!("{} {} {}", found.path, said(found.before), said(found.after)))
            .collect()
    }

    fn refused(words: &[&str]) -> String {
        patch(words).unwrap_err().to_string()
    }

    #[test]
    fn an_image_goes_to_the_container_that_is_named() {
        assert_eq!(
            changes(&["--image", "mysql=mysql:8.0", "--image", "init=busybox:2"]),
            [
                "spec.containers[mysql].image mysql:5.7 mysql:8.0",
                "spec.initContainers[init].image busybox:1 busybox:2",
            ]
        );
        assert_eq!(
            changes(&["--image", "backup=b:2", "--image", "*=all:1"]),
            [
                "spec.containers[mysql].image mysql:5.7 all:1",
                "spec.containers[backup].image backup:1 b:2",
                "spec.initContainers[init].image busybox:1 all:1",
            ]
        );
        assert_eq!(changes(&["--image", "mysql=mysql:5.7"]), [] as [&str; 0]);
        let one = json!({"spec": {"containers": [{"name": "web", "image": "nginx:1"}]}});
        let plain = patch_of(&one, &["--image", "nginx:2"]);
        assert_eq!(apply(&one, &plain.unwrap())["spec"]["containers"][0]["image"], "nginx:2");
    }

    #[test]
    fn an_image_that_cannot_be_meant_is_refused() {
        assert_eq!(
            refused(&["--image", "mysqld=mysql:8"]),
            r#"--image names the container "mysqld", and the template has init, mysql, backup"#
        );
        assert_eq!(
            refused(&["--image", "mysql:8"]),
            r#"invalid value "mysql:8" for --image: say for which container: mysql, backup, or * for all"#
        );
        assert_eq!(
            refused(&["--image", "mysql=a:1", "--image", "mysql=a:2"]),
            r#"invalid value "mysql=a:2" for --image: mysql has been given another image already"#
        );
    }

    #[test]
    fn variables_are_set_and_removed() {
        assert_eq!(
            changes(&["--env", "mysql:B=x=y:z", "--env", "A-", "--env", "backup:URL=http://a:1"]),
            [
                "spec.containers[mysql].env[A].value 1 -",
                "spec.containers[mysql].env[B].value - x=y:z",
                "spec.containers[backup].env[URL].value - http://a:1",
            ]
        );
        assert_eq!(
            changes(&["--env", "mysql:SECRET=plain", "--env", "mysql:A="]),
            [
                "spec.containers[mysql].env[A].value 1 -",
                "spec.containers[mysql].env[SECRET].value - plain",
                r"spec.containers[mysql].env[SECRET].valueFrom.secretKeyRef.key k -",
                r"spec.containers[mysql].env[SECRET].valueFrom.secretKeyRef.name s -",
            ]
        );
        assert_eq!(
            changes(&["--env", "init:A=1", "--env", "NONE-", "--env", "mysql:A=1"]),
            ["spec.initContainers[init].env[A].value - 1"]
        );
        for bad in ["A", "=x", "mysql:=x", "1A=x", "A B=x", "-"] {
            assert!(refused(&["--env", bad]).contains("for --env"), "{bad}");
        }
        assert!(refused(&["--env", "x:A=1"]).contains("names the container \"x\""));
    }

    #[test]
    fn of_two_variables_with_one_name_none_is_left_behind() {
        let twice = json!({"spec": {"containers": [{
            "name": "a", "env": [{"name": "A", "value": "1"}, {"name": "B"}, {"name": "A", "value": "2"}],
        }]}});
        let patch = patch_of(&twice, &["--env", "A=3"]).unwrap();
        let env = &apply(&twice, &patch)["spec"]["containers"][0]["env"];
        assert_eq!(env, &json!([{"name": "A", "value": "3"}, {"name": "B"}]));
    }

    #[test]
    fn resources_are_compared_by_amount() {
        assert_eq!(
            changes(&[
                "--set-resources",
                "mysql:limits.cpu=1,requests.cpu=0.5,requests.memory=2Gi"
            ]),
            [
                "spec.containers[mysql].resources.limits.cpu - 1",
                "spec.containers[mysql].resources.requests.memory 1Gi 2Gi",
            ]
        );
        assert_eq!(
            changes(&["--set-resources", "limits.nvidia.com/gpu=1"]),
            [
                "spec.containers[mysql].resources.limits[nvidia.com/gpu] - 1",
                "spec.containers[backup].resources.limits[nvidia.com/gpu] - 1",
            ]
        );
        for bad in
            ["cpu=1", "limits.cpu", "limits.=1", "limits.cpu=much", "limits.cpu=1,", "x.cpu=1"]
        {
            assert!(refused(&["--set-resources", bad]).contains("for --set-resources"), "{bad}");
        }
    }

    #[test]
    fn a_restart_is_kubectls_annotation() {
        assert_eq!(
            changes(&["--restart"]),
            ["metadata.annotations[kubectl.kubernetes.io/restartedAt] - 1970-01-01T00:00:00Z"]
        );
    }

    #[test]
    fn what_cannot_be_combined_is_refused_by_the_command_line() {
        for words in [
            ["--adopt", "--restart", ""],
            ["--patch-file=f", "--image=a", ""],
            ["--patch-file=f", "--adopt", ""],
        ] {
            let words = words.iter().filter(|word| !word.is_empty());
            assert!(Cli::try_parse_from(["start"].iter().chain(words)).is_err());
        }
        assert!(args(&[]).is_empty());
        assert!(!args(&["--adopt"]).is_empty());
        assert_eq!(Value::Object(patch(&["--adopt"]).unwrap()), json!({"spec": {"template": {}}}));
    }

    #[test]
    fn a_patch_file_changes_the_template_alone() {
        let text = "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db, namespace: shop}\nspec:\n  template:\n    \
                    spec:\n      containers:\n      - {name: mysql, image: 'mysql:8'}\n";
        let expected = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "mysql", "image": "mysql:8"},
        ]}}}});
        assert_eq!(Value::Object(of_file(text).unwrap()), expected);
        assert_eq!(Value::Object(of_file(&expected.to_string()).unwrap()), expected);
        let more = r#"{"metadata": {"name": "db", "labels": {}}, "status": {},
                       "spec": {"replicas": 3, "template": {}, "volumeClaimTemplates": []}}"#;
        let Err(Refused::ForbiddenFields(paths)) = of_file(more) else { panic!("it is refused") };
        assert_eq!(
            paths,
            ["metadata.labels", "status", "spec.replicas", "spec.volumeClaimTemplates"]
        );
        for (bad, why) in [
            ("", "it is not one mapping"),
            ("- a", "it is not one mapping"),
            ("{}\n---\n{}", "it is not one mapping"),
            ("kind: StatefulSet", "it has no mapping spec.template"),
            ("spec: {template: null}", "it has no mapping spec.template"),
            ("kind: Deployment", "its kind is not StatefulSet"),
            ("apiVersion: v1", "its apiVersion is not apps/v1"),
            ("metadata: {name: cache}", "its metadata.name is not db"),
            ("metadata: {name: null}", "its metadata.name is not db"),
            ("metadata: {name: db, namespace: test}", "its metadata.namespace is not shop"),
            (
                "spec: {template: {spec: {containers: [{image: x}]}}}",
                "it has a list element without name, by which its list is merged",
            ),
        ] {
            let said = of_file(bad).unwrap_err().to_string();
            assert_eq!(said, format!("invalid value \"p.yaml\" for --patch-file: {why}"));
        }
        assert!(matches!(of_file("a: ["), Err(Refused::Malformed { .. })));
        assert!(matches!(patch(&["--patch-file", "x"]), Err(Refused::Unreadable(_))));
    }

    #[test]
    fn a_patch_file_is_read_as_kubernetes_reads_it() {
        let text =
            "spec: {template: {spec: {volumes: [{name: conf, configMap: {defaultMode: 0644}}]}}}";
        let patch = Value::Object(of_file(text).unwrap());
        let mode = patch.pointer("/spec/template/spec/volumes/0/configMap/defaultMode");
        assert_eq!(mode, Some(&json!(0o644)));
    }

    #[test]
    fn a_whole_revision_can_be_applied() {
        let revision = json!({"spec": {"template": {"spec": {"restartPolicy": "Always"}, "$patch": "replace"}}});
        assert_eq!(
            apply(&template(), revision.as_object().unwrap()),
            json!({"spec": {"restartPolicy": "Always"}})
        );
    }
}
