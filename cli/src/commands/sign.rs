//! `imagxp sign`

use std::process::ExitCode;

use clap::Args;
use imagxp::UnixMillis;

use crate::failure::Outcome;
use crate::wish::Wish;
use crate::{clock, print, sign};

/// Sign one request: prints the headers to send
#[derive(Args)]
#[command(after_help = "\
A signature is good for one request, for five minutes, for exactly this URL. Send `IMAGXP/1.1` in User-Agent, too.

Examples:
  imagxp sign https://pub.example.com/a --purpose RAG_RETRIEVAL
  imagxp sign https://pub.example.com/a --purpose SUMMARY --json
  eval \"$(imagxp sign https://pub.example.com/a --purpose SUMMARY --curl)\"
  imagxp sign http://localhost:3000/a --purpose SUMMARY --dev --agent-id localhost:8080")]
pub(crate) struct Sign {
    #[command(flatten)]
    wish: Wish,
    /// The time to sign [default: now]
    #[arg(long, value_name = "TIME", value_parser = clock::parse)]
    now: Option<UnixMillis>,
    /// Print a JSON object of the headers
    #[arg(long, conflicts_with = "curl")]
    json: bool,
    /// Print a curl command
    #[arg(long)]
    curl: bool,
}

impl Sign {
    pub(crate) fn run(self) -> Outcome {
        let url = self.wish.target()?.url();
        let claims = self.wish.claims(&url)?;
        let headers = self.wish.sign(&self.wish.agent.key_pair()?, &claims, clock::or_now(self.now))?;
        if self.json {
            let object: serde_json::Map<_, _> =
                headers.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
            print::line(&serde_json::Value::from(object).to_string())?;
        } else if self.curl {
            print::line(&curl(&url, &headers))?;
        } else {
            for (name, value) in &headers {
                print::line(&format!("{name}: {value}"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// One command for any POSIX shell.
fn curl(url: &str, headers: &[(&str, String)]) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "'\\''"));
    let mut command = format!("curl -A {}", quoted(sign::USER_AGENT));
    for (name, value) in headers {
        command.push_str(&format!(" -H {}", quoted(&format!("{name}: {value}"))));
    }
    // curl must not change the URL that was signed.
    command.push_str(&format!(" --path-as-is --globoff {}", quoted(url)));
    command
}
