//! What a user reads when a connection or a request fails: the real kubectl and
//! ours, side by side against the same server, must say the same thing.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::json;
use tempfile::TempDir;

use crate::support::{Answer, Fault, Kubeconfig, Namespace, Output, Run, TestCluster};

/// kubectl and ours, asked for the same StatefulSet with the same flags.
struct Pair {
    kubectl: Run,
    ours: Run,
}

impl Pair {
    fn in_namespace(namespace: &Namespace, set: &str, flags: &[&str]) -> Pair {
        Pair {
            kubectl: namespace.kubectl(["get", "statefulsets", set]).args(flags),
            ours: namespace.stateful(["status", set]).args(flags),
        }
    }

    /// Without a namespace: nothing on a server is reached.
    fn with_flags(flags: &[&str]) -> Pair {
        let cluster = TestCluster::shared();
        Pair {
            kubectl: cluster.kubectl(["get", "statefulsets", "web"]).args(flags),
            ours: cluster.stateful(["status", "web"]).args(flags),
        }
    }

    fn each(self, change: impl Fn(Run) -> Run) -> Pair {
        Pair { kubectl: change(self.kubectl), ours: change(self.ours) }
    }

    fn kubeconfig(self, path: &Path) -> Pair {
        self.each(|run| run.kubeconfig(path))
    }

    /// Runs both and checks what holds for every failure. Returns what kubectl said.
    #[track_caller]
    fn say_the_same(self) -> String {
        let (theirs, ours) = self.fail();
        assert_eq!(headline(&ours), headline(&theirs), "\nours:\n{ours}\n\nkubectl:\n{theirs}");
        headline(&theirs)
    }

    /// The same for a message that goes on with an error of the Go runtime or a Go
    /// library, word for word: the same up to `until`, and then an explanation.
    #[track_caller]
    fn say_the_same_until(self, until: &str) -> String {
        let (theirs, ours) = self.fail();
        for output in [&theirs, &ours] {
            let message = headline(output);
            let rest = message.split_once(until).map_or("", |(_, rest)| rest);
            assert!(!rest.trim().is_empty(), "{until:?} and a reason are not in it\n{output}");
        }
        let start = |output: &Output| headline(output).split(until).next().map(str::to_owned);
        assert_eq!(start(&ours), start(&theirs), "\nours:\n{ours}\n\nkubectl:\n{theirs}");
        headline(&ours)
    }

    #[track_caller]
    fn fail(self) -> (Output, Output) {
        let theirs = self.kubectl.output().expect(1);
        let ours = self.ours.output().expect(1);
        assert_eq!(ours.stdout, "", "an error goes to stderr\n{ours}");
        let hints = ours.stderr.lines().filter(|line| line.starts_with("hint: ")).count();
        assert_eq!(hints, 1, "one line says what to type next\n{ours}");
        (theirs, ours)
    }
}

fn is_ours_alone(line: &str) -> bool {
    let begins = ["  caused by: ", "hint: "].iter().any(|start| line.starts_with(start));
    begins || line.contains("; retrying in ")
}

/// The message itself: kubectl without its log entries, ours without retries, causes and hint.
fn headline(output: &Output) -> String {
    let mut message = Vec::new();
    let mut in_log_entry = false;
    for line in output.stderr.lines() {
        if in_log_entry {
            // An entry of several lines ends like this.
            in_log_entry = line != " >";
        } else if is_log_entry(line) {
            in_log_entry = line.ends_with("err=<");
        } else if !is_ours_alone(line) {
            message.push(line);
        }
    }
    message.join("\n")
}

/// Whether a line begins an entry of kubectl's log, as in `E1121 03:45:26.989831 …`.
fn is_log_entry(line: &str) -> bool {
    let mut bytes = line.bytes();
    matches!(bytes.next(), Some(b'E' | b'W' | b'I' | b'F'))
        && bytes.take(4).filter(u8::is_ascii_digit).count() == 4
}

/// A port on which nobody listens.
fn dead_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound address").to_string()
}

fn file(directory: &TempDir, text: &str) -> PathBuf {
    let path = directory.path().join("config");
    fs::write(&path, text).expect("a file in a directory of the test");
    path
}

