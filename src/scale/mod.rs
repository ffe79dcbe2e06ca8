//! `scale`: ordinals taken away, or added, one at a time.
//!
//! How a scale-down goes:
//!
//! 1. [`preview`] says what would happen to every ordinal that leaves, and to
//!    its disks; [`guards`] say what speaks against it. Nothing is written
//!    before both are shown and agreed to.
//! 2. A [`record`] in one annotation says from where to where, and who is at
//!    it. With `--retain` the set first keeps the claims of what leaves.
//! 3. [`plan::next`] names the next move: hooks before, one ordinal less, the
//!    pod really gone, snapshots, the others well, hooks after. It is pure, and
//!    looks at pods, never at what the status counts. A step changes the
//!    replicas by one, also under Parallel, where the controller would take all
//!    at once; only past ordinals that OrderedReady would wait for without end
//!    it goes in one step.
//! 4. Killed anywhere, the set is at rest on the number that it has, and the
//!    same command goes on. At the end the annotation goes.
//!
//! A scale-up is the same the other way: one ordinal more when the others are
//! well. Claims that are left from before are mounted again by name, so that is
//! asked about first; [`fresh`] sets such a claim aside, under another name on
//! the same volume.
//!
//! `run/` carries out what these modules decide, `report` shows it.

pub mod args;
pub mod fresh;
pub mod guards;
pub mod http;
pub mod plan;
pub mod preview;
pub mod record;
pub mod report;
pub mod rules;
pub mod run;
pub mod writes;
