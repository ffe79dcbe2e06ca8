//! Questions to one DNS server pod, over one stream, many at a time. The
//! time-out holds whatever the server does.

use std::{collections::HashMap, time::Duration};

use tokio::time::{Instant, timeout_at};

use super::{
    compare::Outcome,
    facts::Server,
    wire::{self, Messages, Question},
};
use crate::cluster::{Cluster, Failure, Forward};

/// Questions sent before their answers are read: few enough to fit into the
/// buffers between us and the server.
const MAX_IN_FLIGHT: usize = 256;

/// How many messages that answer no question of ours are skipped before the
/// server is given up.
const MAX_STRAY_MESSAGES: usize = 64;

/// Why a server was not asked at all.
#[derive(Debug)]
pub enum AskError {
    /// The API server does not allow it.
    NotAllowed(Failure),
    Failed(String),
}

/// The stream to one server, kept open between questions.
pub struct Session<'a> {
    cluster: &'a Cluster,
    pub server: Server,
    /// For all the questions of one call.
    timeout: Duration,
    stream: Option<Stream>,
    id: u16,
    /// How many streams were opened.
    pub opened: usize,
}

struct Stream {
    forward: Forward,
    messages: Messages,
    stray: usize,
}

impl<'a> Session<'a> {
    pub fn new(cluster: &'a Cluster, server: Server, timeout: Duration) -> Session<'a> {
        Session { cluster, server, timeout, stream: None, id: 0, opened: 0 }
    }

    /// Opens the stream ahead of the questions.
    ///
    /// # Errors
    /// When the API server refuses, or the server cannot be reached.
    pub async fn open(&mut self) -> Result<(), AskError> {
        let deadline = Instant::now() + self.timeout;
        self.open_until(deadline).await
    }

    async fn open_until(&mut self, deadline: Instant) -> Result<(), AskError> {
        let Some(port) = self.server.port else {
            return Err(AskError::Failed("its Service has no TCP port for DNS".to_owned()));
        };
        let Server { namespace, pod, .. } = &self.server;
        let opening = self.cluster.forward(namespace, pod, port);
        let forward = match timeout_at(deadline, opening).await {
            Err(_) => return Err(AskError::Failed(self.timeout_text())),
            Ok(Ok(forward)) => forward,
            Ok(Err(failure @ (Failure::Forbidden(_) | Failure::Unauthorized(_)))) => {
                return Err(AskError::NotAllowed(failure));
            }
            Ok(Err(failure)) => return Err(AskError::Failed(failure.to_string())),
        };
        self.opened += 1;
        self.stream = Some(Stream { forward, messages: Messages::default(), stray: 0 });
        Ok(())
    }

    fn timeout_text(&self) -> String {
        format!("no answer within {} ms", self.timeout.as_millis())
    }

    /// Asks, and returns an outcome for each question, in order.
    ///
    /// # Errors
    /// When the server cannot be asked at all.
    pub async fn ask(&mut self, questions: &[Question]) -> Result<Vec<Outcome>, AskError> {
        let deadline = Instant::now() + self.timeout;
        let mut outcomes: Vec<Option<Outcome>> = vec![None; questions.len()];
        while let Some(first) = outcomes.iter().position(Option::is_none) {
            let fresh = self.stream.is_none();
            if fresh {
                self.open_until(deadline).await?;
            }
            let open: Vec<usize> = (first..questions.len())
                .filter(|&at| outcomes[at].is_none())
                .take(MAX_IN_FLIGHT)
                .collect();
            let before = open.len();
            let ended = self.round(questions, &open, &mut outcomes, deadline).await;
            let Err(why) = ended else { continue };
            self.stream = None;
            let left: Vec<usize> = open.into_iter().filter(|&at| outcomes[at].is_none()).collect();
            // Some servers close the stream after a number of questions or when
            // it is idle: the rest goes over a new one.
            let can_retry = why.closed && (left.len() < before || !fresh);
            if !can_retry || Instant::now() >= deadline {
                for outcome in outcomes.iter_mut().filter(|outcome| outcome.is_none()) {
                    *outcome = Some(Outcome::Failed(why.text.clone()));
                }
            }
        }
        Ok(outcomes.into_iter().map(|one| one.unwrap_or(Outcome::NotAsked)).collect())
    }

    /// Sends the open questions at once and takes the answers in any order.
    async fn round(
        &mut self,
        questions: &[Question],
        open: &[usize],
        outcomes: &mut [Option<Outcome>],
        deadline: Instant,
    ) -> Result<(), RoundError> {
        let late = RoundError::failed(self.timeout_text());
        let mut waiting: HashMap<u16, usize> = HashMap::new();
        let mut bytes = Vec::new();
        for &at in open {
            let id = self.id;
            self.id = self.id.wrapping_add(1);
            match wire::question(id, &questions[at]) {
                Ok(question) => {
                    bytes.extend(question);
                    waiting.insert(id, at);
                }
                Err(why) => outcomes[at] = Some(Outcome::Failed(why.to_string())),
            }
        }
        let Some(stream) = &mut self.stream else { return Ok(()) };
        if !bytes.is_empty() {
            let sent = timeout_at(deadline, stream.forward.send(&bytes)).await;
            sent.map_err(|_| late.clone())?.map_err(|failure| RoundError::broken(&failure))?;
        }
        while !waiting.is_empty() {
            for message in stream.messages.by_ref() {
                let at = wire::id_of(&message).and_then(|id| waiting.remove(&id));
                let Some(at) = at else {
                    stream.stray += 1;
                    if stream.stray > MAX_STRAY_MESSAGES {
                        return Err(RoundError::failed(
                            "it sends answers to questions that were not asked".to_owned(),
                        ));
                    }
                    continue;
                };
                outcomes[at] = Some(match wire::reply(&message, &questions[at]) {
                    Ok(reply) => Outcome::Reply(reply),
                    Err(why) => Outcome::Failed(why.to_string()),
                });
            }
            if waiting.is_empty() {
                break;
            }
            let next = timeout_at(deadline, stream.forward.receive()).await;
            match next.map_err(|_| late.clone())? {
                Ok(Some(piece)) => stream.messages.push(&piece),
                Ok(None) if stream.messages.is_within() => {
                    return Err(RoundError::closed("the stream ended in the middle of an answer"));
                }
                Ok(None) => return Err(RoundError::closed("the stream ended before the answer")),
                Err(failure) => return Err(RoundError::broken(&failure)),
            }
            if Instant::now() >= deadline {
                return Err(late);
            }
        }
        Ok(())
    }
}

/// Why a round ended early.
#[derive(Clone, Debug)]
struct RoundError {
    text: String,
    /// Closed by the other side, without an error.
    closed: bool,
}

impl RoundError {
    fn failed(text: String) -> RoundError {
        RoundError { text, closed: false }
    }

