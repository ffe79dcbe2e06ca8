//! `--watch` and `--wait-for`: one loop for every command that has them.
//!
//! Changes in the API wake it, then it reads again, judges, and shows what is
//! new, until the goal is reached, the time is up, or somebody interrupts it.

use std::{future::pending, time::Duration};

use jiff::{SignedDuration, Timestamp};
use tokio::{sync::Notify, time};

use crate::{
    cluster::{Failure, changes::Changes},
    output::{
        Error, Exit, Look, Terminal,
        text::clock,
        watch_printer::{Change, WatchFormat, WatchPrinter},
    },
    workload::StatefulSet,
};

/// Changes come in bursts: a pod's new status, its claim, the set's count. They
/// are read together once nothing has changed for this long.
const QUIET: Duration = Duration::from_millis(50);
/// How soon a server that did not answer is asked again.
const RETRY: Duration = Duration::from_secs(2);
/// How long one more read may take at a time-out or after Ctrl-C. The picture
/// that it gives stays on the screen.
pub const LAST_READ: Duration = Duration::from_secs(1);

/// What is watched, and what its command makes of it.
pub trait Watched {
    /// What was read from the API.
    type Reading;
    /// What the command makes of that.
    type Picture;

    /// Reads the API. The loop tries again while the server is only away.
    fn read(&mut self) -> impl Future<Output = Result<Self::Reading, Failure>>;

    /// Watches what was read, from where it ended.
    fn changes(&self, reading: &Self::Reading) -> Changes;

    /// Judges what was read, and asks whoever else is to be asked.
    fn judge(
        &mut self,
        reading: &Self::Reading,
        now: Timestamp,
    ) -> impl Future<Output = Result<Self::Picture, Error>>;

    /// What becomes of a picture when nothing has changed for a while.
    fn idle(&self, picture: &Self::Picture) -> Idle;

    /// Whether the goal is reached, where there is one.
    fn is_reached(&self, picture: &Self::Picture) -> bool;

    /// What the picture means for the exit code.
    fn verdict(&self, picture: &Self::Picture) -> Exit;

    /// What is new, in words. Ages do not count.
    fn differences(&self, before: &Self::Picture, after: &Self::Picture) -> Vec<Difference>;

    /// The answer, in the format that was asked for.
    fn render(&self, picture: &Self::Picture, exit: Exit, look: Look) -> Result<String, Error>;

    /// The picture in one line.
    fn summary(&self, picture: &Self::Picture) -> String;

    /// What ends the watch when reading fails for good.
    fn lost(&self, failure: Failure) -> Error {
        failure.into()
    }
}

/// What to do when nothing has changed for this long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Judge what was read again, without asking the server: ages change, and
    /// some findings need time to pass.
    JudgeAfter(Duration),
    /// Read again.
    ReadAfter(Duration),
}

/// What is new about an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// As `-o name` prints it.
    pub object: String,
    pub message: String,
}

/// What is to be watched, for how long, and how it is written.
#[derive(Clone, Debug)]
pub struct Request {
    pub terminal: Terminal,
    pub form: WatchFormat,
    /// Whether changes are the answer, and not only progress.
    pub watch: bool,
    /// `shop/web`, `the names of shop/web`.
    pub subject: String,
    /// What the subject is to be, where that is waited for: `ready`.
    pub goal: Option<&'static str>,
    /// `None` and 0 are no limit.
    pub timeout: Option<Duration>,
    /// `kubectl-stateful/COMMAND-change/v1`.
    pub schema: &'static str,
    /// The command to type after a time-out.
    pub hint: String,
}

/// Watches until the goal is reached, the time is up, or a signal comes.
///
/// # Errors
/// When it cannot be read any more, or the answer not be written.
pub async fn follow(watched: &mut impl Watched, request: &Request) -> Result<Exit, Error> {
    // A first read that fails is not repeated: the address may be wrong.
    let reading = watched.read().await?;
    let picture = watched.judge(&reading, Timestamp::now()).await?;
    let signal = super::interruption();
    follow_from(reading, picture, watched, request, signal, Timestamp::now).await
}

