//! `dump`: what `-f` reads, in one file, to judge elsewhere or to send to a colleague.
//!
//! [`read`] lists every kind that an offline command looks at ([`read::KINDS`]), in a
//! fixed number of lists. [`about`] keeps what belongs to the sets that were named, if
//! any were. [`redact`] takes the values of environment variables out. The answer is one
//! `List`, as `kubectl get` writes it; a kind of which there are no objects is in it
//! as an empty list of its own, so that whoever reads it knows that there are none.

mod about;
pub mod args;
mod read;
mod redact;

use serde_json::{Value, json};

use self::{args::DumpArgs, read::Kind};
use crate::{
    cluster::{Cluster, ConnectionArgs, Resource},
    output::{Error, Exit, Terminal},
};

/// Runs `dump`.
///
/// # Errors
/// When the cluster cannot be asked, a set does not exist, or the answer cannot be
/// written.
pub async fn run(
    args: &DumpArgs,
    connection: &ConnectionArgs,
    terminal: Terminal,
) -> Result<Exit, Error> {
    let names = args.names()?;
    let cluster = Cluster::connect(connection, terminal).await?;
    let namespace = (!args.all_namespaces).then(|| cluster.namespace());
    let read::Dump { mut kinds, unread } = read::everything(&cluster, namespace).await?;
    if let Some(namespace) = namespace {
        is_there(&kinds, namespace, &cluster.flags())?;
    }
    if !names.is_empty() {
        let at = format!("-n {}{}", cluster.namespace(), cluster.flags());
        about::keep_only(&mut kinds, &unread, &names, &at)?;
    }
    let salt = redact::Salt::new()?;
    redact::redact(kinds.iter_mut().flat_map(|kind| &mut kind.objects), &salt);
    terminal.answer(&args.form.render(&document(kinds))?)?;
    terminal.warn_of_unread(&unread);
    Ok(if unread.is_empty() { Exit::Done } else { Exit::Incomplete })
}

/// Of a namespace that does not exist, empty lists would say that it has nothing. Who may
/// not list namespaces is told so with what else could not be read.
fn is_there(kinds: &[Kind], namespace: &str, flags: &str) -> Result<(), Error> {
    let is_gone = |kind: &Kind| kind.resource == Resource::NAMESPACE && kind.objects.is_empty();
    if !kinds.iter().any(is_gone) {
        return Ok(());
    }
    let headline = format!("Error from server (NotFound): namespaces \"{namespace}\" not found");
    Err(Error::with_headline(Exit::Error, headline).hint(format!("kubectl get namespaces{flags}")))
}

/// One list, in the order of the kinds.
fn document(kinds: Vec<Kind>) -> Value {
    let mut items = Vec::new();
    for Kind { resource, objects } in kinds {
        let api_version = resource.api_version();
        if objects.is_empty() {
            let kind = format!("{}List", resource.kind);
            items.push(json!({"apiVersion": api_version, "kind": kind, "items": []}));
        }
        items.extend(objects);
    }
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}
