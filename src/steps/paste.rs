//! A command line to paste, made of the arguments that were given.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, parser::ValueSource};

use crate::cluster::{Cluster, shell_quoted};

/// The arguments of a verb that stood on its command line, without those that
/// have a default and were left out.
///
/// It is no argument itself: flattened into the struct of a verb, it takes a
/// copy of what clap has read. It stands first there, because clap takes each
/// value away as it fills the fields one after the other.
#[derive(Clone, Debug, Default)]
pub struct Given(Vec<(String, Vec<String>)>);

/// Arguments that keep a change from being made, or agreed to an earlier plan.
const NO_CHANGE: &[&str] = &["dry_run", "exit_code", "emit", "confirm_plan"];

impl Given {
    /// Whether this argument stood on the line.
    pub fn has(&self, id: &str) -> bool {
        self.0.iter().any(|(given, _)| given == id)
    }

    /// The line of `verb`, which takes the arguments of `A`, that carries out
    /// the plan with this hash.
    pub fn to_do<A: Args>(&self, verb: &str, cluster: &Cluster, hash: &str) -> String {
        let end = format!("{} --confirm-plan {hash}", connection(cluster));
        // The hash agrees already; and --yes of a plan is about other files.
        self.line::<A>(verb, &[NO_CHANGE, &["output", "yes"]].concat(), &end)
    }

    /// The line that goes on where this one has stopped.
    pub fn to_go_on<A: Args>(&self, verb: &str, cluster: &Cluster) -> String {
        self.line::<A>(verb, &[NO_CHANGE, &["output"]].concat(), &connection(cluster))
    }

    /// The line of a command that only reads, to ask the same again and have
    /// the answer in the same form.
    pub fn to_ask_again<A: Args>(&self, verb: &str, cluster: &Cluster) -> String {
        self.line::<A>(verb, &[], &connection(cluster))
    }

    /// The same with another argument in the place of one: `--replicas 3` says
    /// the same tomorrow, `--by -1` does not.
    #[must_use]
    pub fn instead_of(&self, id: &str, other: &str, value: &str) -> Given {
        let given = self.0.iter().map(|(one, values)| match one {
            one if one == id => (other.to_owned(), vec![value.to_owned()]),
            one => (one.clone(), values.clone()),
        });
        Given(given.collect())
    }

    /// The same with one more argument, or with one more value of it.
    #[must_use]
    pub fn and(&self, id: &str, value: &str) -> Given {
        let mut given = self.clone();
        match given.0.iter_mut().find(|(one, _)| one == id) {
            Some((_, values)) if values.iter().any(|known| known == value) => {}
            Some((_, values)) => values.push(value.to_owned()),
            None => given.0.push((id.to_owned(), vec![value.to_owned()])),
        }
        given
    }

    /// The same without these values of an argument, and each other one once.
    #[must_use]
    pub fn without(&self, id: &str, dropped: &[&str]) -> Given {
        let kept = self.0.iter().filter_map(|(one, values)| {
            if one != id {
                return Some((one.clone(), values.clone()));
            }
            let mut kept: Vec<String> = Vec::new();
            for value in values {
                let same = |other: &str| other.eq_ignore_ascii_case(value);
                if !dropped.iter().copied().any(same) && !kept.iter().any(|known| same(known)) {
                    kept.push(value.clone());
                }
            }
            (!kept.is_empty()).then(|| (one.clone(), kept))
        });
        Given(kept.collect())
    }

    /// `kubectl stateful VERB …` with these arguments, as far as `A` takes
    /// them, but `without` those with these ids.
    fn line<A: Args>(&self, verb: &str, without: &[&str], end: &str) -> String {
        let command = A::augment_args(Command::new("line"));
        let (mut names, mut flags, mut agreement) = (Vec::new(), Vec::new(), Vec::new());
        for arg in command.get_arguments() {
            let id = arg.get_id().as_str();
            match self.0.iter().find(|(given, _)| given == id) {
                Some((_, values)) if !without.contains(&id) => match arg.get_long() {
                    None => names.extend(values),
                    Some("yes") => agreement.push("--yes".to_owned()),
                    Some(long) => flags.extend(spelled(arg, long, values)),
                },
                _ => {}
            }
        }
        flags.extend(agreement);
        let is_something_else =
            |name: &&String| name.starts_with('-') || command.find_subcommand(name).is_some();
        let apart = names.iter().any(is_something_else);
        let names: Vec<String> = names.into_iter().map(|name| shell_quoted(name)).collect();
        let mut line = vec!["kubectl stateful".to_owned(), verb.to_owned()];
        if apart {
            line.extend(flags);
            return format!("{}{end} -- {}", line.join(" "), names.join(" "));
        }
        line.extend(names);
        line.extend(flags);
        line.join(" ") + end
    }
}

/// ` -n NAMESPACE` and the flags of the connection, whatever the line had: the
/// namespace of a context may be another one tomorrow.
fn connection(cluster: &Cluster) -> String {
    format!(" -n {}{}", cluster.namespace(), cluster.flags())
}

/// An argument as a shell wants it.
fn spelled(arg: &Arg, long: &str, values: &[String]) -> Vec<String> {
    if matches!(arg.get_action(), ArgAction::SetTrue) {
        return vec![format!("--{long}")];
    }
    let values = match arg.get_value_delimiter() {
        Some(delimiter) => vec![values.join(&delimiter.to_string())],
        None => values.to_vec(),
    };
    let with_equals = |value: &String| {
        let looks_like_a_flag = value.starts_with('-') && !arg.is_allow_hyphen_values_set();
        arg.is_require_equals_set() || looks_like_a_flag || value.is_empty()
    };
    let flag = |value: &String| match shell_quoted(value) {
        quoted if with_equals(value) => format!("--{long}={quoted}"),
        quoted => format!("--{long} {quoted}"),
    };
    values.iter().map(flag).collect()
}

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Given, clap::Error> {
        let typed = |id: &&str| matches.value_source(id) == Some(ValueSource::CommandLine);
        let ids = matches.ids().map(clap::Id::as_str).filter(typed);
        let values = |id: &str| {
            let raw = matches.get_raw(id).into_iter().flatten();
            raw.map(|value| value.to_string_lossy().into_owned()).collect()
        };
        Ok(Given(ids.map(|id| (id.to_owned(), values(id))).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Given::from_arg_matches(matches)?;
        Ok(())
    }
}
