//! The manifests of the set, for Git.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::{
    migrate::{
        convert::{in_order, without_defaults},
        journal::{ANNOTATION, Journal},
    },
    output::{Error, Exit},
};

/// Writes the set and the Service as they will be, one file each. No claims: a
/// claim that is in Git is a claim that a GitOps tool may delete.
///
/// # Errors
/// When a file already has different content, or cannot be written.
pub fn emit(journal: &Journal, folder: &Path, overwrite: bool) -> Result<(), Error> {
    let mut set = journal.set.clone();
    set["spec"]["replicas"] = journal.replicas.into();
    let set = without_defaults(&set);
    let all = [Some((set, "statefulset")), journal.service.clone().map(|it| (it, "service"))];
    let mut files: Vec<(PathBuf, String)> = Vec::new();
    for (mut object, kind) in all.into_iter().flatten() {
        unmark(&mut object);
        let text = serde_saphyr::to_string(&in_order(object))
            .map_err(|error| Error::new(Exit::Error, format!("cannot write: {error}")))?;
        files.push((folder.join(format!("{}-{kind}.yaml", journal.set_name())), text));
    }
    let failed = |path: &Path, error: &std::io::Error| {
        Error::new(Exit::Usage, format!("cannot write {}: {error}", path.display()))
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
    for (path, text) in &files {
        let there = std::fs::read_to_string(path).ok();
        if there.is_some_and(|there| there != *text) && !overwrite {
            return Err(Error::usage(format!("{} already has different content", path.display()))
                .hint("to overwrite it: --yes"));
        }
    }
    for (path, text) in files {
        std::fs::write(&path, text).map_err(|error| failed(&path, &error))?;
    }
    Ok(())
}

/// Removes the mark of the migration.
fn unmark(object: &mut Value) {
    let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) else { return };
    for kind in ["annotations", "labels"] {
        let Some(all) = metadata.get_mut(kind).and_then(Value::as_object_mut) else { continue };
        all.shift_remove(ANNOTATION);
        if all.is_empty() {
            metadata.shift_remove(kind);
        }
    }
}
