//! kubectl-stateful: argv in, exit code out.

use std::process::ExitCode;

fn main() -> ExitCode {
    kubectl_stateful::program::main(std::env::args_os()).into()
}