    fn closed(text: &str) -> RoundError {
        RoundError { text: text.to_owned(), closed: true }
    }

    fn broken(failure: &Failure) -> RoundError {
        // The node's message is the cause. The rest is about an HTTP request
        // that the user did not make.
        match failure {
            Failure::Lost { cause, .. } => RoundError { text: cause.clone(), closed: true },
            other => RoundError::failed(other.to_string()),
        }
    }
}

/// Servers, and nodes in front of them, that fail in every way.
#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, ops::ControlFlow, sync::Arc};

    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use futures_util::{SinkExt as _, StreamExt as _};
    use ring::digest;
    use simple_dns::{
        CLASS, Name, Packet, ResourceRecord,
        rdata::{A, RData},
    };
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };
    use tokio_tungstenite::{
        WebSocketStream,
        tungstenite::protocol::{Message, Role},
    };

    use super::*;
    use crate::{cluster::ConnectionArgs, dns::expected::Kind, output::Terminal};

    /// For servers that never answer.
    const SHORT: Duration = Duration::from_millis(400);
    /// For those that do, on a machine that is busy.
    const AMPLE: Duration = Duration::from_secs(60);

    /// What the pod sends next: bytes on the data channel, or on the error
    /// channel.
    enum Sent {
        Data(Vec<u8>),
        Error(&'static str),
    }

    /// Answers each whole question of the stream. The number is how many came
    /// before.
    type Pod = dyn Fn(&[u8], usize) -> ControlFlow<Vec<Sent>, Vec<Sent>> + Send + Sync;

    async fn head(stream: &mut TcpStream) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    /// A node that forwards to the pod, as a kubelet does.
    async fn node(pod: Arc<Pod>, port: u16) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let pod = Arc::clone(&pod);
                tokio::spawn(async move {
                    let head = head(&mut stream).await;
                    // A kubelet gives no stream to a client that asks for JSON.
                    assert!(head.contains("accept: */*"), "{head}");
                    let mut lines = head.lines();
                    let key = lines.find_map(|line| line.strip_prefix("sec-websocket-key: "));
                    let text = format!("{}258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key.unwrap());
                    let hash = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
                    let accept = BASE64_STANDARD.encode(hash);
                    let answer = format!(
                        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
                         upgrade: websocket\r\nsec-websocket-protocol: v4.channel.k8s.io\r\n\
                         sec-websocket-accept: {accept}\r\n\r\n"
                    );
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    forward(stream, &pod, port).await;
                });
            }
        });
        address
    }

    async fn forward(stream: TcpStream, pod: &Arc<Pod>, port: u16) {
        let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
        for channel in [0, 1] {
            let first = [&[channel][..], &port.to_le_bytes()].concat();
            let _ = socket.send(Message::binary(first)).await;
        }
        let (mut messages, mut count) = (Messages::default(), 0);
        while let Some(Ok(Message::Binary(piece))) = socket.next().await {
            messages.push(&piece[1..]);
            for question in messages.by_ref() {
                let next = pod(&question, count);
                count += 1;
                let is_end = next.is_break();
                let (ControlFlow::Break(sends) | ControlFlow::Continue(sends)) = next;
                for send in sends {
                    let bytes = match send {
                        Sent::Data(bytes) => [&[0][..], &bytes].concat(),
                        Sent::Error(text) => [&[1][..], text.as_bytes()].concat(),
                    };
                    if socket.send(Message::binary(bytes)).await.is_err() {
                        return;
                    }
                }
                if is_end {
                    let _ = socket.close(None).await;
                    return;
                }
            }
        }
    }

    fn questions(count: usize) -> Vec<Question> {
        let name = |number| format!("web-{number}.nginx.default.svc.cluster.local");
        (0..count).map(|n| Question { name: name(n), kind: Kind::A, dnssec_ok: false }).collect()
    }

    async fn session(
        address: SocketAddr,
        questions: &[Question],
        timeout: Duration,
    ) -> (Vec<Outcome>, usize) {
        let args = ConnectionArgs {
            server: Some(format!("http://{address}")),
            kubeconfig: Some("/dev/null".into()),
            ..ConnectionArgs::default()
        };
        let cluster = Cluster::connect(&args, Terminal::silent()).await.unwrap();
        let server = Server {
            namespace: "kube-system".to_owned(),
            pod: "coredns-0".to_owned(),
            port: Some(53),
            ready: true,
        };
        let mut session = Session::new(&cluster, server, timeout);
        let asking = tokio::time::timeout(timeout + AMPLE, session.ask(questions));
        let outcomes = match asking.await.expect("an end soon after the time-out") {
            Ok(outcomes) => outcomes,
            Err(AskError::Failed(why)) => vec![Outcome::Failed(why)],
            Err(AskError::NotAllowed(failure)) => vec![Outcome::Failed(format!("no: {failure}"))],
        };
        (outcomes, session.opened)
    }

    async fn ask(
        count: usize,
        pod: impl Fn(&[u8], usize) -> ControlFlow<Vec<Sent>, Vec<Sent>> + Send + Sync + 'static,
    ) -> (Vec<Outcome>, usize) {
        ask_within(AMPLE, count, pod).await
    }

    async fn ask_within(
        timeout: Duration,
        count: usize,
        pod: impl Fn(&[u8], usize) -> ControlFlow<Vec<Sent>, Vec<Sent>> + Send + Sync + 'static,
    ) -> (Vec<Outcome>, usize) {
        let address = node(Arc::new(pod), 53).await;
        session(address, &questions(count), timeout).await
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        [&u16::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
    }

    /// The right answer: 10.0.0.N for web-N.
    fn right(question: &[u8]) -> Vec<u8> {
        let asked = Packet::parse(question).unwrap();
        let name = asked.questions[0].qname.to_string();
        let number: u32 = name["web-".len()..name.find('.').unwrap()].parse().unwrap();
        let mut packet = Packet::new_reply(asked.id());
        packet.questions = asked.questions.clone();
        let data = RData::A(A { address: 0x0a00_0000 + number });
        packet.answers.push(ResourceRecord::new(Name::new(&name).unwrap(), CLASS::IN, 5, data));
        framed(&packet.build_bytes_vec_compressed().unwrap())
    }

    fn why(outcomes: &[Outcome]) -> String {
        match outcomes {
            [Outcome::Failed(why), ..] => why.clone(),
            other => panic!("{other:?}"),
        }
    }

    fn are_right(outcomes: &[Outcome]) -> bool {
        outcomes.iter().enumerate().all(|(number, outcome)| {
            let address = std::net::Ipv4Addr::from(0x0a00_0000 + u32::try_from(number).unwrap());
            let value = crate::dns::expected::Value::Address(address.into());
            matches!(outcome, Outcome::Reply(reply) if reply.values == [value])
        })
    }

    #[tokio::test]
    async fn many_questions_share_one_stream() {
        let honest = |question: &[u8], _| ControlFlow::Continue(vec![Sent::Data(right(question))]);
        let (outcomes, opened) = ask(1200, honest).await;
        assert!(are_right(&outcomes) && outcomes.len() == 1200);
        assert_eq!(opened, 1);
        // A byte at a time.
        let (outcomes, _) = ask(20, |question: &[u8], _| {
            let bytes = right(question).into_iter().map(|byte| Sent::Data(vec![byte]));
            ControlFlow::Continue(bytes.collect())
        })
        .await;
        assert!(are_right(&outcomes));
    }

    #[tokio::test]
    async fn a_silent_server_runs_into_the_time_out() {
        let silent = |_: &[u8], _| ControlFlow::Continue(Vec::new());
        let (outcomes, _) = ask_within(SHORT, 3, silent).await;
        assert_eq!(outcomes.len(), 3);
        assert_eq!(why(&outcomes), "no answer within 400 ms");
        // Two are answered, and these answers are kept.
        let long = Duration::from_secs(5);
        let (outcomes, _) = ask_within(long, 3, |question: &[u8], before| {
            ControlFlow::Continue(if before < 2 {
                vec![Sent::Data(right(question))]
            } else {
                Vec::new()
            })
        })
        .await;
        assert!(are_right(&outcomes[..2]));
        assert_eq!(why(&outcomes[2..]), "no answer within 5000 ms");
    }

    #[tokio::test]
    async fn a_server_that_closes_after_some_is_asked_again_for_the_rest() {
        let (outcomes, opened) = ask(10, |question: &[u8], before| {
            let answer = vec![Sent::Data(right(question))];
            if before == 3 { ControlFlow::Break(answer) } else { ControlFlow::Continue(answer) }
        })
        .await;
        assert!(are_right(&outcomes), "{outcomes:?}");
        assert_eq!(opened, 3);
        let (outcomes, opened) = ask(10, |_: &[u8], _| ControlFlow::Break(Vec::new())).await;
        assert_eq!((why(&outcomes).as_str(), opened), ("the stream ended before the answer", 1));
        let (outcomes, _) = ask(1, |question: &[u8], _| {
            let answer = right(question);
            ControlFlow::Break(vec![Sent::Data(answer[..answer.len() - 3].to_vec())])
        })
        .await;
        assert_eq!(why(&outcomes), "the stream ended in the middle of an answer");
    }

    #[tokio::test]
    async fn an_error_of_the_node_is_passed_on() {
        let refused = "error forwarding port 53 to pod x: connect: connection refused";
        let (outcomes, _) =
            ask(2, move |_: &[u8], _| ControlFlow::Break(vec![Sent::Error(refused)])).await;
        assert_eq!(why(&outcomes), refused);
        let honest = |question: &[u8], _: usize| -> ControlFlow<Vec<Sent>, Vec<Sent>> {
            ControlFlow::Continue(vec![Sent::Data(right(question))])
        };
        let other_port = node(Arc::new(honest), 54).await;
        let (outcomes, _) = session(other_port, &questions(1), AMPLE).await;
        assert!(why(&outcomes).contains("another port"), "{outcomes:?}");
    }

    #[tokio::test]
    async fn hostile_answers_become_errors() {
        // An endless series of unasked answers, each as long as possible.
        let (outcomes, _) = ask(1, |_: &[u8], _| {
            let stray = |number: u16| {
                let mut message = vec![0_u8; 65535];
                message[..2].copy_from_slice(&(0x8000 | number).to_be_bytes());
                Sent::Data(framed(&message))
            };
            ControlFlow::Continue((0..500).map(stray).collect())
        })
        .await;
        assert_eq!(why(&outcomes), "it sends answers to questions that were not asked");
        // 64 KiB of names that point at each other.
        let (outcomes, _) = ask(1, |question: &[u8], _| {
            let mut message = right(question)[2..14].to_vec();
            message[6..8].copy_from_slice(&[0xff, 0xff]);
            while message.len() < 65_000 {
                message.extend([0xc0, 0x0c, 0xc0, 0x0e]);
            }
            ControlFlow::Continue(vec![Sent::Data(framed(&message))])
        })
        .await;
        assert!(why(&outcomes).contains("cannot be read"), "{outcomes:?}");
        // The question itself, sent back.
        let (outcomes, _) =
            ask(1, |question: &[u8], _| ControlFlow::Continue(vec![Sent::Data(framed(question))]))
                .await;
        assert_eq!(why(&outcomes), "the answer is a question");
        // The answer to another question under the right id.
        let (outcomes, _) = ask(2, |question: &[u8], before| {
            let mut other = right(question);
            if before == 0 {
                let place = other.windows(5).position(|five| five == b"web-0").unwrap();
                other[place + 4] = b'9';
            }
            ControlFlow::Continue(vec![Sent::Data(other)])
        })
        .await;
        assert_eq!(why(&outcomes), "the answer is to a different question");
        assert!(matches!(outcomes[1], Outcome::Reply(_)));
        // Empty messages, and a length that never comes.
        let (outcomes, _) = ask_within(SHORT, 1, |_: &[u8], _| {
            ControlFlow::Continue(vec![Sent::Data(vec![0; 40]), Sent::Data(vec![0xff, 0xff, 1])])
        })
        .await;
        assert_eq!(why(&outcomes), "no answer within 400 ms");
    }

    #[tokio::test]
    async fn a_refusal_is_told_from_a_failure() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                head(&mut stream).await;
                let body = r#"{"kind":"Status","status":"Failure","code":403,
                    "reason":"Forbidden","message":"pods \"coredns-0\" is forbidden"}"#;
                let answer = format!(
                    "HTTP/1.1 403 Forbidden\r\ncontent-type: application/json\r\n\
                     content-length: {}\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        let (outcomes, opened) = session(address, &questions(1), AMPLE).await;
        assert!(why(&outcomes).starts_with("no: Error from server (Forbidden)"), "{outcomes:?}");
        assert_eq!(opened, 0);
    }
}
