//! `dns`: the names that a set or a Service should have, what each DNS server
//! answers, and why they differ.
//!
//! How an answer comes about. A pod of a StatefulSet has its own name as its
//! hostname and `spec.serviceName` as its subdomain, from the day it is made.
//! The EndpointSlice controller looks at the Service, picks the pods that its
//! selector matches, and writes each address down, with the hostname where
//! the subdomain is the Service's own name, and with `ready` unless the pod is
//! not Ready (or always, with `publishNotReadyAddresses`). A DNS server such
//! as CoreDNS watches Services and slices and answers from what it has seen
//! last; before it there may be a cache that keeps an answer, also the answer
//! that there is no such name. The application asks with a short name, and
//! its resolver tries it under one domain after the other.
//!
//! So there is one model for each part, all pure: [`expected`] has the records
//! that the API says should be served, [`domain`] the zone they are in,
//! [`corefile`] what a server keeps back and for how long it remembers,
//! [`search`] which names a short one becomes, [`wire`] how questions and
//! answers travel, [`compare`] what an answer is worth against what was
//! expected, and [`explain`] the rules that say why a name is not there.
//! [`ask`] and [`inside`] carry the questions to a server and into a pod, `run`
//! reads, asks and shows, `report` has the tables.

pub mod args;
pub mod ask;
pub mod compare;
pub mod corefile;
pub mod domain;
pub mod expected;
pub mod explain;
pub mod facts;
pub mod inside;
pub mod picture;
pub mod report;
pub mod rules;
pub mod run;
pub mod search;
pub mod wire;
