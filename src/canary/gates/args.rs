//! The flags that say which gates there are; their comments are the help.

use clap::Args;

use super::{
    checks::{ExecGate, HttpGate, PrometheusGate},
    leader::{LeaderRule, OnLeader, PodCommand, label_pair},
    spec::{Gates, OnFailure, TryRule},
    values::{On, Span},
};
use crate::{output::Error, steps::pod_command::Command};

/// What must hold at an ordinal before the next one moves.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Gates")]
pub struct GateArgs {
    /// Read the gates from a file, or - for stdin; flags override or extend it
    #[arg(
        long = "gates",
        short_alias = 'f',
        value_name = "FILE",
        value_hint = clap::ValueHint::FilePath
    )]
    pub gates: Option<String>,

    /// How long the pod must stay Ready without a restart: 30s, 5m, 1h30m, or seconds; 0 judges it
    /// at once [default: 10s, or 30s where a container has no readiness probe]
    #[arg(long, value_name = "DURATION")]
    pub bake: Option<Span>,

    /// How long a pod may take to become available, and a gate to give an answer; 0 waits forever
    /// [default: 10m]
    #[arg(long, value_name = "DURATION")]
    pub deadline: Option<Span>,

    /// Run this in the pod: words for sh -c, or a JSON list of arguments; exit code 0 passes; may be
    /// repeated
    #[arg(long, value_name = "COMMAND")]
    pub gate_exec: Vec<Command>,

    /// The container in which --gate-exec, --leader-exec and --switchover-exec run
    #[arg(short, long, alias = "gate-container", value_name = "CONTAINER")]
    pub container: Option<String>,

    /// The pods in which --gate-exec and --gate-http run [default: canary]
    #[arg(long, value_name = "WHICH", value_enum)]
    pub gate_on: Option<On>,

    /// Send this request to the pod, through the API server: 8080/healthz, https:8443/ready; 2xx and 3xx
    /// pass; may be repeated
    #[arg(long, value_name = "[SCHEME:]PORT/PATH")]
    pub gate_http: Vec<HttpGate>,

    /// Ask Prometheus, at a URL or svc/NAMESPACE/NAME:PORT: every sample must compare; $(POD),
    /// $(NAMESPACE), $(SET) and $(ORDINAL) are replaced; may be repeated
    #[arg(long, value_name = "URL,EXPR,OP,VALUE")]
    pub gate_prom: Vec<PrometheusGate>,

    /// How many attempts at --gate-exec, --gate-http and --gate-prom must pass [default: 2/3]
    #[arg(long, value_name = "K/N", value_parser = tries)]
    pub gate_tries: Option<(u32, u32)>,

    /// The minimum time between two attempts [default: 5s]
    #[arg(long, value_name = "DURATION")]
    pub gate_interval: Option<Span>,

    /// How long one attempt may take [default: 30s]
    #[arg(long, value_name = "DURATION")]
    pub gate_timeout: Option<Span>,

    /// The pod with this label is the leader
    #[arg(long, value_name = "KEY=VALUE", value_parser = label, conflicts_with = "leader_exec")]
    pub leader_label: Option<(String, String)>,

    /// The pod in which this command exits 0 is the leader
    #[arg(long, value_name = "COMMAND")]
    pub leader_exec: Option<Command>,

    /// Run this in the leader to make another pod the leader; the result is verified
    #[arg(long, value_name = "COMMAND")]
    pub switchover_exec: Option<Command>,

    /// What to do when the next pod is the leader [default: switchover if there is a command, else stop]
    #[arg(long, value_name = "WHAT", value_enum)]
    pub on_leader: Option<OnLeader>,

    /// Continue even if a PodDisruptionBudget allows no further pod to be down
    #[arg(long)]
    pub no_budgets: bool,

    /// Run this command on this machine before each pod is replaced; it must succeed. STATEFUL_*
    /// variables identify the pod
    #[arg(long, alias = "before-step", value_name = "COMMAND")]
    pub before: Option<String>,

    /// Run this command on this machine after each pod has passed its gates; it must succeed
    #[arg(long, alias = "after-step", value_name = "COMMAND")]
    pub after: Option<String>,

    /// How long --before and --after may run [default: 5m]
    #[arg(long, value_name = "DURATION")]
    pub hook_timeout: Option<Span>,

    /// Wait for the next promote after each step
    #[arg(long)]
    pub pause_between: bool,

    /// What to do when a gate fails [default: pause]
    #[arg(long, value_name = "WHAT", value_enum)]
    pub on_failure: Option<OnFailure>,
}

