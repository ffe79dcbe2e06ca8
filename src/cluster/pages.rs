//! Long lists, read in pages and decoded while they arrive: of each object only
//! the result of `json` or `protobuf` is kept.

use std::marker::PhantomData;

use ::http::{HeaderValue, header::ACCEPT};
use serde::{Deserialize, de::DeserializeOwned};

use super::{
    Cluster, Failure, Listing, http,
    http::Sink,
    objects::ListMeta,
    protobuf::{
        self,
        list::ListParser,
        object::{Message, decode},
        wire::Malformed,
    },
};

/// The page size of kubectl and client-go.
pub(super) const PAGE_SIZE: usize = 500;

/// A page of a list.
#[derive(Debug)]
pub struct Page<I> {
    pub items: Vec<I>,
    /// The token of the next page; empty on the last one.
    pub next: String,
    /// Where a watch continues.
    pub resource_version: String,
}

impl Cluster {
    /// Reads the page with the token `next`, or the first page if it is empty.
    /// Objects arrive as Protocol Buffers, or as JSON if the server has no other
    /// encoding for them.
    ///
    /// # Errors
    /// Any [`Failure`]; [`Failure::Gone`] if the list has expired.
    pub async fn page<T: DeserializeOwned, I>(
        &self,
        listing: Listing,
        next: &str,
        json: impl FnMut(T) -> I,
        protobuf: impl FnMut(&[u8]) -> Result<I, Malformed>,
    ) -> Result<Page<I>, Failure> {
        let kind = listing.resource().kind;
        let mut request = http::get(&listing.limit(PAGE_SIZE).page(next).path())?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(protobuf::ACCEPT));
        let request_line = self.http.request_line(&request);
        let mut reader = Reader::new(kind, json, protobuf);
        self.http.stream_to(request, &mut reader).await?;
        reader.end().map_err(|cause| Failure::Unreadable { request_line, cause })
    }

    /// The same for a kind whose type reads both encodings: `message` is the
    /// table of its fields. Of each object only the result of `keep` is kept.
    ///
    /// # Errors
    /// As for [`Cluster::page`].
    pub async fn page_of<T: DeserializeOwned, I>(
        &self,
        listing: Listing,
        next: &str,
        message: &'static Message,
        keep: impl Fn(T) -> I,
    ) -> Result<Page<I>, Failure> {
        let protobuf = |bytes: &[u8]| decode(bytes, message).map(&keep);
        self.page(listing, next, &keep, protobuf).await
    }
}

/// Decodes a page in either encoding.
struct Reader<T, I, J, P> {
    kind: &'static str,
    json: J,
    protobuf: P,
    items: Vec<I>,
    form: Form,
    object: PhantomData<fn(T)>,
}

enum Form {
    Protobuf(ListParser),
    /// The whole page: items of JSON cannot be found without parsing it.
    Json(Vec<u8>),
}

impl<T, I, J, P> Reader<T, I, J, P>
where
    T: DeserializeOwned,
    J: FnMut(T) -> I,
    P: FnMut(&[u8]) -> Result<I, Malformed>,
{
    fn new(kind: &'static str, json: J, protobuf: P) -> Reader<T, I, J, P> {
        let form = Form::Json(Vec::new());
        Reader { kind, json, protobuf, items: Vec::new(), form, object: PhantomData }
    }

    fn end(mut self) -> Result<Page<I>, String> {
        match self.form {
            Form::Protobuf(parser) => {
                let (kind, meta) = parser.end().map_err(|Malformed(why)| why.to_owned())?;
                is_list_of(&kind, self.kind)?;
                Ok(Page {
                    items: self.items,
                    next: meta.next,
                    resource_version: meta.resource_version,
                })
            }
            Form::Json(bytes) => {
                let list: Typed<T> =
                    serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
                is_list_of(&list.kind, self.kind)?;
                let items = list.items.unwrap_or_default().into_iter().map(&mut self.json);
                let ListMeta { next, resource_version } = list.metadata;
                Ok(Page { items: items.collect(), next, resource_version })
            }
        }
    }
}

/// A list with its kind.
#[derive(Deserialize)]
struct Typed<T> {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: ListMeta,
    #[serde(default = "Option::default")]
    items: Option<Vec<T>>,
}

/// Rejects other answers, which would otherwise look like an empty list.
fn is_list_of(kind: &str, wanted: &str) -> Result<(), String> {
    let wanted = format!("{wanted}List");
    if kind == wanted { Ok(()) } else { Err(format!("the answer is a {kind:?}, not a {wanted}")) }
}

impl<T, I, J, P> Sink for Reader<T, I, J, P>
where
    P: FnMut(&[u8]) -> Result<I, Malformed>,
{
    fn begin(&mut self, content_type: &str) {
        self.items.clear();
        self.form = if content_type.starts_with(protobuf::CONTENT_TYPE) {
            Form::Protobuf(ListParser::default())
        } else {
            Form::Json(Vec::new())
        };
    }

    fn take(&mut self, data: &[u8]) -> Result<(), String> {
        match &mut self.form {
            Form::Json(bytes) => bytes.extend_from_slice(data),
            Form::Protobuf(parser) => {
                let (items, protobuf) = (&mut self.items, &mut self.protobuf);
                let mut keep = |bytes: &[u8]| {
                    items.push(protobuf(bytes)?);
                    Ok(())
                };
                parser.take(data, &mut keep).map_err(|Malformed(why)| why.to_owned())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde::de::IgnoredAny;

    use super::*;

    #[test]
    fn only_the_list_that_was_asked_for_is_one() {
        let read = |kind: &'static str, content_type: &str, body: &[u8]| {
            let mut reader = Reader::new(kind, |_: IgnoredAny| (), |_: &[u8]| Ok(()));
            reader.begin(content_type);
            reader.take(body)?;
            reader.end().map(|page| (page.items.len(), page.next))
        };
        let list = br#"{"kind":"PodList","metadata":{"continue":"t"},"items":[{"metadata":{"name":"a"}}]}"#;
        assert_eq!(read("Pod", "application/json", list), Ok((1, "t".to_owned())));
        assert!(read("Job", "application/json", list).is_err());
        for wrong in [&b"{}"[..], b"[]", b"<html>", br#"{"kind":"Status","items":[]}"#, b""] {
            assert!(read("Pod", "application/json", wrong).is_err());
            assert!(read("Pod", "text/html", wrong).is_err());
            assert!(read("Pod", protobuf::CONTENT_TYPE, wrong).is_err());
        }
        let null = br#"{"kind":"PodList","items":null}"#;
        assert_eq!(read("Pod", "application/json", null), Ok((0, String::new())));
    }
}
