//! Runs a program as a user's shell would, but with nothing of the surrounding
//! environment, and with a deadline.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    fmt,
    io::{Read, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use super::{pasted, wait_or_explain};

/// Long enough for two busy cores, short enough to notice a hang.
const DEADLINE: Duration = Duration::from_secs(60);

/// Where programs find `sh` and other system programs.
const SYSTEM_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Our binary, run directly. It knows no cluster unless it is given one.
pub fn stateful<I: AsRef<OsStr>>(args: impl IntoIterator<Item = I>) -> Run {
    let run = Run::new(env!("CARGO_BIN_EXE_kubectl-stateful")).args(args);
    Run { held: true, ..run }
}

/// A program to run, with everything it gets.
#[derive(Clone)]
pub struct Run {
    program: PathBuf,
    args: Vec<OsString>,
    env: BTreeMap<OsString, OsString>,
    path: Vec<PathBuf>,
    directory: PathBuf,
    stdin: Vec<u8>,
    deadline: Duration,
    victim: Victim,
    /// Whether the lines that it tells people to type are held, and with which kubectl.
    held: bool,
    shell: Option<Box<Run>>,
}

impl Run {
    pub fn new(program: impl Into<PathBuf>) -> Run {
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join("home");
        std::fs::create_dir_all(&home).expect("a home directory for the tests");
        Run {
            program: program.into(),
            args: Vec::new(),
            env: BTreeMap::from([("HOME".into(), home.clone().into_os_string())]),
            path: Vec::new(),
            directory: home,
            stdin: Vec::new(),
            deadline: DEADLINE,
            victim: Victim::default(),
            held: false,
            shell: None,
        }
    }

    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Run {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    pub fn args<I: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = I>) -> Run {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Run {
        self.env.insert(name.as_ref().to_owned(), value.as_ref().to_owned());
        self
    }

    /// Another way to the cluster, which may count requests, let them fail, or allow
    /// less: the lines that are printed are not run.
    pub fn kubeconfig(mut self, path: impl AsRef<Path>) -> Run {
        self.shell = None;
        self.env("KUBECONFIG", path.as_ref())
    }

    /// The kubectl that runs the lines that this tells people to type.
    pub fn shell(mut self, kubectl: Run) -> Run {
        self.shell = Some(Box::new(kubectl));
        self.held = true;
        self
    }

    /// Does not hold the lines that it tells people to type.
    pub fn unheld(mut self) -> Run {
        self.held = false;
        self
    }

    /// Its home directory, where kubectl caches what it learns about a server.
    pub fn home(mut self, path: impl AsRef<Path>) -> Run {
        path.as_ref().clone_into(&mut self.directory);
        self.env("HOME", path.as_ref())
    }

    /// Puts a directory in front of the search path.
    pub fn search(mut self, directory: impl Into<PathBuf>) -> Run {
        self.path.push(directory.into());
        self
    }

    pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Run {
        self.stdin = input.into();
        self
    }

    /// How long it may run before it is killed and the test fails.
    pub fn deadline(mut self, deadline: Duration) -> Run {
        self.deadline = deadline;
        self
    }

    /// Lets a [`Fault`](super::Fault) kill the process.
    pub fn victim(mut self, victim: &Victim) -> Run {
        self.victim = victim.clone();
        self
    }

    /// Runs it to its end.
    #[track_caller]
    pub fn output(self) -> Output {
        self.start().finish()
    }

    /// Starts it and leaves it running.
    #[track_caller]
    pub fn start(self) -> Running {
        let line = self.line();
        let mut path: Vec<PathBuf> = self.path;
        path.extend(std::env::split_paths(SYSTEM_PATH));
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .env("PATH", std::env::join_paths(path).expect("directories without a colon"))
            .envs(&self.env)
            .current_dir(&self.directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());

        let victim = self.victim;
        let mut slot = victim.lock();
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{line}: {error}"));
        let mut stdin = child.stdin.take().expect("a piped stdin");
        let input = self.stdin;
        // On a thread, so that a process that answers before it has read everything does not
        // block us.
        thread::spawn(move || {
            // A process need not read its input.
            let _ = stdin.write_all(&input);
        });
        let stdout = Capture::start(child.stdout.take().expect("a piped stdout"));
        let stderr = Capture::start(child.stderr.take().expect("a piped stderr"));
        *slot = Some(child);
        drop(slot);
        let (start, deadline) = (Instant::now(), self.deadline);
        let (held, shell) = (self.held, self.shell);
        Running { line, victim, stdout, stderr, start, deadline, held, shell }
    }

    /// The command line, as a person would type it.
    fn line(&self) -> String {
        let name = self.program.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.args.iter().fold(name, |line, arg| line + " " + &arg.to_string_lossy())
    }
}

/// A process that a fault may kill. It is shared by the fault and the test, and
/// empty until the process starts.
#[derive(Clone, Default)]
pub struct Victim(Arc<Mutex<Option<Child>>>);

impl Victim {
    /// Kills the process without a warning, as a power cut would. It must have been started.
    pub fn kill(&self) {
        let mut slot = self.lock();
        let child = slot.as_mut().expect("the process that is to be killed was started");
        child.kill().expect("a child can be killed");
    }

    fn lock(&self) -> MutexGuard<'_, Option<Child>> {
        self.0.lock().expect("nobody panics while holding a process")
    }

    fn exited(&self) -> Option<ExitStatus> {
        let mut slot = self.lock();
        let child = slot.as_mut().expect("the process was started");
        child.try_wait().expect("a child can be waited for")
    }

    fn id(&self) -> u32 {
        self.lock().as_ref().expect("the process was started").id()
    }
}

/// A process that runs. It is killed when this goes out of scope.
pub struct Running {
    line: String,
    victim: Victim,
    stdout: Capture,
    stderr: Capture,
    start: Instant,
    deadline: Duration,
    held: bool,
    shell: Option<Box<Run>>,
}

impl Running {
    pub fn has_ended(&self) -> bool {
        self.victim.exited().is_some()
    }

    /// Waits until it exits.
    ///
    /// # Panics
    /// When the deadline has passed.
    #[track_caller]
    pub fn finish(mut self) -> Output {
        let status = loop {
            if let Some(status) = self.victim.exited() {
                break status;
            }
            assert!(
                self.start.elapsed() < self.deadline,
                "{} still runs after {:?}\nstdout:\n{}\nstderr:\n{}",
                self.line,
                self.deadline,
                self.stdout.text(),
                self.stderr.text()
            );
            thread::sleep(Duration::from_millis(1));
        };
        let took = self.start.elapsed();
        let (stdout, stderr) = (self.stdout.finish(), self.stderr.finish());
        let output = Output { line: self.line.clone(), stdout, stderr, status, took };
        if self.held {
            pasted::hold(&output, self.shell.as_deref());
        }
        output
    }

    /// Waits until `holds` is true of what it has printed on stdout.
    #[track_caller]
    pub fn wait_for_stdout(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        self.wait_for_text(&self.stdout, what, holds)
    }

    /// Waits until `holds` is true of what it has printed on stderr.
    #[track_caller]
    pub fn wait_for_stderr(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        self.wait_for_text(&self.stderr, what, holds)
    }

    #[track_caller]
    fn wait_for_text(&self, capture: &Capture, what: &str, holds: impl Fn(&str) -> bool) -> String {
        let explain = || {
            let (stdout, stderr) = (self.stdout.text(), self.stderr.text());
            let end = match self.victim.exited() {
                Some(status) => format!("ended with {status}"),
                None => "it still runs".to_owned(),
            };
            format!("{what} from {}: {end}\nstdout:\n{stdout}\nstderr:\n{stderr}", self.line)
        };
        wait_or_explain(self.deadline, explain, || Some(capture.text()).filter(|text| holds(text)))
    }

    /// Sends a signal by its name, such as `INT`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "sh", name, &self.victim.id().to_string()])
            .status()
            .expect("a shell");
        assert!(status.success(), "{} was there to get SIG{name}", self.line);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.victim.exited().is_none() {
            self.victim.kill();
            let mut slot = self.victim.lock();
            // Reaps it; it was killed, so this does not take long.
            let _ = slot.as_mut().expect("the process was started").wait();
        }
    }
}

