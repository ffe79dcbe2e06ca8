//! A command on the machine that runs kubectl, before or after a step.

use std::{
    process::{ExitStatus, Stdio},
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncRead, BufReader},
    process::Child,
    time,
};

use super::{attempt::Attempt, pod_command::Variables};

/// How long to read on after a hook has exited: a background process of its may
/// hold the output open forever.
const OUTPUT_GRACE: Duration = Duration::from_millis(500);
/// The time from SIGTERM to SIGKILL.
const KILL_GRACE: Duration = Duration::from_secs(5);
/// The same while the program itself exits.
const KILL_GRACE_AT_EXIT: Duration = Duration::from_secs(1);

/// Runs a hook and passes its output on, line by line. An exit code other than 0
/// is a failure; a hook that did not start or was killed is inconclusive. When
/// the future is dropped, the hook's whole process group is killed.
pub async fn run(
    command: &str,
    variables: &Variables,
    timeout: Duration,
    say: impl Fn(&str),
) -> Attempt {
    run_for(command, variables, Timeouts { run: timeout, kill: KILL_GRACE }, say).await
}

#[derive(Clone, Copy)]
struct Timeouts {
    run: Duration,
    /// From SIGTERM to SIGKILL.
    kill: Duration,
}

async fn run_for(
    command: &str,
    variables: &Variables,
    timeouts: Timeouts,
    say: impl Fn(&str),
) -> Attempt {
    let mut process = tokio::process::Command::new("sh");
    process
        .args(["-c", command])
        .envs(variables.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // A process group of its own: it can be killed as a whole, and Ctrl-C in the
    // terminal does not reach it.
    #[cfg(unix)]
    process.process_group(0);
    let mut child = match process.spawn() {
        Ok(child) => child,
        Err(error) => return Attempt::inconclusive(format!("sh cannot be started: {error}")),
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let mut group = Group::of(child);
    let output = async {
        tokio::join!(pass_on(stdout, &say), pass_on(stderr, &say));
    };
    let output = output.fuse();
    tokio::pin!(output);
    let running = async {
        tokio::select! {
            status = group.child.wait() => {
                // Later output belongs to a background process.
                let _ = time::timeout(OUTPUT_GRACE, &mut output).await;
                status
            }
            () = &mut output => group.child.wait().await,
        }
    };
    if let Ok(status) = time::timeout(timeouts.run, running).await {
        group.ended = true;
        return judge_hook(status);
    }
    let ending = group.end(timeouts.kill);
    tokio::pin!(ending);
    // Output during the shutdown is passed on, too.
    tokio::select! {
        () = &mut ending => {}
        () = &mut output => ending.await,
    }
    Attempt::inconclusive(format!("no exit within {:?}; it was killed", timeouts.run))
}

/// Passes on every line; bytes that are not UTF-8 are replaced.
async fn pass_on(stream: Option<impl AsyncRead + Unpin>, say: &impl Fn(&str)) {
    let Some(stream) = stream else { return };
    let mut lines = BufReader::new(stream).split(b'\n');
    while let Ok(Some(line)) = lines.next_segment().await {
        say(String::from_utf8_lossy(&line).trim_end());
    }
}

fn judge_hook(status: std::io::Result<ExitStatus>) -> Attempt {
    match status {
        Ok(status) if status.success() => Attempt::pass("exit 0"),
        Ok(status) => Attempt::fail(match status.code() {
            Some(code) => format!("exit {code}"),
            None => status.to_string(),
        }),
        Err(error) => Attempt::inconclusive(format!("cannot wait for it: {error}")),
    }
}

/// A hook and the processes it started.
struct Group {
    child: Child,
    /// The hook's process id, which is its process group's id, also after the
    /// hook itself has exited.
    number: Option<u32>,
    /// It has ended; the number may belong to another group now.
    ended: bool,
}

impl Group {
    fn of(child: Child) -> Group {
        Group { number: child.id(), child, ended: false }
    }

    /// SIGTERM, some time, SIGKILL.
    async fn end(&mut self, grace: Duration) {
        self.signal(Signal::Term);
        let until = time::Instant::now() + grace;
        while !self.is_gone() && time::Instant::now() < until {
            time::sleep(Duration::from_millis(20)).await;
        }
        if !self.is_gone() {
            self.signal(Signal::Kill);
        }
        // After SIGKILL this is quick.
        let _ = self.child.wait().await;
        self.ended = true;
    }

    #[cfg(unix)]
    fn signal(&mut self, signal: Signal) {
        let signal = match signal {
            Signal::Term => rustix::process::Signal::TERM,
            Signal::Kill => rustix::process::Signal::KILL,
        };
        if let Some(group) = self.process_group() {
            // It fails when the group is empty, which is fine.
            let _ = rustix::process::kill_process_group(group, signal);
        }
    }

    #[cfg(unix)]
    fn is_gone(&mut self) -> bool {
        // A zombie counts as alive until it is reaped.
        let _ = self.child.try_wait();
        let group = self.process_group();
        group.is_none_or(|group| rustix::process::test_kill_process_group(group).is_err())
    }

    #[cfg(unix)]
    fn process_group(&self) -> Option<rustix::process::Pid> {
        rustix::process::Pid::from_raw(self.number?.try_into().ok()?)
    }

    #[cfg(not(unix))]
    fn signal(&mut self, _: Signal) {
        let _ = self.child.start_kill();
    }

    #[cfg(not(unix))]
    fn is_gone(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

#[derive(Clone, Copy)]
enum Signal {
    Term,
    Kill,
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.signal(Signal::Term);
        let until = std::time::Instant::now() + KILL_GRACE_AT_EXIT;
        while !self.is_gone() && std::time::Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        if !self.is_gone() {
            self.signal(Signal::Kill);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::RefCell, fs, path::Path};

    use super::*;
    use crate::steps::attempt::Verdict;

    /// Runs a hook and returns its output, too.
    async fn hooked(command: &str, timeout: Duration) -> (Attempt, Vec<String>) {
        let lines = RefCell::new(Vec::new());
        let say = |line: &str| lines.borrow_mut().push(line.to_owned());
        let variables = vec![("STATEFUL_POD", "web-7".to_owned())];
        let timeouts = Timeouts { run: timeout, kill: SHORT };
        let attempt = run_for(command, &variables, timeouts, say).await;
        (attempt, lines.into_inner())
    }

    const LONG: Duration = Duration::from_secs(60);
    const SHORT: Duration = Duration::from_millis(300);

    #[tokio::test]
    async fn a_hook_gets_variables_and_its_output_is_passed_on() {
        let script = "echo for $STATEFUL_POD; echo oops >&2; printf 'no end of line'";
        let (attempt, mut lines) = hooked(script, LONG).await;
        assert_eq!(attempt, Attempt::pass("exit 0"));
        lines.sort();
        assert_eq!(lines, ["for web-7", "no end of line", "oops"]);
        assert_eq!(hooked("cat; exit 3", LONG).await.0, Attempt::fail("exit 3"));
        let killed = hooked("kill -9 $$", LONG).await.0;
        assert_eq!(killed.verdict, Verdict::Fail);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_background_process_does_not_delay_the_hook() {
        let begun = std::time::Instant::now();
        let (attempt, lines) = hooked("sleep 30 & echo $!; exit 0", LONG).await;
        assert_eq!(attempt.verdict, Verdict::Pass);
        assert!(begun.elapsed() < Duration::from_secs(20));
        // It is left running on purpose.
        assert!(is_running(&lines[0]), "{lines:?}");
        tokio::process::Command::new("kill").arg(&lines[0]).status().await.unwrap();
    }

    #[cfg(target_os = "linux")]
    fn is_running(process: &str) -> bool {
        // A zombie still has a folder.
        let status = fs::read_to_string(Path::new("/proc").join(process).join("status"));
        status.is_ok_and(|status| !status.contains("State:\tZ"))
    }

    /// A killed process takes a moment to disappear.
    #[cfg(target_os = "linux")]
    fn until_gone(process: &str) {
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while is_running(process) {
            assert!(std::time::Instant::now() < deadline, "{process} is still there");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_hook_that_takes_too_long_is_killed_with_its_children() {
        // It ignores SIGTERM, and its parent, which is waited for, exits first.
        let script =
            "trap 'echo going' TERM; sh -c 'trap \"\" TERM; sleep 30 & wait' & echo $!; wait";
        let (attempt, lines) = hooked(script, SHORT).await;
        assert_eq!(attempt, Attempt::inconclusive("no exit within 300ms; it was killed"));
        assert_eq!(lines[1], "going");
        until_gone(&lines[0]);
        // A hook that has closed its output is waited for as well.
        let (attempt, _) = hooked("exec >&- 2>&-; sleep 30", SHORT).await;
        assert_eq!(attempt.verdict, Verdict::Inconclusive);
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn a_hook_does_not_outlive_its_future() {
        let folder = tempfile::tempdir().unwrap();
        let pids = folder.path().join("pids");
        let script = format!("sleep 30 & echo $! $$ > {}; wait", pids.display());
        let hook = hooked(&script, LONG);
        assert!(time::timeout(Duration::from_secs(1), hook).await.is_err());
        let pids = fs::read_to_string(&pids).unwrap();
        for process in pids.split_whitespace() {
            until_gone(process);
        }
    }
}
