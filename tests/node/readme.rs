//! Every transcript of the README and of the tour, typed in its order on a real
//! node: what stands there must be what happens. The pictures are what a terminal
//! shows then; `UPDATE_DOCS=1` takes them again.

use std::{fs, path::Path, time::Duration};

use anstyle::RgbColor;
use anstyle_svg::{Term, WIN10_CONSOLE};

use super::support::{Namespace, Run, TestCluster, until_found};

/// What `mysql-pv-volume` of the tour is called here.
const VOLUME: &str = "readme-pv-volume";

/// A command of a transcript and what the page says it prints.
#[derive(Clone)]
struct Step {
    command: String,
    output: Vec<String>,
}

fn page(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    fs::read_to_string(path).unwrap_or_else(|why| panic!("{name}: {why}"))
}

fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut inside = false;
    for line in page.lines() {
        match (inside, line.strip_prefix("$ ")) {
            (false, _) => inside = line == "```console",
            (true, _) if line == "```" => inside = false,
            (true, Some(command)) => {
                steps.push(Step { command: command.to_owned(), output: Vec::new() });
            }
            (true, None) => {
                let step = steps.last_mut().expect("a transcript begins with a command");
                step.output.push(line.to_owned());
            }
        }
    }
    steps
}

/// The words of an output, without what differs from run to run: ages, the
/// hashes of revisions, the test's namespace.
fn words(text: &str, namespace: &str) -> Vec<String> {
    let is_age = |word: &str| {
        word.starts_with(|c: char| c.is_ascii_digit())
            && word.ends_with(['s', 'm', 'h', 'd'])
            && word.chars().all(|c| c.is_ascii_digit() || "smhd".contains(c))
    };
    let is_hash = |word: &str| {
        word.strip_prefix("web-").is_some_and(|hash| hash.trim_end_matches(',').len() >= 8)
    };
    // Seconds with a decimal point.
    let is_time = |word: &str| word.contains('.') && word.parse::<f64>().is_ok();
    text.replace(namespace, "default")
        .split_whitespace()
        .map(|word| match word {
            word if is_age(word) => "AGE".to_owned(),
            word if is_time(word) => "TIME".to_owned(),
            word if is_hash(word) => "REVISION".to_owned(),
            word => word.to_owned(),
        })
        .collect()
}

fn shell(namespace: &Namespace, command: &str) -> super::support::Output {
    let cluster = namespace.cluster();
    let plugin = Path::new(env!("CARGO_BIN_EXE_kubectl-stateful"));
    let kubeconfig = namespace.directory().join("kubeconfig");
    if !kubeconfig.exists() {
        fs::copy(cluster.kubeconfig(), &kubeconfig).expect("a kubeconfig of our own");
        let here = ["config", "set-context", "--current", "--namespace", namespace.name()];
        cluster.kubectl(here).kubeconfig(&kubeconfig).output().success();
    }
    let line = format!("cd {} && {command}", namespace.directory().display())
        .replace("-n default", &format!("-n {}", namespace.name()));
    Run::new("/bin/sh")
        .args(["-c", &line])
        .search(cluster.kubectl_path().parent().expect("a directory"))
        .search(plugin.parent().expect("a directory"))
        .kubeconfig(&kubeconfig)
        .deadline(Duration::from_secs(180))
        .output()
}

