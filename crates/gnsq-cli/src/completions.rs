//! `gnsq completions`: what a shell needs to complete the command line.

use clap::Args;
use clap_complete::Shell;

use crate::cli;
use crate::exit::{Exit, Failure};
use crate::output;

/// Print a shell's completions for gnsq
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(crate) fn run(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::command(), "gnsq", &mut script);
    match output::print(script) {
        Ok(()) => Ok(Exit::Done),
        Err(error) => output::write_failed(&error),
    }
}

const EXAMPLES: &str = "\
Examples:
  gnsq completions bash > ~/.local/share/bash-completion/completions/gnsq
  gnsq completions zsh > ~/.zfunc/_gnsq
  gnsq completions fish > ~/.config/fish/completions/gnsq.fish";
