//! stub
use serde::Serialize;
use jiff::SignedDuration;
use crate::output::Error;

#[derive(clap::Args, Clone, Debug, Default)]
pub struct GateArgs { #[arg(long)] pub bake: Option<u64>, #[arg(long)] pub deadline: Option<u64>, #[arg(long)] pub abort_on_failure: bool, #[arg(long)] pub pause_between: bool, #[arg(short='f', long)] pub gates: Option<String> }
impl GateArgs { pub fn resolve(&self, _r: impl FnOnce(&str)->Result<String,Error>) -> Result<Gates, Error> { Ok(Gates{deadline: SignedDuration::from_secs(self.deadline.unwrap_or(600).cast_signed()), bake: self.bake.map(|b| SignedDuration::from_secs(b.cast_signed())), budgets: true, pause_between: self.pause_between, abort: self.abort_on_failure}) } }
#[derive(Clone, Debug)]
pub struct Gates { pub deadline: SignedDuration, pub bake: Option<SignedDuration>, pub budgets: bool, pub pause_between: bool, pub abort: bool }
impl Gates { pub fn has_checks(&self) -> bool { false } pub fn fingerprint(&self) -> String { "00000000".to_owned() } pub fn abort_on_failure(&self)->bool { self.abort } pub fn summary(&self) -> Vec<String> { vec!["identity".into(), "ready".into()] } }
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict { Pass, Fail, Inconclusive, Pending }
