//! The command of `--verify-exec`, before the journal keeps it. Pure.
//!
//! `resume` has to run the same check, so the journal keeps the command as it was
//! typed, where everybody who may read ConfigMaps can read it. A fingerprint would
//! not do: whoever resumes, in another shell or from the printed line, would have to
//! know the command. So a plan says that it is kept, and one that seems to have a
//! password in it is refused.

use super::{journal::Journal, rules};
use crate::workload::Finding;

/// Parts of the names of options and variables whose values are secret.
const SECRET: [&str; 6] = ["password", "passwd", "passphrase", "pwd", "secret", "token"];
/// Programs whose `-pVALUE` is a password.
const MYSQL: [&str; 6] =
    ["mysql", "mysqladmin", "mysqlcheck", "mysqlshow", "mariadb", "mariadb-admin"];

/// What is said of the command in a plan.
pub fn findings(journal: &Journal) -> Vec<Finding> {
    let Some(command) = &journal.wishes.verify else { return Vec::new() };
    let on = format!("configmap/{}", journal.config_map_name());
    let until = "until finalize or rollback, for everybody who may read ConfigMaps in namespace";
    let namespace = &journal.namespace;
    let kept = format!(
        "the journal keeps the command of --verify-exec as it was typed, {until} {namespace}"
    );
    let mut found = vec![rules::VERIFY_KEPT.found(on.clone(), kept)];
    if let Some(option) = typed_secret(command) {
        let message = format!(
            "the value of {option} in --verify-exec seems to be a password, and the journal would \
             keep it, {until} {namespace}"
        );
        let hint = "take it from the pod, in single quotes: -p\"$MYSQL_ROOT_PASSWORD\"";
        found.push(rules::VERIFY_SECRET.found(on, message).hint(hint));
    }
    found
}

/// The option or variable in a shell command whose value seems to be a secret that
/// was typed, and not taken from a variable. Never the value itself.
fn typed_secret(command: &str) -> Option<String> {
    let separates = |c: char| c.is_whitespace() || ";|&()".contains(c);
    let words: Vec<&str> = command.split(separates).filter(|word| !word.is_empty()).collect();
    let mut program = "";
    let mut begins = true;
    for (at, word) in words.iter().enumerate() {
        let bare = unquoted(word);
        let next = words.get(at + 1).map(|word| unquoted(word)).unwrap_or_default();
        if let Some(option) = of_word(program, bare, next) {
            return Some(option);
        }
        let is_assignment = bare.contains('=') && !bare.starts_with('-');
        if begins && !is_assignment || is_program(bare) {
            program = bare.rsplit('/').next().unwrap_or(bare);
            begins = false;
        }
    }
    None
}

fn is_program(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    MYSQL.contains(&name) || name == "redis-cli"
}

fn of_word(program: &str, word: &str, next: &str) -> Option<String> {
    if let Some((key, value)) = word.split_once('=')
        && names_a_secret(key)
    {
        return is_typed(value).then(|| key.to_owned());
    }
    if word.starts_with("--") && names_a_secret(word) {
        return (is_typed(next) && !next.starts_with('-')).then(|| word.to_owned());
    }
    if MYSQL.contains(&program)
        && let Some(value) = word.strip_prefix("-p")
    {
        return is_typed(value).then(|| "-p".to_owned());
    }
    if program == "redis-cli" && word == "-a" {
        return is_typed(next).then(|| "-a".to_owned());
    }
    let (_, rest) = word.split_once("://")?;
    let (user, _) = rest.split('/').next()?.split_once('@')?;
    let (_, value) = user.split_once(':')?;
    is_typed(value).then(|| "a URL".to_owned())
}

/// Whether an option or a variable is for a secret.
fn names_a_secret(key: &str) -> bool {
    let key = key.trim_start_matches('-').to_ascii_lowercase();
    let plain = key.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    // The shell's own PWD is a folder, and a file is not the secret.
    plain && key != "pwd" && !key.ends_with("file") && SECRET.iter().any(|part| key.contains(part))
}

/// Whether a value stands there as it is.
fn is_typed(value: &str) -> bool {
    let value = unquoted(value);
    !value.is_empty() && !value.starts_with(['$', '`'])
}

fn unquoted(word: &str) -> &str {
    word.trim_matches(['"', '\'', '\\'])
}

#[cfg(test)]
mod tests {
    use super::typed_secret;

    #[test]
    fn a_password_that_was_typed_is_told_from_one_of_the_environment() {
        for (command, wanted) in [
            ("mysql -uroot -psecret -e 'SELECT 1'", Some("-p")),
            ("/usr/bin/mysqladmin ping -p'secret'", Some("-p")),
            ("sleep 1; mysql --password=secret -e 'SELECT 1'", Some("--password")),
            ("mysql --password 'secret' -e 'SELECT 1'", Some("--password")),
            ("PGPASSWORD=secret psql -c 'SELECT 1'", Some("PGPASSWORD")),
            ("MYSQL_PWD=x mysql -e 'SELECT 1'", Some("MYSQL_PWD")),
            ("redis-cli -a secret ping", Some("-a")),
            ("curl -f https://admin:secret@localhost/health", Some("a URL")),
            ("curl 'http://localhost/?token=abc'", None),
            ("vault status -token=abc", Some("-token")),
            ("mysql -uroot -p\"$MYSQL_ROOT_PASSWORD\" -e \"SELECT 1\"", None),
            ("mysql --password=\"${PASSWORD}\" -e 'SELECT 1'", None),
            ("PGPASSWORD=$(cat /run/secret) psql -c 'SELECT 1'", None),
            ("PGPASSWORD=\"$P\" psql -p5432 -c 'SELECT 1'", None),
            ("redis-cli -a \"$REDIS_PASSWORD\" ping", None),
            ("mysql --defaults-file=/run/my.cnf -e 'SELECT 1'", None),
            ("mysqladmin ping", None),
            ("cd /data && PWD=/data ls -p", None),
            ("curl -f http://user:$PASS@localhost:8080/", None),
            ("curl -f http://localhost:8080/@x", None),
            ("false", None),
        ] {
            assert_eq!(typed_secret(command).as_deref(), wanted, "{command}");
        }
    }
}
