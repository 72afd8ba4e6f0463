//! `imagxp completions`

use std::process::ExitCode;

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::failure::Outcome;
use crate::print;

/// Write the completions of a shell
#[derive(Args)]
#[command(after_help = "\
Examples:
  imagxp completions bash > ~/.local/share/bash-completion/completions/imagxp
  imagxp completions zsh > \"${fpath[1]}/_imagxp\"
  imagxp completions fish > ~/.config/fish/completions/imagxp.fish")]
pub(crate) struct Completions {
    /// Which shell
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Outcome {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::Cli::command(), "imagxp", &mut script);
        print::bytes(&script)?;
        Ok(ExitCode::SUCCESS)
    }
}