/// Collects a stream while the process runs.
struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Capture {
    fn start(mut stream: impl Read + Send + 'static) -> Capture {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let shared = Arc::clone(&bytes);
        let reader = thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = stream.read(&mut buffer) {
                shared.lock().expect("nobody panics while reading").extend(&buffer[..count]);
            }
        });
        Capture { bytes, reader: Some(reader) }
    }

    fn text(&self) -> String {
        let bytes = self.bytes.lock().expect("nobody panics while reading");
        String::from_utf8_lossy(&bytes).into_owned()
    }

    fn finish(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("reading does not panic");
        }
        self.text()
    }
}

/// How a process ended, and what it printed.
#[derive(Clone, Debug)]
pub struct Output {
    line: String,
    pub stdout: String,
    pub stderr: String,
    status: ExitStatus,
    pub took: Duration,
}

impl Output {
    /// The command line that ran.
    pub fn line(&self) -> &str {
        &self.line
    }

    /// The exit code; `None` when a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The signal that ended it, if one did.
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// What it printed on stdout. It must have exited with 0.
    #[track_caller]
    pub fn success(self) -> String {
        self.expect(0).stdout
    }

    /// Itself. It must have exited with `code`.
    #[track_caller]
    pub fn expect(self, code: i32) -> Output {
        assert_eq!(self.code(), Some(code), "{self}");
        self
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Output { line, stdout, stderr, status, took } = self;
        write!(f, "$ {line}\n{stdout}------- stderr -------\n{stderr}[{status}, {took:.1?}]")
    }
}
