//! `scale`: removes or adds ordinals, one at a time.
//!
//! How a scale-down goes:
//!
//! 1. [`preview`] shows what would happen to every ordinal that leaves, and to
//!    its disks; [`guards`] say what speaks against it. Nothing is written before
//!    the user has confirmed both.
//! 2. A [`record`] in an annotation keeps from where to where, and which run does
//!    it. With `--retain` the set first keeps the claims of leaving ordinals.
//! 3. [`plan::next`] decides the next move: hooks before, one ordinal less, the
//!    pod really gone, snapshots, the others available, hooks after. It is pure,
//!    and looks at pods, never at the counts in the status. A step changes the
//!    replicas by one, also under Parallel, where the controller would remove all
//!    ordinals at once. Only broken ordinals that OrderedReady would wait for
//!    forever are passed in one step.
//! 4. A killed run leaves the set at the replicas that it has, and the same command
//!    continues. At the end the annotation is removed.
//!
//! A scale-up adds one ordinal when the others are available. An old claim of the
//! same name would be mounted again, so the user is asked first; [`fresh`] sets
//! such a claim aside, under another name on the same volume.
//!
//! `run/` carries out what these modules decide, [`report`] shows it.

pub mod args;
pub mod data;
pub mod fresh;
pub mod guards;
pub mod http;
pub mod plan;
pub mod preview;
pub mod record;
pub mod report;
pub mod rest;
pub mod rules;
pub mod run;
pub mod writes;
