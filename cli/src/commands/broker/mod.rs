//! `imagxp broker`: the service, and the operator's errands to it.

mod operator;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::failure::{Failure, Outcome};

/// Run a broker: sell visas, hold and settle what they pay
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  imagxp broker --dev                        # keys and books of its own, gone at the end
  curl -X POST http://localhost:3000/issue-visa
  imagxp broker --config /etc/imagxp/broker.toml
  imagxp broker credit bot.example.com 10 --broker http://127.0.0.1:3000     # on the broker's machine
  imagxp broker settle --broker http://127.0.0.1:3000

Secrets come from the environment or from files: IMAGXP_BROKER_KEY (PKCS#8), IMAGXP_BROKER_ADMIN_TOKEN,
IMAGXP_BROKER_WEBHOOK_SECRET. SIGTERM ends it, SIGHUP reads its keys again. docs/deploy.md goes from nothing to selling."
)]
pub(crate) struct Broker {
    #[command(subcommand)]
    errand: Option<Errand>,
    #[command(flatten)]
    options: imagxp_broker::Options,
}

#[derive(Subcommand)]
enum Errand {
    Credit(operator::Credit),
    Payout(operator::Payout),
    Settle(operator::Settle),
    Audit(operator::Audit),
}

impl Broker {
    pub(crate) fn run(self) -> Outcome {
        match self.errand {
            Some(Errand::Credit(errand)) => errand.run(),
            Some(Errand::Payout(errand)) => errand.run(),
            Some(Errand::Settle(errand)) => errand.run(),
            Some(Errand::Audit(errand)) => errand.run(),
            None => imagxp_broker::run(&self.options)
                .map(|()| ExitCode::SUCCESS)
                .map_err(|problem| Failure::usage(problem.what, problem.fix)),
        }
    }
}