/// The width of the terminal in the pictures.
const COLUMNS: usize = 100;
/// The colours for readers whose screen is light.
const LIGHT: &str = "    @media (prefers-color-scheme: light) {
      .fg { fill: #1f2328 }
      .bg { fill: #f6f8fa }
      .fg-red { fill: #b3261e }
      .fg-yellow { fill: #7a5b00 }
      .fg-green { fill: #1a6b32 }
      .fg-cyan { fill: #0b6470 }
    }
";

/// Holds a picture to what a terminal shows after this command now.
fn holds_the_picture(name: &str, command: &str, namespace: &Namespace) {
    // As wide as it would be in the namespace that is shown.
    let columns = COLUMNS + namespace.name().len() - "default".len();
    let screen = format!("stty cols {columns} rows 40; exec {command}");
    let line = format!("TERM=xterm-256color script -qec '{screen}' /dev/null");
    let shown = shell(namespace, &line).success().replace('\r', "");
    let shown = shown.replace(namespace.name(), "default");
    let term = Term::new()
        .palette(WIN10_CONSOLE)
        .fg_color(RgbColor(0xd1, 0xd7, 0xe0).into())
        .bg_color(RgbColor(0x0d, 0x11, 0x17).into());
    let picture = term.render_svg(&format!("\u{1b}[1m$ {command}\u{1b}[0m\n{shown}"));
    let picture = picture.replacen("  </style>", &format!("{LIGHT}  </style>"), 1);
    let path = format!("docs/pictures/{name}.svg");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join(&path);
        fs::create_dir_all(whole.parent().expect("a folder")).expect("it can be made");
        fs::write(whole, &picture).expect("it can be written");
    }
    let text = |picture: &str| words(&text_of(picture), "default");
    assert_eq!(text(&page(&path)), text(&picture), "{path}: take it again with UPDATE_DOCS=1");
}

/// What there is to read in a picture.
fn text_of(picture: &str) -> String {
    let (_, body) = picture.split_once("</style>").expect("a picture has styles");
    let text: String = body.split('<').filter_map(|part| Some(part.split_once('>')?.1)).collect();
    [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&amp;", "&")]
        .iter()
        .fold(text, |text, (escaped, letter)| text.replace(escaped, letter))
}

#[test]
fn every_transcript_is_what_happens() {
    let steps = [steps(&page("README.md")), steps(&page("docs/tour.md"))].concat();
    assert!(steps.len() > 5, "the transcripts were not found");
    let namespace = TestCluster::shared_node().namespace("readme");
    let nginx = format!("{}/tests/apps/nginx.yaml", env!("CARGO_MANIFEST_DIR"));
    namespace.kubectl(["apply", "-f", &nginx]).output().success();
    namespace.wait_until_ready("web");
    let canary = r#"{"spec":{"updateStrategy":{"rollingUpdate":{"partition":2}},"template":{"spec":{"containers":[{"name":"nginx","image":"nginx:1.99"}]}}}}"#;
    namespace.kubectl(["patch", "sts", "web", "-p", canary]).output().success();
    until_found(&namespace, "web", &["STATUS-IMAGE-PULL", "STATUS-PARTITION-HELD"]);
    // The first refusal is ErrImagePull; the pages show the state that stays.
    namespace.wait(
        "pod/web-2",
        "jsonpath={.status.containerStatuses[0].state.waiting.reason}=ImagePullBackOff",
    );
    holds_the_picture("status", "kubectl stateful status web", &namespace);
    // Volumes are of no namespace, and others have this one too.
    let mysql = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apps/mysql-deployment.yaml");
    let mysql = fs::read_to_string(mysql).expect("the application");
    let mysql = mysql.replace("mysql-pv-volume", VOLUME).replace("/mnt/data", "/mnt/readme");
    namespace.kubectl(["apply", "-f", "-"]).stdin(mysql).output().success();
    for step in steps {
        if step.command.contains("migrate run") {
            let seen = ["rollout", "status", "deploy/mysql", "--timeout=120s"];
            namespace.kubectl(seen).output().success();
        }
        if step.command.contains("--exit-code") {
            let trap = ["STATUS-REVERT-TRAP", "STATUS-IMAGE-PULL", "STATUS-PARTITION-HELD"];
            until_found(&namespace, "web", &trap);
            namespace.wait(
                "pod/web-2",
                "jsonpath={.status.containerStatuses[0].state.waiting.reason}=ImagePullBackOff",
            );
        }
        if step.command.contains("canary start") {
            // A reader is not as quick as this test: the controller has seen
            // what was typed before.
            let seen = ["rollout", "status", "sts/web", "--timeout=60s"];
            namespace.kubectl(seen).output().success();
        }
        let output = shell(&namespace, &step.command);
        if step.command.contains("canary start") {
            holds_the_picture("canary", "kubectl stateful canary status web", &namespace);
        }
        let judged = if step.command.contains("--exit-code") { 3 } else { 0 };
        let output = output.expect(judged);
        if !step.output.is_empty() {
            let promised = words(&step.output.join("\n"), "default");
            let stdout = output.stdout.replace(VOLUME, "mysql-pv-volume");
            assert_eq!(words(&stdout, namespace.name()), promised, "{output}");
        }
    }
}
