//! DNS messages over a stream, each after two bytes of its length (RFC 1035,
//! 4.2.2).
//!
//! A server may be broken or hostile, so no length and no name is trusted, and
//! a message is either understood or refused.

use std::{fmt, net::IpAddr};

use simple_dns::{CLASS, Name, Packet, PacketFlag, QCLASS, QTYPE, TYPE, rdata::RData};

use super::expected::{Kind, Value};

/// The length of a header, and the shortest message.
const HEADER: usize = 12;

/// An OPT record with the flag DO: root, type 41, 1232 bytes, no extended code,
/// version 0, DO, no options (RFC 6891).
const DNSSEC_OK: [u8; 11] = [0, 0, 41, 4, 208, 0, 0, 128, 0, 0, 0];

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// The full name, without the dot at its end.
    pub name: String,
    pub kind: Kind,
    /// Sets the DO flag. CoreDNS caches answers to such questions separately,
    /// so that our question for a name that does not exist yet leaves no denial
    /// for others.
    pub dnssec_ok: bool,
}

/// Priority and weight of an SRV record.
pub type Weight = (u16, u16);

/// An answer to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub code: Code,
    /// The records of the name and type in question, sorted.
    pub values: Vec<Value>,
    /// Priority and weight of each, where it is an SRV record.
    pub weights: Vec<Option<Weight>>,
    /// The shortest TTL of those records.
    pub ttl: Option<u32>,
    /// For how many seconds this server may keep denying the name (RFC 2308,
    /// from the SOA record of the denial).
    pub denied_for: Option<u32>,
}

/// The response code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    NoError,
    NxDomain,
    Other(u8),
    /// The resolver that was asked does not tell the code.
    Unknown,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Code::NoError => f.write_str("NOERROR"),
            Code::NxDomain => f.write_str("NXDOMAIN"),
            Code::Unknown => f.write_str("not found"),
            Code::Other(1) => f.write_str("FORMERR"),
            Code::Other(2) => f.write_str("SERVFAIL"),
            Code::Other(4) => f.write_str("NOTIMP"),
            Code::Other(5) => f.write_str("REFUSED"),
            Code::Other(code) => write!(f, "code {code}"),
        }
    }
}

/// Why a message is not a valid answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A question as it is sent, with its length in front.
///
/// # Errors
/// When the name is not valid in a question.
pub fn question(id: u16, asked: &Question) -> Result<Vec<u8>, Malformed> {
    let unaskable = |why: &dyn fmt::Display| {
        Malformed(format!("{} is not a valid name for a question: {why}", asked.name))
    };
    let name = Name::new(&asked.name).map_err(|error| unaskable(&error))?;
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let kind = QTYPE::TYPE(kind_of(asked.kind));
    let question = simple_dns::Question::new(name, kind, QCLASS::CLASS(CLASS::IN), false);
    packet.questions.push(question);
    let mut message = packet.build_bytes_vec().map_err(|error| unaskable(&error))?;
    if asked.dnssec_ok {
        message.extend(DNSSEC_OK);
        // The count of additional records.
        if let Some(count) = message.get_mut(HEADER - 1) {
            *count = 1;
        }
    }
    let length = u16::try_from(message.len()).map_err(|error| unaskable(&error))?;
    Ok([&length.to_be_bytes()[..], &message].concat())
}

/// The messages in a stream of bytes that arrives in pieces.
#[derive(Debug, Default)]
pub struct Messages {
    bytes: Vec<u8>,
    /// How many of the bytes have been taken.
    taken: usize,
}

impl Messages {
    pub fn push(&mut self, piece: &[u8]) {
        if self.taken > 0 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(piece);
    }

    /// Whether a message has begun that is not complete yet.
    pub fn is_within(&self) -> bool {
        self.taken < self.bytes.len()
    }
}

impl Iterator for Messages {
    type Item = Vec<u8>;

    /// The next complete message.
    fn next(&mut self) -> Option<Vec<u8>> {
        let rest = &self.bytes[self.taken..];
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let message = rest.get(..length)?.to_vec();
        self.taken += 2 + length;
        Some(message)
    }
}

/// The id that links an answer to its question.
pub fn id_of(message: &[u8]) -> Option<u16> {
    message.first_chunk::<2>().map(|id| u16::from_be_bytes(*id))
}