fn tries(text: &str) -> Result<(u32, u32), String> {
    let parts = text.split_once('/');
    let numbers = parts.and_then(|(passes, of)| Some((passes.parse().ok()?, of.parse().ok()?)));
    let (passes, of) = numbers.ok_or("expected K/N, such as 2/3")?;
    TryRule::fault(passes, of).map_or(Ok((passes, of)), Err)
}

fn label(text: &str) -> Result<(String, String), String> {
    label_pair(text)
}

impl GateArgs {
    /// The gates: those of the file, with the flags on top. A flag takes the
    /// place of a single value and adds to a list.
    ///
    /// # Errors
    /// `Usage`, naming the flag and its value; what `read_file` says.
    pub fn resolve(
        &self,
        read_file: impl FnOnce(&str) -> Result<String, Error>,
    ) -> Result<Gates, Error> {
        let mut gates = match &self.gates {
            Some(file) => Gates::read(&read_file(file)?, file)?,
            None => Gates::default(),
        };
        self.add_to(&mut gates)?;
        match gates.fault() {
            Some(why) => Err(Error::usage(why)),
            None => Ok(gates),
        }
    }

    fn add_to(&self, gates: &mut Gates) -> Result<(), Error> {
        fn put<T: Clone>(place: &mut T, given: Option<&T>) {
            if let Some(given) = given {
                *place = given.clone();
            }
        }
        let has_exec = !self.gate_exec.is_empty();
        if let Some(on) = self.gate_on
            && !has_exec
            && self.gate_http.is_empty()
        {
            let on = if on == On::All { "all" } else { "canary" };
            return Err(Error::usage(format!(
                "--gate-on {on} needs --gate-exec or --gate-http beside it"
            )));
        }
        let in_pod = has_exec || self.leader_exec.is_some() || self.switchover_exec.is_some();
        if let Some(container) = &self.container
            && !in_pod
        {
            return Err(Error::usage(format!(
                "--container {container} needs --gate-exec, --leader-exec or --switchover-exec \
                 beside it"
            )));
        }
        gates.bake = self.bake.or(gates.bake);
        put(&mut gates.deadline, self.deadline.as_ref());
        put(&mut gates.tries.interval, self.gate_interval.as_ref());
        put(&mut gates.tries.timeout, self.gate_timeout.as_ref());
        put(&mut gates.hooks.timeout, self.hook_timeout.as_ref());
        put(&mut gates.on_failure, self.on_failure.as_ref());
        if let Some((passes, of)) = self.gate_tries {
            (gates.tries.passes, gates.tries.of) = (passes, of);
        }
        let (container, on) = (&self.container, self.gate_on.unwrap_or_default());
        gates.exec.extend(self.gate_exec.iter().map(|command| ExecGate {
            command: command.clone(),
            container: container.clone(),
            on,
        }));
        gates.http.extend(self.gate_http.iter().map(|gate| HttpGate { on, ..gate.clone() }));
        gates.prometheus.extend(self.gate_prom.iter().cloned());
        let in_container =
            |command: &Command| PodCommand { exec: command.clone(), container: container.clone() };
        if let Some((key, value)) = self.leader_label.clone() {
            gates.leader = Some(LeaderRule::Label { key, value });
        }
        if let Some(command) = &self.leader_exec {
            gates.leader = Some(LeaderRule::Exec(in_container(command)));
        }
        if let Some(command) = &self.switchover_exec {
            gates.switchover = Some(in_container(command));
        }
        gates.on_leader = self.on_leader.or(gates.on_leader);
        gates.hooks.before = self.before.clone().or(gates.hooks.before.take());
        gates.hooks.after = self.after.clone().or(gates.hooks.after.take());
        gates.budgets &= !self.no_budgets;
        gates.pause_between |= self.pause_between;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;
    use crate::{canary::gates::values::Scheme, output::Exit};

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        gates: GateArgs,
    }