async fn follow_from<W: Watched>(
    mut reading: W::Reading,
    mut picture: W::Picture,
    watched: &mut W,
    request: &Request,
    signal: impl Future<Output = Exit>,
    now: fn() -> Timestamp,
) -> Result<Exit, Error> {
    let mut screen = WatchPrinter::new(request.terminal, request.form, request.watch);
    let look = || Look::of(request.terminal, now());
    let mut changes = watched.changes(&reading);
    if let Some(waiting) = request.waiting(now()) {
        request.terminal.say(&waiting);
    }
    screen.begin(|| watched.render(&picture, watched.verdict(&picture), look()))?;
    let over = async {
        tokio::select! {
            exit = signal => End::Signal(exit),
            () = time_is_up(request.timeout) => End::Deadline,
        }
    };
    tokio::pin!(over);
    let mut ended = None;
    let end = loop {
        let is_reached = request.goal.is_some() && watched.is_reached(&picture);
        match ended {
            Some(signal @ End::Signal(_)) => break signal,
            _ if is_reached => break End::Reached,
            Some(end) => break end,
            None => {}
        }
        let idle = watched.idle(&picture);
        let next = {
            let hurry = Notify::new();
            let next = async {
                if next_change(&mut changes, idle, &hurry).await {
                    reading = read(watched, request.terminal).await?;
                }
                watched.judge(&reading, now()).await
            };
            tokio::pin!(next);
            tokio::select! {
                next = &mut next => next?,
                end = &mut over => {
                    ended = Some(end);
                    hurry.notify_one();
                    match time::timeout(LAST_READ, next).await {
                        Ok(Ok(next)) => next,
                        // There is no newer picture to be had.
                        Ok(Err(_)) | Err(_) => break end,
                    }
                }
            }
        };
        let differences = watched.differences(&picture, &next).into_iter();
        let changes: Vec<Change> = differences.map(|one| request.change(one, now())).collect();
        picture = next;
        screen.next(|| watched.render(&picture, watched.verdict(&picture), look()), &changes)?;
    };
    let exit = match end {
        End::Reached => watched.verdict(&picture),
        End::Deadline => Exit::Timeout,
        End::Signal(exit) => exit,
    };
    screen.end(|| watched.render(&picture, exit, look()))?;
    if let Some(ended) = request.ended(end, &watched.summary(&picture)) {
        request.terminal.say(&ended);
    }
    Ok(exit)
}

/// Waits until it is time for the next picture, and says whether to read for it.
async fn next_change(changes: &mut Changes, idle: Idle, hurry: &Notify) -> bool {
    let (pause, reads) = match idle {
        Idle::JudgeAfter(pause) => (pause, false),
        Idle::ReadAfter(pause) => (pause, true),
    };
    tokio::select! {
        // The last picture is read, also when the pause is over at the same time.
        biased;
        () = hurry.notified() => return true,
        () = time::sleep(pause) => return reads,
        () = changes.next() => {}
    }
    tokio::select! {
        () = hurry.notified() => {}
        () = changes.settle(QUIET) => {}
    }
    true
}

/// Reads, for as long as the server is only away: each failed try is said, and
/// the caller's deadline bounds them.
async fn read<W: Watched>(watched: &mut W, terminal: Terminal) -> Result<W::Reading, Error> {
    loop {
        match watched.read().await {
            Ok(reading) => return Ok(reading),
            Err(failure) if failure.is_transient() => {
                let error = Error::from(failure);
                let seconds = RETRY.as_secs();
                terminal.say(&format!("{}; retrying in {seconds} s", error.headline()));
                time::sleep(RETRY).await;
            }
            Err(failure) => return Err(watched.lost(failure)),
        }
    }
}

/// Ends when the time is up; without a limit, or with one of 0, never.
async fn time_is_up(limit: Option<Duration>) {
    match limit.filter(|limit| !limit.is_zero()) {
        Some(limit) => time::sleep(limit).await,
        None => pending().await,
    }
}

/// What a watch ended with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Reached,
    Deadline,
    Signal(Exit),
}