/// Reads a message as the answer to a question.
///
/// # Errors
/// When it does not answer the question, or cannot be read.
pub fn reply(message: &[u8], asked: &Question) -> Result<Reply, Malformed> {
    let wrong = |why: &str| Malformed(format!("the answer {why}"));
    let header = message.first_chunk::<HEADER>().ok_or_else(|| wrong("has no header"))?;
    let (flags, code) = (header[2], header[3] & 0x0f);
    if flags & 0x80 == 0 {
        return Err(wrong("is a question"));
    }
    if flags & 0x02 != 0 {
        return Err(wrong("is truncated, although it came over TCP"));
    }
    let packet = Packet::parse(message)
        .map_err(|error| Malformed(format!("the answer cannot be read: {error}")))?;
    let is_asked = |name: &Name| text(name).eq_ignore_ascii_case(&asked.name);
    let own = |question: &simple_dns::Question| {
        is_asked(&question.qname) && question.qtype == QTYPE::TYPE(kind_of(asked.kind))
    };
    if !packet.questions.iter().all(own) {
        return Err(wrong("is to a different question"));
    }
    let records = packet.answers.iter().filter(|record| is_asked(&record.name));
    let mut found: Vec<(Value, u32, Option<Weight>)> = records
        .filter_map(|record| {
            let weight = match &record.rdata {
                RData::SRV(srv) => Some((srv.priority, srv.weight)),
                _ => None,
            };
            Some((value(asked.kind, &record.rdata)?, record.ttl, weight))
        })
        .collect();
    found.sort();
    found.dedup_by(|one, other| one.0 == other.0);
    let ttl = found.iter().map(|(_, ttl, _)| *ttl).min();
    let denials = packet.name_servers.iter().filter_map(|record| match &record.rdata {
        RData::SOA(soa) => Some(record.ttl.min(soa.minimum)),
        _ => None,
    });
    let code = match code {
        0 => Code::NoError,
        3 => Code::NxDomain,
        other => Code::Other(other),
    };
    let denied_for = if found.is_empty() { denials.min() } else { None };
    let (values, weights) = found.into_iter().map(|(value, _, weight)| (value, weight)).unzip();
    Ok(Reply { code, values, weights, ttl, denied_for })
}

fn kind_of(kind: Kind) -> TYPE {
    match kind {
        Kind::A => TYPE::A,
        Kind::Aaaa => TYPE::AAAA,
        Kind::Srv => TYPE::SRV,
        Kind::Ptr => TYPE::PTR,
        Kind::Cname => TYPE::CNAME,
    }
}

/// A record's data, if it is of the type that was asked for.
fn value(kind: Kind, data: &RData) -> Option<Value> {
    Some(match (kind, data) {
        (Kind::A, RData::A(a)) => Value::Address(IpAddr::V4(a.address.into())),
        (Kind::Aaaa, RData::AAAA(aaaa)) => Value::Address(IpAddr::V6(aaaa.address.into())),
        (Kind::Srv, RData::SRV(srv)) => Value::Srv { port: srv.port, target: text(&srv.target) },
        (Kind::Ptr, RData::PTR(name)) => Value::Name(text(&name.0)),
        (Kind::Cname, RData::CNAME(name)) => Value::Name(text(&name.0)),
        _ => return None,
    })
}

