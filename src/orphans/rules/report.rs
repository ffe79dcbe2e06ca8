//! What else the report says.

use crate::workload::rule;

rule!(
    pub READOPTED,
    "ORPHANS-READOPTED",
    Warning,
    "Scaling up mounts old claims again, with the data that is on them. A database that finds \
     the data of a member that left long ago may refuse to start, or bring back deleted data.",
    "There are claims for ordinals that the set does not have now.",
    "`kubectl stateful scale` refuses that as `SCALE-READOPTS-DATA`, and --fresh sets the claims \
     aside. Or delete them before: orphans delete keeps the volumes, of which `scale` asks then as \
     `SCALE-STARTS-EMPTY`, and --allow SCALE-STARTS-EMPTY leaves them as they are. A plain kubectl \
     scale asks nothing."
);

rule!(
    pub BY_AGE,
    "ORPHANS-BY-AGE",
    Note,
    "The idle time of some rows is not known, so --older-than used their age. They may have been \
     in use until a moment ago.",
    "There is no condition Unused (servers before 1.37, or the feature is off), and the phase of \
     the volume does not tell either.",
    "Do not rely on these rows. orphans delete --min-idle accepts only a known idle time."
);

rule!(
    pub LEFT_HELD,
    "ORPHANS-LEFT-HELD",
    Warning,
    "An orphans delete or adopt that was interrupted has left a finalizer on the claim. If somebody \
     deletes the claim, it stays until this program has made sure that its volume stays.",
    "The finalizer kubectl-stateful.dev/volume-stays or kubectl-stateful.dev/policy-returns of a \
     claim that is not being deleted.",
    "The same command goes on, and lets go; so does orphans delete of the claim. To keep the claim as \
     it is, remove the finalizer with the line that is printed, once no such command runs any more."
);

rule!(
    pub NO_SUCH_CLASS,
    "ORPHANS-NO-SUCH-CLASS",
    Warning,
    "A price was given for a storage class that nothing that was read has. The costs may be too \
     low.",
    "No claim and no volume that was read has the storage class that --price names.",
    "Correct the name in --price."
);