    fn parse(words: &[&str]) -> Result<GateArgs, String> {
        let parsed = Cli::try_parse_from(["start"].iter().chain(words));
        parsed.map(|cli| cli.gates).map_err(|error| error.to_string())
    }

    fn resolve(words: &[&str], file: &str) -> Result<Gates, Error> {
        parse(words).unwrap().resolve(|name| {
            assert_eq!(name, "gates.yaml");
            Ok(file.to_owned())
        })
    }

    #[test]
    fn every_flag_has_its_place_in_the_file() {
        let by_flags = resolve(
            &[
                "--bake=5m",
                "--deadline=1h",
                "--gate-exec=mysqladmin ping",
                "--gate-exec=[\"a\"]",
                "--container=mysql",
                "--gate-on=all",
                "--gate-http=https:8443/ready",
                "--gate-prom=http://p:9090,sum by (a, b) (up{pod=\"$(POD)\"}),>=,1.5",
                "--gate-tries=3/5",
                "--gate-interval=1s",
                "--gate-timeout=7s",
                "--leader-exec=leader",
                "--switchover-exec=go",
                "--on-leader=last",
                "--no-budgets",
                "--before=before",
                "--after=after",
                "--hook-timeout=1m",
                "--pause-between",
                "--on-failure=abort",
            ],
            "",
        )
        .unwrap();
        let file = r#"
schema: kubectl-stateful/gates/v1
bake: 5m
deadline: 1h
exec:
- {command: mysqladmin ping, container: mysql, on: all}
- {command: '["a"]', container: mysql, on: all}
http: [{port: 8443, path: /ready, scheme: https, on: all}]
prometheus:
- {at: 'http://p:9090', query: 'sum by (a, b) (up{pod="$(POD)"})', op: '>=', value: 1.5}
tries: {passes: 3, of: 5, interval: 1s, timeout: 7s}
leader: {exec: leader, container: mysql}
switchover: {exec: go, container: mysql}
onLeader: last
budgets: false
hooks: {before: before, after: after, timeout: 1m}
pauseBetween: true
onFailure: abort
"#;
        assert_eq!(Gates::read(file, "gates.yaml").unwrap(), by_flags);
        assert_eq!(resolve(&["--gates", "gates.yaml"], file).unwrap(), by_flags);
    }

    /// Scripts of people have them; the help does not.
    #[test]
    fn old_spellings_still_work() {
        for (old, new) in [
            (["-f", "gates.yaml"], ["--gates", "gates.yaml"]),
            (["--before-step", "a"], ["--before", "a"]),
            (["--after-step", "a"], ["--after", "a"]),
        ] {
            assert_eq!(resolve(&old, "bake: 1m").unwrap(), resolve(&new, "bake: 1m").unwrap());
        }
        let old = resolve(&["--gate-exec=a", "--gate-container=db"], "").unwrap();
        assert_eq!(old, resolve(&["--gate-exec=a", "-c", "db"], "").unwrap());
        assert_eq!(old, resolve(&["--gate-exec=a", "--container=db"], "").unwrap());
        let help = Cli::command().render_long_help().to_string();
        for old in ["--gate-container", "--before-step", "--after-step", "-f,"] {
            assert!(!help.contains(old), "{old}: {help}");
        }
    }

    #[test]
    fn flags_override_values_and_add_to_lists() {
        let file = "{bake: 5m, exec: [{command: a}], leader: {exec: x}, tries: {of: 9}}";
        let words =
            ["--gates=gates.yaml", "--bake=0", "--gate-exec=b", "--leader-label=role=primary"];
        let gates = resolve(&words, file).unwrap();
        assert!(gates.bake.is_some_and(Span::is_zero));
        let commands: Vec<String> =
            gates.exec.iter().map(|gate| gate.command.to_string()).collect();
        assert_eq!(commands, ["a", "b"]);
        let label = LeaderRule::Label { key: "role".to_owned(), value: "primary".to_owned() };
        assert_eq!(gates.leader, Some(label));
        assert_eq!((gates.tries.passes, gates.tries.of), (2, 9));
    }

