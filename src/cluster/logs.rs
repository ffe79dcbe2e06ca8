//! Container logs.

use super::{Cluster, Failure, Resource, http};

/// The last line of a pod's log.
///
/// # Errors
/// When it cannot be read.
pub async fn last_line(cluster: &Cluster, pod: &str) -> Result<String, Failure> {
    let pod = Resource::POD.object(cluster.namespace(), pod).path();
    let request = http::get(&format!("{pod}/log?tailLines=1&limitBytes=500"))?;
    let log = cluster.http.exchange(request).await?;
    Ok(String::from_utf8_lossy(&log).into_owned())
}
