//! `dns`: the names that a set or a Service should have, what each DNS server
//! answers, and why they differ.
//!
//! How a name resolves: a pod of a StatefulSet gets its own name as hostname
//! and `spec.serviceName` as subdomain when it is created. The EndpointSlice
//! controller takes the pods that the Service's selector matches and writes
//! down their addresses. Each has the hostname if the subdomain is the
//! Service's name, and `ready` if the pod is Ready (or always, with
//! `publishNotReadyAddresses`). A DNS server such as CoreDNS watches Services
//! and EndpointSlices and answers from what it saw last. A cache in front of it
//! may keep answers, including denials. The application asks for a short name,
//! and its resolver tries that under one search domain after the other.
//!
//! Each part has a module, all pure: [`expected`] computes the records that
//! should be served, [`domain`] finds the cluster's domain, [`corefile`] reads
//! filters and cache times, [`search`] expands short names, [`wire`] encodes
//! questions and decodes answers, [`compare`] gives the verdicts, and
//! [`explain`] has the rules that say why a name does not resolve. [`ask`] asks
//! a server and [`inside`] reads what tools in a container print. `run` reads,
//! asks and shows; `report` has the table and the document, `lists` the lists
//! for other programs.

pub mod args;
pub mod ask;
pub mod compare;
pub mod corefile;
pub mod domain;
pub mod expected;
pub mod explain;
pub mod facts;
pub mod inside;
pub mod lists;
mod objects;
pub mod offline;
pub mod picture;
pub mod read;
pub mod report;
pub mod rules;
pub mod run;
pub mod search;
pub mod wire;