impl Request {
    /// `waiting for shop/web to be ready, since 14:30:05Z, until 14:35:05Z`.
    fn waiting(&self, since: Timestamp) -> Option<String> {
        let (subject, goal) = (&self.subject, self.goal?);
        let limit = self.timeout.filter(|limit| !limit.is_zero());
        let limit = limit.and_then(|limit| SignedDuration::try_from(limit).ok());
        let until = limit.map_or_else(
            || "without a limit".to_owned(),
            |limit| format!("until {}", clock(since + limit)),
        );
        Some(format!("waiting for {subject} to be {goal}, since {}, {until}", clock(since)))
    }

    fn change(&self, Difference { object, message }: Difference, time: Timestamp) -> Change {
        Change { schema: self.schema, time, object, message }
    }

    /// What is said at the end, where it is not the answer alone.
    fn ended(&self, end: End, summary: &str) -> Option<String> {
        let (subject, hint) = (&self.subject, &self.hint);
        let ended = match (end, self.goal) {
            (End::Deadline, Some(goal)) => {
                format!("error: timed out waiting for {subject} to be {goal}: {summary}")
            }
            (End::Deadline, None) => format!("timed out watching {subject}: {summary}"),
            (End::Signal(_), _) => "interrupted; nothing was changed".to_owned(),
            (End::Reached, _) => return None,
        };
        Some(format!("{ended}\nhint: {hint}"))
    }
}

/// Holds that this is the set that was read first: `uid` keeps which one it was.
///
/// # Errors
/// When another set has taken its name.
pub fn same_set(uid: &mut Option<String>, set: &StatefulSet, hint: &str) -> Result<(), Error> {
    if *uid.get_or_insert_with(|| set.uid.clone()) == set.uid {
        return Ok(());
    }
    let name = &set.name;
    let message = format!("statefulset \"{name}\" was deleted and made again while it was watched");
    Err(Error::new(Exit::Conflict, message).hint(hint))
}

#[cfg(test)]
mod tests {
    use std::{
        cell::{Cell, RefCell},
        rc::Rc,
        sync::Arc,
    };

    use tokio::time::Instant;

    use super::*;
    use crate::output::captured;

    thread_local! {
        static BEGIN: Cell<Option<Instant>> = const { Cell::new(None) };
    }