fn text(name: &Name) -> String {
    name.to_string().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use simple_dns::{
        ResourceRecord,
        rdata::{A, PTR, SOA, SRV},
    };

    use super::*;

    fn asked(kind: Kind) -> Question {
        Question {
            name: "web-0.nginx.default.svc.cluster.local".to_owned(),
            kind,
            dnssec_ok: false,
        }
    }

    fn name(text: &str) -> Name<'_> {
        Name::new_unchecked(text)
    }

    fn answer(kind: Kind, records: Vec<ResourceRecord<'static>>) -> Vec<u8> {
        let asked = asked(kind);
        let mut packet = Packet::new_reply(7);
        packet.questions.push(simple_dns::Question::new(
            name(&asked.name),
            QTYPE::TYPE(kind_of(kind)),
            QCLASS::CLASS(CLASS::IN),
            false,
        ));
        packet.answers = records;
        packet.build_bytes_vec_compressed().unwrap()
    }

    fn record(ttl: u32, data: RData<'static>) -> ResourceRecord<'static> {
        ResourceRecord::new(name("web-0.nginx.default.svc.cluster.local"), CLASS::IN, ttl, data)
    }

    fn a(ttl: u32, last: u32) -> ResourceRecord<'static> {
        record(ttl, RData::A(A { address: 0x0af4_0000 + last }))
    }

    #[test]
    fn a_question_is_what_every_server_reads() {
        let bytes = question(0x1234, &asked(Kind::A)).unwrap();
        assert_eq!(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])), bytes.len() - 2);
        // Id, recursion desired, one question, nothing else.
        assert_eq!(bytes[2..14], [0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        assert_eq!(bytes[14..20], *b"\x05web-0");
        assert_eq!(bytes[bytes.len() - 5..], [0, 0, 1, 0, 1]);
        let dnssec_ok = question(1, &Question { dnssec_ok: true, ..asked(Kind::Srv) }).unwrap();
        let packet = Packet::parse(&dnssec_ok[2..]).unwrap();
        assert!(packet.opt().is_some());
        assert_eq!(dnssec_ok[dnssec_ok.len() - 4..], [128, 0, 0, 0]);
        let long = Question { name: "x".repeat(64), kind: Kind::A, dnssec_ok: false };
        assert!(question(1, &long).unwrap_err().0.contains("not a valid name"));
        let long = Question { name: "x.".repeat(200), kind: Kind::A, dnssec_ok: false };
        assert!(question(1, &long).unwrap_err().0.contains("not a valid name"));
    }

    #[test]
    fn answers_are_read_whatever_their_order() {
        let read = reply(&answer(Kind::A, vec![a(9, 2), a(5, 1), a(9, 2)]), &asked(Kind::A));
        let read = read.unwrap();
        let values: Vec<String> = read.values.iter().map(ToString::to_string).collect();
        assert_eq!(values, ["10.244.0.1", "10.244.0.2"]);
        assert_eq!((read.code, read.ttl, read.denied_for), (Code::NoError, Some(5), None));

        let srv = SRV { priority: 0, weight: 100, port: 80, target: name("Web-0.nginx") };
        let read = reply(&answer(Kind::Srv, vec![record(5, RData::SRV(srv))]), &asked(Kind::Srv));
        let values = read.unwrap().values;
        assert_eq!(values, [Value::Srv { port: 80, target: "web-0.nginx".to_owned() }]);
        let ptr = record(5, RData::PTR(PTR(name("web-0.nginx"))));
        let read = reply(&answer(Kind::Ptr, vec![ptr]), &asked(Kind::Ptr)).unwrap();
        assert_eq!(read.values, [Value::Name("web-0.nginx".to_owned())]);
    }

    #[test]
    fn a_denial_says_for_how_long() {
        let mut packet = Packet::new_reply(7);
        *packet.rcode_mut() = simple_dns::RCODE::NameError;
        let soa = SOA {
            mname: name("ns.dns.cluster.local"),
            rname: name("hostmaster.cluster.local"),
            serial: 1,
            refresh: 7200,
            retry: 1800,
            expire: 86400,
            minimum: 30,
        };
        let record = ResourceRecord::new(name("cluster.local"), CLASS::IN, 17, RData::SOA(soa));
        packet.name_servers.push(record);
        let read = reply(&packet.build_bytes_vec().unwrap(), &asked(Kind::A)).unwrap();
        assert_eq!((read.code, read.values.len()), (Code::NxDomain, 0));
        assert_eq!(read.denied_for, Some(17));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        let good = answer(Kind::A, vec![a(5, 1)]);
        let refused = |message: &[u8]| reply(message, &asked(Kind::A)).unwrap_err().0;
        assert!(refused(&[]).contains("no header"));
        assert!(refused(&good[..11]).contains("no header"));
        assert!(refused(&good[..20]).contains("cannot be read"));
        let question = question(7, &asked(Kind::A)).unwrap();
        assert!(refused(&question[2..]).contains("is a question"));
        let mut cut = good.clone();
        cut[2] |= 2;
        assert!(refused(&cut).contains("truncated"));
        assert!(
            reply(&good, &asked(Kind::Aaaa)).unwrap_err().0.contains("to a different question")
        );
        // A name that points at itself, and one that points ahead.
        for pointer in [12, 40] {
            let mut looped = good[..12].to_vec();
            looped.extend([0xc0, pointer, 0, 1, 0, 1]);
            assert!(refused(&looped).contains("cannot be read"), "{pointer}");
        }
        // More records announced than there are.
        let mut greedy = good.clone();
        greedy[6] = 0xff;
        assert!(refused(&greedy).contains("cannot be read"));
    }

    #[test]
    fn messages_come_in_any_pieces() {
        let one = answer(Kind::A, vec![a(5, 1)]);
        let framed = |message: &[u8]| {
            [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
        };
        let stream = [framed(&one), framed(&[]), framed(&one)].concat();
        for size in [1, 2, 3, 7, stream.len()] {
            let mut messages = Messages::default();
            let mut found = Vec::new();
            for piece in stream.chunks(size) {
                messages.push(piece);
                found.extend(messages.by_ref());
            }
            assert_eq!(found, [one.clone(), Vec::new(), one.clone()], "{size}");
            assert!(!messages.is_within());
        }
        let mut messages = Messages::default();
        messages.push(&[0]);
        assert!(messages.is_within() && messages.next().is_none());
    }

    /// How many inputs the properties are tried with: `DNS_FUZZ=1000000` for a
    /// long run.
    fn cases() -> u32 {
        std::env::var("DNS_FUZZ").ok().and_then(|text| text.parse().ok()).unwrap_or(2000)
    }

    fn all_kinds(message: &[u8]) {
        for kind in Kind::ALL {
            let read = reply(message, &asked(kind));
            if let Ok(read) = read {
                assert!(read.values.len() <= message.len() / 11);
            }
        }
        let _ = id_of(message);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(cases()))]

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            all_kinds(&bytes);
            let mut messages = Messages::default();
            for piece in bytes.chunks(13) {
                messages.push(piece);
                for message in messages.by_ref() {
                    all_kinds(&message);
                }
            }
        }

        /// Near misses: a good answer with bytes changed, cut, or doubled.
        #[test]
        fn no_damage_makes_it_panic(
            count in 0..20_u32,
            damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
            cut in any::<proptest::sample::Index>(),
            pointers in any::<bool>(),
        ) {
            let mut bytes = answer(Kind::A, (0..count).map(|last| a(5, last)).collect());
            for (place, byte) in damage {
                let place = place.index(bytes.len());
                bytes[place] = if pointers { byte | 0xc0 } else { byte };
            }
            all_kinds(&bytes);
            all_kinds(&bytes[..cut.index(bytes.len())]);
        }
    }
}
