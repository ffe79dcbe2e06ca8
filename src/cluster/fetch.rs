//! Reading objects and lists of any kind.
//!
//! A missing permission is not an error: the list is [`Unread`], and nothing
//! is concluded from it.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Cluster, Failure, Listing, Object, objects::List, pages::PAGE_SIZE};
use crate::workload::Unread;

/// A list, or why there is none.
pub enum Listed<T> {
    Items { items: Vec<T>, resource_version: String },
    Unread(Unread),
}

impl<T> Listed<T> {
    /// An empty list, for a kind that is not needed.
    pub fn none() -> Listed<T> {
        Listed::Items { items: Vec::new(), resource_version: String::new() }
    }

    /// Where a watch continues; empty means from the current state.
    pub fn resource_version(&self) -> String {
        match self {
            Listed::Items { resource_version, .. } => resource_version.clone(),
            Listed::Unread(_) => String::new(),
        }
    }

    /// The items, or `None` with the reason added to `unread`.
    pub fn keep(self, unread: &mut Vec<Unread>) -> Option<Vec<T>> {
        match self {
            Listed::Items { items, .. } => Some(items),
            Listed::Unread(what) => {
                unread.push(what);
                None
            }
        }
    }
}

impl Cluster {
    /// Reads an object.
    ///
    /// # Errors
    /// Any [`Failure`].
    pub async fn read<T: DeserializeOwned>(&self, object: &Object) -> Result<T, Failure> {
        self.get(&object.path()).await
    }

    /// Reads an object that may be missing.
    ///
    /// # Errors
    /// Any [`Failure`] except a 404.
    pub async fn find<T: DeserializeOwned>(&self, object: &Object) -> Result<Option<T>, Failure> {
        self.get_opt(&object.path()).await
    }

    /// Reads an object that may be missing. Without permission it adds to
    /// `unread` instead of failing.
    ///
    /// # Errors
    /// Any [`Failure`] except a 403 or a 404.
    pub async fn find_if_allowed<T: DeserializeOwned>(
        &self,
        object: &Object,
        unread: &mut Vec<Unread>,
    ) -> Result<Option<T>, Failure> {
        match self.find(object).await {
            Err(Failure::Forbidden(rejection)) => {
                let why = rejection.status.message.clone();
                unread.push(Unread { resource: object.resource.name(), why });
                Ok(None)
            }
            other => other,
        }
    }

    /// Reads a list.
    ///
    /// # Errors
    /// Any [`Failure`].
    pub async fn list<T: DeserializeOwned>(&self, listing: &Listing) -> Result<Vec<T>, Failure> {
        let list: List<T> = self.get(&listing.path()).await?;
        Ok(list.items.unwrap_or_default())
    }

    /// Reads a list if we have permission to.
    ///
    /// # Errors
    /// Any [`Failure`] except a 403.
    pub async fn list_if_allowed<T: DeserializeOwned>(
        &self,
        listing: &Listing,
    ) -> Result<Listed<T>, Failure> {
        match self.get::<List<T>>(&listing.path()).await {
            Ok(list) => Ok(Listed::Items {
                items: list.items.unwrap_or_default(),
                resource_version: list.metadata.resource_version,
            }),
            Err(Failure::Forbidden(rejection)) => {
                let why = rejection.status.message.clone();
                Ok(Listed::Unread(Unread { resource: listing.resource().name(), why }))
            }
            Err(failure) => Err(failure),
        }
    }

    /// Reads a list in pages, each object as the server sends it, if we have permission to.
    /// A list that expires between two pages is read again at once.
    ///
    /// # Errors
    /// Any [`Failure`] except a 403.
    pub async fn whole(&self, listing: Listing) -> Result<Listed<Value>, Failure> {
        let mut items = Vec::new();
        let mut next = String::new();
        loop {
            let page = listing.clone().limit(PAGE_SIZE).page(&next);
            let list: List<Value> = match self.get(&page.path()).await {
                Ok(list) => list,
                Err(Failure::Gone(_)) if !next.is_empty() => {
                    return self.list_if_allowed(&listing).await;
                }
                Err(Failure::Forbidden(rejection)) => {
                    let why = rejection.status.message.clone();
                    return Ok(Listed::Unread(Unread { resource: listing.resource().name(), why }));
                }
                Err(Failure::NoSuchApi(rejection)) => {
                    let why = rejection.unserved();
                    return Ok(Listed::Unread(Unread { resource: listing.resource().name(), why }));
                }
                Err(failure) => return Err(failure),
            };
            items.extend(list.items.unwrap_or_default());
            next = list.metadata.next;
            if next.is_empty() {
                let resource_version = list.metadata.resource_version;
                return Ok(Listed::Items { items, resource_version });
            }
        }
    }

    /// Reads a list of a custom resource. The server may serve its group, but
    /// not the version that this program knows: then the list is unread, not
    /// empty.
    ///
    /// # Errors
    /// Any [`Failure`] except a 403 or a 404.
    pub async fn list_if_served<T: DeserializeOwned>(
        &self,
        listing: &Listing,
    ) -> Result<Listed<T>, Failure> {
        match self.list_if_allowed(listing).await {
            Err(Failure::NoSuchApi(rejection)) => Ok(Listed::Unread(Unread {
                resource: listing.resource().name(),
                why: rejection.unserved(),
            })),
            other => other,
        }
    }
}