    /// The fake clock; it begins at midnight.
    fn now() -> Timestamp {
        let begin = BEGIN.get().unwrap_or_else(Instant::now);
        BEGIN.set(Some(begin));
        Timestamp::UNIX_EPOCH + SignedDuration::try_from(begin.elapsed()).expect("a short test")
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// A set whose pods are ready or not.
    #[derive(Default)]
    struct World {
        ready: Cell<u32>,
        woken: Arc<Notify>,
        /// When each read was begun.
        reads: RefCell<Vec<u128>>,
        judged: Cell<u32>,
        read_takes: Cell<Duration>,
        is_away: Cell<bool>,
    }

    impl World {
        /// Changes, and is heard of by the watches.
        fn change(&self, ready: u32) {
            self.ready.set(ready);
            self.woken.notify_one();
        }
    }

    impl Watched for Rc<World> {
        type Reading = u32;
        type Picture = u32;

        async fn read(&mut self) -> Result<u32, Failure> {
            now();
            let begin = BEGIN.get().expect("the clock runs");
            self.reads.borrow_mut().push(begin.elapsed().as_millis());
            time::sleep(self.read_takes.get()).await;
            if self.is_away.get() {
                let server = "10.0.0.1".to_owned();
                return Err(Failure::Refused { server, proxy: None, configured: true });
            }
            Ok(self.ready.get())
        }

        fn changes(&self, _: &u32) -> Changes {
            Changes::by_hand(&self.woken)
        }

        async fn judge(&mut self, reading: &u32, _: Timestamp) -> Result<u32, Error> {
            self.judged.set(self.judged.get() + 1);
            Ok(*reading)
        }

        fn idle(&self, _: &u32) -> Idle {
            Idle::JudgeAfter(Duration::from_secs(1))
        }

        fn is_reached(&self, ready: &u32) -> bool {
            *ready == 3
        }

        fn verdict(&self, _: &u32) -> Exit {
            Exit::Done
        }

        fn differences(&self, before: &u32, after: &u32) -> Vec<Difference> {
            let one = |object: &str, message: String| Difference { object: object.into(), message };
            if before == after {
                return Vec::new();
            }
            let pod = format!("pod/web-{}", after.saturating_sub(1));
            vec![
                one(&pod, format!("one more than {before}")),
                one(&pod, format!("{after} are ready")),
                one("statefulset.apps/web", "not yet".to_owned()),
            ]
        }

        fn render(&self, ready: &u32, exit: Exit, look: Look) -> Result<String, Error> {
            let wide = "x".repeat(look.columns);
            Ok(format!("{ready} of 3, exit {}\n{wide}{wide}\n1\n2\n3\n4\n5\n6\n", exit.code()))
        }

        fn summary(&self, ready: &u32) -> String {
            format!("{ready} of 3 ready")
        }
    }

    fn request(form: WatchFormat) -> Request {
        Request {
            terminal: captured::terminal(false),
            form,
            watch: true,
            subject: "shop/web".to_owned(),
            goal: None,
            timeout: Some(Duration::from_secs(10)),
            schema: "kubectl-stateful/test-change/v1",
            hint: "kubectl stateful test web".to_owned(),
        }
    }

    fn waiting() -> Request {
        Request { watch: false, goal: Some("ready"), ..request(WatchFormat::Text) }
    }

    /// Watches while `meanwhile` happens; the exit code, and when it ended.
    async fn watch(
        world: &Rc<World>,
        request: &Request,
        signal: impl Future<Output = Exit>,
        meanwhile: impl Future<Output = ()>,
    ) -> (Exit, u128) {
        now();
        let mut watched = Rc::clone(world);
        let reading = watched.read().await.expect("the first read");
        let picture = watched.judge(&reading, now()).await.expect("the first picture");
        let following = follow_from(reading, picture, &mut watched, request, signal, now);
        let following = async {
            let exit = following.await.expect("an end");
            (exit, BEGIN.get().expect("the clock runs").elapsed().as_millis())
        };
        tokio::join!(following, meanwhile).0
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_read_once_and_a_restless_set_all_the_same() {
        let world = Rc::new(World::default());
        let meanwhile = async {
            time::sleep(millis(100)).await;
            for ready in 0..3 {
                world.change(ready);
                time::sleep(millis(20)).await;
            }
            time::sleep(millis(840)).await;
            while now() < Timestamp::UNIX_EPOCH + SignedDuration::from_millis(2_100) {
                world.change(1);
                time::sleep(millis(20)).await;
            }
        };
        let request = Request { timeout: Some(millis(5_100)), ..request(WatchFormat::Text) };
        watch(&world, &request, pending(), meanwhile).await;
        // After the burst, twice in the restless second and once after it, and at the end.
        assert_eq!(*world.reads.borrow(), [0, 190, 1500, 2020, 2130, 5100]);
    }

    #[tokio::test(start_paused = true)]
    async fn time_alone_asks_the_server_nothing() {
        let world = Rc::new(World::default());
        let request = Request { timeout: Some(millis(5_500)), ..request(WatchFormat::Text) };
        watch(&world, &request, pending(), async {}).await;
        assert_eq!(*world.reads.borrow(), [0, 5500]);
        assert_eq!(world.judged.get(), 7, "at first, five times as time went on, and at the end");
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_with_its_goal() {
        let world = Rc::new(World::default());
        let meanwhile = async {
            time::sleep(millis(3_000)).await;
            world.change(3);
        };
        let end = watch(&world, &waiting(), pending(), meanwhile).await;
        assert_eq!(end, (Exit::Done, 3_050));
        assert!(captured::stdout().starts_with("3 of 3, exit 0\n"));
        assert_eq!(
            captured::stderr(),
            [
                "waiting for shop/web to be ready, since 00:00:00Z, until 00:00:10Z",
                "00:00:03Z  one more than 0",
                "00:00:03Z  3 are ready",
                "00:00:03Z  not yet",
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_time_out_says_what_was_waited_for_and_how_it_stands() {
        let world = Rc::new(World::default());
        let end = watch(&world, &waiting(), pending(), async {}).await;
        assert_eq!(end, (Exit::Timeout, 10_000));
        assert!(captured::stdout().starts_with("0 of 3, exit 6\n"));
        assert_eq!(
            captured::stderr()[1..],
            ["error: timed out waiting for shop/web to be ready: 0 of 3 ready\n\
              hint: kubectl stateful test web"]
        );
        let end = watch(&world, &request(WatchFormat::Text), pending(), async {}).await;
        assert_eq!(end.0, Exit::Timeout);
        assert!(captured::stdout().starts_with("0 of 3, exit 0\n"), "the first picture");
        assert_eq!(
            captured::stderr(),
            ["timed out watching shop/web: 0 of 3 ready\nhint: kubectl stateful test web"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_only_a_signal_ends_it() {
        let world = Rc::new(World::default());
        let signal = || async {
            time::sleep(Duration::from_secs(1_000)).await;
            Exit::Interrupted
        };
        for timeout in [None, Some(Duration::ZERO)] {
            let request = Request { timeout, ..waiting() };
            let (exit, _) = watch(&world, &request, signal(), async {}).await;
            assert_eq!(exit, Exit::Interrupted);
            let said = captured::stderr();
            assert!(said[0].ends_with(", without a limit"), "{said:?}");
            assert_eq!(
                said[1..],
                ["interrupted; nothing was changed\nhint: kubectl stateful test web"]
            );
        }
        let request = Request { timeout: None, ..request(WatchFormat::Text) };
        watch(&world, &request, signal(), async {}).await;
        assert_eq!(
            captured::stderr(),
            ["interrupted; nothing was changed\nhint: kubectl stateful test web"],
            "also of a watch without a goal"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn the_last_picture_is_read_at_the_end() {
        // No watch told of the change.
        let world = Rc::new(World::default());
        let unheard = async {
            time::sleep(millis(9_000)).await;
            world.ready.set(2);
        };
        let (exit, _) = watch(&world, &waiting(), pending(), unheard).await;
        assert_eq!(exit, Exit::Timeout);
        assert!(captured::stdout().starts_with("2 of 3, exit 6\n"));
        let said = captured::stderr();
        assert!(said.last().expect("words").contains("ready: 2 of 3 ready\n"), "{said:?}");
        // If that is the goal, it was reached.
        world.ready.set(0);
        let unheard = async {
            time::sleep(millis(9_000)).await;
            world.ready.set(3);
        };
        let (exit, _) = watch(&world, &waiting(), pending(), unheard).await;
        assert_eq!(exit, Exit::Done);
        assert!(captured::stdout().starts_with("3 of 3, exit 0\n"));
        // After a signal it does not count.
        world.ready.set(0);
        let signal = async {
            time::sleep(millis(500)).await;
            world.ready.set(3);
            Exit::Terminated
        };
        let (exit, _) = watch(&world, &waiting(), signal, async {}).await;
        assert_eq!(exit, Exit::Terminated);
        assert!(captured::stdout().starts_with("3 of 3, exit 143\n"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_does_not_answer_holds_up_no_end() {
        let world = Rc::new(World::default());
        let meanwhile = async {
            time::sleep(millis(9_000)).await;
            world.read_takes.set(Duration::from_secs(100));
            world.change(2);
        };
        let end = watch(&world, &waiting(), pending(), meanwhile).await;
        assert_eq!(end, (Exit::Timeout, 11_000));
        assert!(captured::stdout().starts_with("0 of 3, exit 6\n"));
        assert_eq!(*world.reads.borrow(), [0, 9_050], "the read under way is the last one");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_away_is_asked_again() {
        let world = Rc::new(World::default());
        let meanwhile = async {
            time::sleep(millis(1_000)).await;
            world.is_away.set(true);
            world.change(3);
            time::sleep(millis(3_000)).await;
            world.is_away.set(false);
        };
        let end = watch(&world, &waiting(), pending(), meanwhile).await;
        assert_eq!(end, (Exit::Done, 5_050));
        assert_eq!(*world.reads.borrow(), [0, 1_050, 3_050, 5_050]);
        let said = captured::stderr();
        let trouble = said.iter().filter(|line| line.ends_with("; retrying in 2 s"));
        assert_eq!(trouble.count(), 2, "{said:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn every_format_streams_in_its_own_way() {
        let first = format!("0 of 3, exit 0\n{}\n1\n2\n3\n4\n5\n6\n", "x".repeat(200));
        let second = first.replacen('0', "2", 1);
        let last = second.replacen("exit 0", "exit 6", 1);
        let lines = "00:00:01Z  one more than 0\n00:00:01Z  2 are ready\n00:00:01Z  not yet\n";
        let json = |object: &str, message: &str| {
            format!(
                "{{\"schema\":\"kubectl-stateful/test-change/v1\",\
                 \"time\":\"1970-01-01T00:00:01.05Z\",\
                 \"object\":\"{object}\",\"message\":\"{message}\"}}\n"
            )
        };
        let json = [
            json("pod/web-1", "one more than 0"),
            json("pod/web-1", "2 are ready"),
            json("statefulset.apps/web", "not yet"),
        ]
        .concat();
        for (form, watch_stdout, wait_stdout) in [
            (WatchFormat::Text, format!("{first}{lines}"), last.clone()),
            (WatchFormat::Names, format!("{first}pod/web-1\nstatefulset.apps/web\n"), last.clone()),
            (WatchFormat::List, format!("{first}{second}"), last.clone()),
            (WatchFormat::Jsonl, format!("{json}{last}"), format!("{json}{last}")),
            (WatchFormat::Document, last.clone(), last.clone()),
        ] {
            for (is_watch, stdout) in [(true, watch_stdout), (false, wait_stdout)] {
                BEGIN.set(None);
                let world = Rc::new(World::default());
                let meanwhile = async {
                    time::sleep(millis(1_000)).await;
                    world.change(2);
                };
                let goal = (!is_watch).then_some("ready");
                let request = Request { watch: is_watch, goal, ..request(form) };
                watch(&world, &request, pending(), meanwhile).await;
                assert_eq!(captured::stdout(), stdout, "{form:?}, watch: {is_watch}");
                let said = captured::stderr().concat();
                let progress =
                    form == WatchFormat::Document || (!is_watch && form != WatchFormat::Jsonl);
                assert_eq!(said.contains("2 are ready"), progress, "{form:?}: {said}");
            }
        }
    }

    /// One test, because there is one terminal.
    #[tokio::test(start_paused = true)]
    async fn on_a_terminal_the_last_picture_stays_whole() {
        let terminal = captured::terminal(true);
        let request =
            Request { terminal, timeout: Some(millis(1_500)), ..request(WatchFormat::Text) };
        let world = Rc::new(World::default());
        watch(&world, &request, pending(), async {}).await;
        let shown = captured::stdout();
        let frames: Vec<&str> = shown.split("\u{1b}[?7l").collect();
        // At first, after a second, at the end; six rows, one of them the cursor's.
        assert_eq!(frames.len(), 4, "{shown:?}");
        assert!(frames[2].starts_with("\u{1b}[5A\r"), "{shown:?}");
        assert!(frames[3].contains("… 4 more lines do not fit on this terminal"), "{shown:?}");
        let whole = format!("0 of 3, exit 6\n{}\n1\n2\n3\n4\n5\n6\n", "x".repeat(80));
        let erased = format!("\u{1b}[?7h\u{1b}[5A\r\u{1b}[J{whole}");
        assert!(shown.ends_with(&erased), "the whole picture, its lines wrapped: {shown:?}");
        // What is said then stands below it.
        assert_eq!(captured::stderr().len(), 1);
        assert_eq!(captured::stdout(), "");
    }
}