    #[test]
    fn http_gates() {
        let gate = |text: &str| text.parse::<HttpGate>();
        let said = |text: &str| {
            let HttpGate { port, path, scheme, .. } = gate(text).unwrap();
            (scheme, port.to_string(), path)
        };
        assert_eq!(said("8080/healthz"), (Scheme::Http, "8080".to_owned(), "/healthz".to_owned()));
        assert_eq!(said("8080"), (Scheme::Http, "8080".to_owned(), "/".to_owned()));
        assert_eq!(said("http:80/a:b?c=d"), (Scheme::Http, "80".to_owned(), "/a:b?c=d".to_owned()));
        assert_eq!(said("80/a:b"), (Scheme::Http, "80".to_owned(), "/a:b".to_owned()));
        assert_eq!(said("https:web/x"), (Scheme::Https, "web".to_owned(), "/x".to_owned()));
        assert_eq!(said("https:8443/"), (Scheme::Https, "8443".to_owned(), "/".to_owned()));
        for bad in ["", "/healthz", "Web/healthz", "0/x", "70000/x", "ftp:80/x", "http://web/x"] {
            assert!(gate(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn prometheus_gates() {
        let gate: PrometheusGate =
            "svc/mon/prom:9090, rate(x{a=\"b\",c=\"d\"}[5m]) , < , 0.5".parse().unwrap();
        assert_eq!(gate.at.to_string(), "svc/mon/prom:9090");
        assert_eq!(gate.query, "rate(x{a=\"b\",c=\"d\"}[5m])");
        assert!(gate.op.holds(0.4, gate.value) && !gate.op.holds(0.5, gate.value));
        for (bad, said) in [
            ("http://p", "expected URL,EXPR,OP,VALUE"),
            ("http://p,up,==", "expected URL,EXPR,OP,VALUE"),
            ("http://p,up,=,1", "\"=\" is none of"),
            ("http://p,up,==,one", "\"one\" is no number"),
            ("http://p,up,==,NaN", "no number to compare with"),
            ("http://p,,==,1", "the query is empty"),
            ("p,up,==,1", "neither a URL nor svc/"),
        ] {
            let error = bad.parse::<PrometheusGate>().unwrap_err();
            assert!(error.contains(said), "{bad}: {error}");
        }
    }

    #[test]
    fn a_mistake_names_the_flag_and_the_value() {
        for (words, said) in [
            (["--bake=soon"], "'soon' for '--bake <DURATION>'"),
            (["--gate-tries=4/3"], "4 of 3: no more can pass than are made"),
            (["--gate-tries=0/3"], "'0/3' for '--gate-tries <K/N>'"),
            (["--gate-tries=two"], "expected K/N"),
            (["--gate-http=0/x"], "'0/x' for '--gate-http <[SCHEME:]PORT/PATH>'"),
            (["--gate-prom=x"], "'x' for '--gate-prom <URL,EXPR,OP,VALUE>'"),
            (["--leader-label=primary"], "'primary' for '--leader-label <KEY=VALUE>'"),
            (["--gate-exec=[ -f x ]"], "'[ -f x ]' for '--gate-exec <COMMAND>'"),
            (["--on-leader=wait"], "'wait' for '--on-leader <WHAT>'"),
        ] {
            let error = parse(&words).unwrap_err();
            assert!(error.contains(said), "{words:?}: {error}");
        }
        assert!(parse(&["--leader-label=a=b", "--leader-exec=c"]).is_err());
        for (words, said) in [
            (["--gate-on=all"], "--gate-on all needs --gate-exec or --gate-http"),
            (["--container=db"], "--container db needs --gate-exec"),
            (["--gate-timeout=0"], "tries.timeout (--gate-timeout) is 0s"),
            (["--on-leader=last"], "onLeader (--on-leader) is \"last\""),
            (["--before="], "hooks.before (--before)"),
            (["--gate-http=80/a b"], "http.path (--gate-http) is \"/a b\""),
        ] {
            let error = resolve(&words, "").unwrap_err();
            assert_eq!(error.exit, Exit::Usage, "{words:?}");
            assert!(error.to_string().contains(said), "{words:?}: {error}");
        }
    }

    #[test]
    fn all_flags_stand_under_one_heading() {
        let mut command = Cli::command();
        command.build();
        for flag in command.get_arguments().filter(|arg| arg.get_id() != "help") {
            assert_eq!(flag.get_help_heading(), Some("Gates"), "{}", flag.get_id());
        }
    }
}
