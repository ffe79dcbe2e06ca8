//! The file behind `--patch-file`: a strategic merge patch of the pod template,
//! and nothing else. Pure but for the reader that is passed in.

use serde_json::{Map, Value};

use super::{refused::Refused, strategic};
use crate::{manifests, output::Error};

/// The largest template that a set can have, as JSON: the controller stores it
/// in a ControllerRevision, and etcd takes no more in one request
/// (`--max-request-bytes`). A dry run does not reach etcd, so the server would
/// not say so before the template is stored.
const MAX_TEMPLATE_BYTES: usize = 1_572_864;

/// The contents of a patch file.
#[derive(Debug)]
pub struct PatchFile<'a> {
    file: &'a str,
    patch: Value,
}

impl<'a> PatchFile<'a> {
    /// Reads and parses the file.
    ///
    /// # Errors
    /// [`Refused`], where it cannot be read or is no patch of a StatefulSet.
    pub fn read(
        file: &'a str,
        read_file: impl FnOnce(&str) -> Result<String, Error>,
    ) -> Result<PatchFile<'a>, Refused> {
        let text = read_file(file).map_err(Refused::Unreadable)?;
        let documents: Vec<Value> = match serde_json::from_str(&text) {
            Ok(document) => vec![document],
            Err(_) => serde_saphyr::from_multiple_with_options(&text, manifests::yaml())
                .map_err(|error| malformed(file, error.to_string()))?,
        };
        let mut documents = documents.into_iter().filter(|document| !document.is_null());
        let (Some(patch @ Value::Object(_)), None) = (documents.next(), documents.next()) else {
            return Err(malformed(file, "it is not one mapping"));
        };
        let read = PatchFile { file, patch };
        read.fits(&read.patch, "it")?;
        read.says("/apiVersion", "apps/v1")?;
        read.says("/kind", "StatefulSet")?;
        Ok(read)
    }

    /// Checks a field that names the object, where there is one.
    ///
    /// # Errors
    /// [`Refused::Malformed`], where it has another value.
    pub fn says(&self, field: &str, expected: &str) -> Result<(), Refused> {
        if self.patch.pointer(field).is_none_or(|value| value == expected) {
            return Ok(());
        }
        let path = field.trim_start_matches('/').replace('/', ".");
        Err(malformed(self.file, format!("its {path} is not {expected}")))
    }

    /// The change of the template.
    ///
    /// # Errors
    /// [`Refused`], where it changes more than that or cannot be merged.
    pub fn template(&self, template: &Value) -> Result<Map<String, Value>, Refused> {
        let forbidden = forbidden_fields(&self.patch);
        if !forbidden.is_empty() {
            return Err(Refused::ForbiddenFields(forbidden));
        }
        let Some(Value::Object(changed)) = self.patch.pointer("/spec/template") else {
            return Err(malformed(self.file, "it has no mapping spec.template"));
        };
        let merged = strategic::merge(template, changed)
            .map_err(|why| malformed(self.file, format!("it {why}")))?;
        self.fits(&merged, "the template with it")?;
        Ok(changed.clone())
    }

    /// Checks the size.
    ///
    /// # Errors
    /// [`Refused::Malformed`], where it is too large to be stored.
    fn fits(&self, value: &Value, what: &str) -> Result<(), Refused> {
        let bytes = value.to_string().len();
        if bytes <= MAX_TEMPLATE_BYTES {
            return Ok(());
        }
        let why = format!(
            "{what} has {bytes} bytes, and etcd stores no revision of more than \
             {MAX_TEMPLATE_BYTES}"
        );
        Err(malformed(self.file, why))
    }
}

fn malformed(file: &str, why: impl Into<String>) -> Refused {
    Refused::Malformed { flag: "--patch-file", value: file.to_owned(), why: why.into() }
}

/// The fields of a patch besides the template and the name of the set.
fn forbidden_fields(patch: &Value) -> Vec<String> {
    let mut paths = Vec::new();
    for (field, value) in patch.as_object().into_iter().flatten() {
        let allowed: &[&str] = match field.as_str() {
            "apiVersion" | "kind" => continue,
            "metadata" => &["name", "namespace"],
            "spec" => &["template"],
            _ => {
                paths.push(field.clone());
                continue;
            }
        };
        match value {
            Value::Object(fields) => {
                let others = fields.keys().filter(|inner| !allowed.contains(&inner.as_str()));
                paths.extend(others.map(|inner| format!("{field}.{inner}")));
            }
            _ => paths.push(field.clone()),
        }
    }
    paths
}
