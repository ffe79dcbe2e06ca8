//! `--watch=true` and `--watch=false`, as kubectl takes them for every flag that is
//! on or off.

use std::{collections::HashSet, ffi::OsString};

use clap::{ArgAction, Command};

/// The line with such flags as clap reads them: there, or not there. Of several
/// the last counts, as in kubectl. Any other value is left for clap to refuse.
pub fn plain(argv: Vec<OsString>, tree: &Command) -> Vec<OsString> {
    // kubectl asks what could come next: the words are nobody's flags yet.
    if argv.get(1).is_some_and(|word| word == "__complete") {
        return argv;
    }
    let (mut switches, mut others) = (HashSet::new(), HashSet::new());
    collect(tree, &mut switches, &mut others);
    let mut line: Vec<OsString> = Vec::with_capacity(argv.len());
    let mut words = argv.into_iter();
    for word in words.by_ref() {
        if word == "--" {
            line.push(word);
            break;
        }
        let given = word.to_str().and_then(|text| text.split_once('='));
        let given = given.filter(|(name, _)| {
            let long = name.strip_prefix("--");
            long.is_some_and(|long| switches.contains(long) && !others.contains(long))
        });
        match given.and_then(|(name, value)| Some((name, truth(value)?))) {
            None => line.push(word),
            Some((name, is_on)) => {
                line.retain(|earlier| earlier != name);
                line.extend(is_on.then(|| name.into()));
            }
        }
    }
    line.extend(words);
    line
}

/// The long names of the flags that are on or off, and of all others.
fn collect(command: &Command, switches: &mut HashSet<String>, others: &mut HashSet<String>) {
    for arg in command.get_arguments() {
        let names = arg.get_long_and_visible_aliases().unwrap_or_default();
        let hidden = arg.get_all_aliases().unwrap_or_default();
        let names = names.into_iter().chain(hidden).map(str::to_owned);
        match arg.get_action() {
            ArgAction::SetTrue => switches.extend(names),
            _ => others.extend(names),
        }
    }
    command.get_subcommands().for_each(|inner| collect(inner, switches, others));
}

/// What Go takes for a truth value.
fn truth(value: &str) -> Option<bool> {
    match value {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    #[test]
    fn a_flag_is_on_or_off_as_in_kubectl() {
        let flag = |name: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue);
        let tree = Command::new("x").arg(flag("watch")).subcommand(
            Command::new("y").arg(flag("exit-code").alias("code")).arg(Arg::new("k").long("keep")),
        );
        let plain = |line: &str| {
            let line = plain(line.split(' ').map(OsString::from).collect(), &tree);
            let words: Vec<String> =
                line.into_iter().filter_map(|word| word.into_string().ok()).collect();
            words.join(" ")
        };
        assert_eq!(plain("x y --watch=true --code=1"), "x y --watch --code");
        assert_eq!(plain("x --watch y --watch=false --exit-code=F"), "x y");
        assert_eq!(plain("x --watch=false --watch"), "x --watch");
        // Not ours to read: another value, another kind of flag, what is no flag.
        for line in ["x --watch=maybe", "x y --keep=false", "x -- --watch=true", "x --nope=true"] {
            assert_eq!(plain(line), line);
        }
        assert_eq!(plain("x __complete --watch=true"), "x __complete --watch=true");
    }
}
