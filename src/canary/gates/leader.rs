//! Which pod leads, and what is done when that one is the next to go. Pure.

use serde::{Deserialize, Serialize};

use crate::steps::pod_command::Command;

/// How the pod that leads is told from the others: by a label, or by a command
/// that exits 0 in it alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "LeaderFields", into = "LeaderFields")]
pub enum LeaderRule {
    Label { key: String, value: String },
    Exec(PodCommand),
}

/// A command in a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PodCommand {
    /// Words for `sh -c`, or a JSON list of arguments.
    pub exec: Command,
    /// Left out: the pod's default container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
}

/// A label, or a command with its container.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct LeaderFields {
    /// `KEY=VALUE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    label: Option<String>,
    /// Words for `sh -c`, or a JSON list of arguments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    exec: Option<Command>,
    /// Left out: the pod's default container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    container: Option<String>,
}

impl TryFrom<LeaderFields> for LeaderRule {
    type Error = String;

    fn try_from(fields: LeaderFields) -> Result<LeaderRule, String> {
        match fields {
            LeaderFields { label: Some(label), exec: None, container: None } => {
                let (key, value) = label_pair(&label)?;
                Ok(LeaderRule::Label { key, value })
            }
            LeaderFields { label: None, exec: Some(exec), container } => {
                Ok(LeaderRule::Exec(PodCommand { exec, container }))
            }
            _ => Err("leader has either label, or exec with or without container".to_owned()),
        }
    }
}

impl From<LeaderRule> for LeaderFields {
    fn from(rule: LeaderRule) -> LeaderFields {
        match rule {
            LeaderRule::Label { key, value } => {
                LeaderFields { label: Some(format!("{key}={value}")), exec: None, container: None }
            }
            LeaderRule::Exec(PodCommand { exec, container }) => {
                LeaderFields { label: None, exec: Some(exec), container }
            }
        }
    }
}

/// `KEY=VALUE` of a label.
pub(super) fn label_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.contains('=') => {
            Ok((key.to_owned(), value.to_owned()))
        }
        _ => Err(format!("{text:?} is not KEY=VALUE")),
    }
}

/// What to do when the next pod is the one that leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum OnLeader {
    /// Wait for a person
    Stop,
    /// Make another pod lead first
    Switchover,
    /// Move it when all others have moved
    Last,
}

impl OnLeader {
    pub fn name(self) -> &'static str {
        match self {
            OnLeader::Stop => "stop",
            OnLeader::Switchover => "switchover",
            OnLeader::Last => "last",
        }
    }
}