#[test]
fn not_found() {
    let namespace = TestCluster::shared().namespace("not-found");
    let said = Pair::in_namespace(&namespace, "web", &[]).say_the_same();
    assert_eq!(said, r#"Error from server (NotFound): statefulsets.apps "web" not found"#);
}

#[test]
fn forbidden() {
    let namespace = TestCluster::shared().namespace("forbidden");
    let nothing = namespace.user("nobody", &json!([]), &json!([]));
    let said = Pair::in_namespace(&namespace, "web", &[]).kubeconfig(&nothing).say_the_same();
    let start = r#"Error from server (Forbidden): statefulsets.apps "web" is forbidden: "#;
    assert!(said.starts_with(start), "{said}");
    let ours = namespace.stateful(["status", "web"]).kubeconfig(&nothing).output();
    let hint =
        format!("hint: kubectl auth can-i get statefulsets.apps/web -n {}\n", namespace.name());
    assert!(ours.stderr.ends_with(&hint), "{ours}");
}

#[test]
fn unauthorized() {
    let namespace = TestCluster::shared().namespace("unauthorized");
    let kubeconfig = Kubeconfig::new(namespace.cluster().server())
        .cluster("certificate-authority-data", namespace.cluster().authority_data())
        .user("token", "made-up")
        .write(namespace.directory(), "unauthorized.json");
    let said = Pair::in_namespace(&namespace, "web", &[]).kubeconfig(&kubeconfig).say_the_same();
    assert!(said.starts_with("error: You must be logged in to the server"), "{said}");
}

#[test]
fn answers_that_only_an_ill_server_gives() {
    let cluster = TestCluster::shared();
    let namespace = cluster.namespace("ill");
    let answers = [
        (Answer::internal_error(), "Error from server (InternalError): "),
        (Answer::unavailable(), "Error from server (ServiceUnavailable): "),
        (Answer::status(410, "Expired", "too old"), "Error from server (Expired): too old"),
    ];
    for (answer, start) in answers {
        let proxy = cluster.proxy();
        proxy.when(|seen| seen.path.contains("/statefulsets/web"), Fault::Answer(answer));
        let kubeconfig = namespace.kubeconfig_through(&proxy);
        let said =
            Pair::in_namespace(&namespace, "web", &[]).kubeconfig(&kubeconfig).say_the_same();
        assert!(said.starts_with(start), "{said}");
    }
}

/// The sentences for writes; a server may send them for any request.
#[test]
fn invalid_and_conflict() {
    let cluster = TestCluster::shared();
    let namespace = cluster.namespace("invalid");
    for (answer, code, start) in [
        (Answer::status(422, "Invalid", "no good"), 1, "The request is invalid"),
        (Answer::conflict(), 7, "Error from server (Conflict): "),
    ] {
        let proxy = cluster.proxy();
        proxy.when(|seen| seen.path.contains("/statefulsets/web"), Fault::Answer(answer));
        let kubeconfig = namespace.kubeconfig_through(&proxy);
        let Pair { kubectl, ours } =
            Pair::in_namespace(&namespace, "web", &[]).kubeconfig(&kubeconfig);
        let (theirs, ours) = (kubectl.output().expect(1), ours.output().expect(code));
        assert_eq!(headline(&ours), headline(&theirs), "\nours:\n{ours}\n\nkubectl:\n{theirs}");
        assert!(headline(&ours).starts_with(start), "{ours}");
        assert!(ours.stderr.contains("\nhint: "), "{ours}");
    }
}

#[test]
fn refused_connection() {
    let directory = TempDir::new().expect("a directory");
    let address = dead_address();
    for scheme in ["http", "https"] {
        let kubeconfig = Kubeconfig::new(&format!("{scheme}://{address}"))
            .user("token", "any")
            .write(directory.path(), "refused.json");
        let said = Pair::with_flags(&[]).kubeconfig(&kubeconfig).say_the_same();
        assert_eq!(
            said,
            format!(
                "The connection to the server {address} was refused - did you specify the right host or port?"
            )
        );
    }
}

#[test]
fn host_that_does_not_exist() {
    let directory = TempDir::new().expect("a directory");
    // RFC 6761: never resolves.
    let kubeconfig = Kubeconfig::new("https://api.invalid:6443")
        .user("token", "any")
        .write(directory.path(), "host.json");
    Pair::with_flags(&[])
        .kubeconfig(&kubeconfig)
        .say_the_same_until("Unable to connect to the server: ");
}

#[test]
fn server_with_an_unknown_authority() {
    let cluster = TestCluster::shared();
    let directory = TempDir::new().expect("a directory");
    // No authority of its own: that leaves the machine's, which do not know the test cluster.
    let kubeconfig = Kubeconfig::new(cluster.server())
        .user("token", cluster.token())
        .write(directory.path(), "untrusted.json");
    let said = Pair::with_flags(&[])
        .kubeconfig(&kubeconfig)
        .say_the_same_until("Unable to connect to the server: tls: failed to verify certificate: ");
    assert!(said.contains("certificate signed by unknown authority"), "{said}");
}

#[test]
fn deadline_of_a_request() {
    let cluster = TestCluster::shared();
    let namespace = cluster.namespace("late");
    let proxy = cluster.proxy();
    proxy.when(
        |seen| seen.path.contains("/statefulsets/web"),
        Fault::Delay(Duration::from_secs(20)),
    );
    let kubeconfig = namespace.kubeconfig_through(&proxy);
    // Go has two wordings for it, and which one comes is a race.
    let said = Pair::in_namespace(&namespace, "web", &["--request-timeout=1s"])
        .kubeconfig(&kubeconfig)
        .say_the_same_until("Unable to connect to the server: ");
    assert!(said.ends_with("(Client.Timeout exceeded while awaiting headers)"), "{said}");
}

#[test]
fn no_kubeconfig_at_all() {
    let directory = TempDir::new().expect("a directory");
    let missing = directory.path().join("missing");
    // Listed in $KUBECONFIG a missing file is skipped, and then there is no server.
    Pair::with_flags(&[]).kubeconfig(&missing).say_the_same();
    // Named by the flag it is an error.
    let flag = format!("--kubeconfig={}", missing.display());
    let said = Pair::with_flags(&[&flag]).say_the_same();
    assert!(said.contains("no such file or directory"), "{said}");
}

#[test]
fn kubeconfig_that_is_not_yaml() {
    let directory = TempDir::new().expect("a directory");
    let broken = file(&directory, "apiVersion: v1\nclusters: [\n");
    let start = format!("error: error loading config file \"{}\": ", broken.display());
    Pair::with_flags(&[]).kubeconfig(&broken).say_the_same_until(&start);
}

#[test]
fn kubeconfig_that_is_yaml_of_another_shape() {
    let directory = TempDir::new().expect("a directory");
    let wrong = file(&directory, "apiVersion: v1\nkind: Config\nclusters: yes please\n");
    let start = format!("error: error loading config file \"{}\": ", wrong.display());
    Pair::with_flags(&[]).kubeconfig(&wrong).say_the_same_until(&start);
}

#[test]
fn names_that_the_kubeconfig_does_not_have() {
    for flag in ["--context=nope", "--cluster=nope", "--user=nope"] {
        let said = Pair::with_flags(&[flag]).say_the_same();
        assert!(said.contains("nope"), "{said}");
    }
}

#[test]
fn certificate_files_that_are_not_there() {
    Pair::with_flags(&["--certificate-authority=missing.pem"]).say_the_same();
    // kubectl lists every fault of such a configuration; ours is one of them.
    for (flag, file) in [("--client-certificate", "client-cert"), ("--client-key", "client-key")] {
        let flag = format!("{flag}=missing.pem");
        let (theirs, ours) = Pair::with_flags(&[&flag]).fail();
        let fault = format!("unable to read {file} missing.pem for ");
        for output in [theirs, ours] {
            let named = output.stderr.lines().any(|line| line.contains(&fault));
            assert!(named, "{fault} is not in it\n{output}");
        }
    }
}

#[test]
fn impersonating_a_group_but_no_user() {
    Pair::with_flags(&["--as-group=devs"]).say_the_same();
}

#[test]
fn credential_plugin_that_is_not_installed() {
    let directory = TempDir::new().expect("a directory");
    let kubeconfig = Kubeconfig::new(TestCluster::shared().server())
        .cluster("certificate-authority-data", TestCluster::shared().authority_data())
        .user(
            "exec",
            json!({
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": "no-such-credential-plugin",
                "interactiveMode": "Never",
                "installHint": "Install it from the usual place.",
            }),
        )
        .write(directory.path(), "exec.json");
    let said = Pair::with_flags(&[])
        .kubeconfig(&kubeconfig)
        .say_the_same_until("Unable to connect to the server: getting credentials: ");
    assert!(said.contains("no-such-credential-plugin"), "{said}");
}
