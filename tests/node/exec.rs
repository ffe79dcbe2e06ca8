//! Commands in containers of a real node.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use kubectl_stateful::{
    cluster::{Cluster, ConnectionArgs, ExecOutcome, Failure},
    output::Terminal,
};
use serde_json::json;

use crate::support::{Fault, Namespace, TestCluster, web};

const LONG: Duration = Duration::from_secs(60);

fn namespace(hint: &str) -> Namespace<'static> {
    let namespace = TestCluster::shared_node().namespace(hint);
    namespace.apply(&web(1, |_| {}));
    namespace.wait_until_ready("web");
    namespace
}

fn exec(
    namespace: &Namespace,
    kubeconfig: PathBuf,
    container: Option<&str>,
    command: &[&str],
    timeout: Duration,
) -> Result<ExecOutcome, Failure> {
    let connection = ConnectionArgs {
        kubeconfig: Some(kubeconfig),
        namespace: Some(namespace.name().to_owned()),
        ..ConnectionArgs::default()
    };
    let command: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let cluster = Cluster::connect(&connection, Terminal::silent()).await.expect("a cluster");
        cluster.exec("web-0", container, &command, timeout).await
    })
}

fn ended(code: i32, stdout: &str, stderr: &str) -> ExecOutcome {
    ExecOutcome::Ended { code, stdout: stdout.to_owned(), stderr: stderr.to_owned() }
}

#[test]
fn the_exit_code_and_output_of_a_command_are_returned() {
    let namespace = namespace("exec");
    let admin = namespace.cluster().kubeconfig().to_owned();
    let exec = |container, command: &[&str], timeout| {
        exec(&namespace, admin.clone(), container, command, timeout)
    };
    let shell = |script| exec(None, &["sh", "-c", script], LONG).expect("it runs");
    assert_eq!(shell("echo 'all & well?'; echo beside >&2"), ended(0, "all & well?\n", "beside\n"));
    assert_eq!(shell("exit 7"), ended(7, "", ""));
    assert_eq!(shell("kill -9 $$"), ended(137, "", ""));

    // All of it is taken, so that the command is not held up, and little is kept.
    let ExecOutcome::Ended { code, stdout, .. } =
        shell("head -c 1048576 /dev/zero | tr '\\0' x; echo end >&2; exit 3")
    else {
        panic!("it ended");
    };
    assert_eq!((code, stdout.len()), (3, 4096));

    let named = exec(Some("nginx"), &["true"], LONG).expect("it runs");
    assert_eq!(named, ended(0, "", ""));
    let absent = exec(Some("other"), &["true"], LONG).expect_err("there is no such container");
    assert!(absent.to_string().contains("container other is not valid"), "{absent}");
    let unknown = exec(None, &["no-such-command"], LONG).expect_err("it cannot start");
    assert!(unknown.to_string().contains("no-such-command"), "{unknown}");

    let begun = Instant::now();
    let sleeper = exec(None, &["sleep", "300"], Duration::from_secs(2)).expect("it runs");
    assert_eq!(sleeper, ExecOutcome::TimedOut);
    assert!(begun.elapsed() < Duration::from_secs(30));
}

#[test]
fn who_has_no_right_to_run_commands_is_told_so() {
    let namespace = namespace("exec-rights");
    let pods = json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]}]);
    let user = namespace.user("reader", &pods, &json!([]));
    let refused = exec(&namespace, user, None, &["true"], LONG).expect_err("there is no right");
    assert!(matches!(refused, Failure::Forbidden(_)), "{refused:?}");
    assert!(refused.to_string().contains("pods/exec"), "{refused}");
}

/// A command whose connection broke may have run: it is not run again.
#[test]
fn a_command_is_sent_once() {
    let namespace = namespace("exec-once");
    let proxy = namespace.cluster().proxy();
    proxy.when(|request| request.path.contains("/exec?"), Fault::DropBefore);
    let kubeconfig = namespace.kubeconfig_through(&proxy);
    let lost = exec(&namespace, kubeconfig, None, &["true"], LONG).expect_err("it broke");
    assert!(matches!(lost, Failure::Lost { .. }), "{lost:?}");
    assert_eq!(proxy.count(|seen| seen.path.contains("/exec?")), 1, "{}", proxy.log());

    let through = namespace.cluster().proxy();
    let kubeconfig = namespace.kubeconfig_through(&through);
    let done = exec(&namespace, kubeconfig, None, &["echo", "x"], LONG).expect("it runs");
    assert_eq!(done, ended(0, "x\n", ""));
}
