//! `imagxp serve-manifest`

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use bytes::Bytes;
use clap::Args;
use imagxp::{manifest, spec};
use tokio::net::TcpListener;

use super::manifest::Content;
use crate::failure::{Failure, Outcome};
use crate::{input, net, print, serve, target};

/// Serve an agent's manifest over plain http, behind a server that speaks TLS
#[derive(Args)]
#[command(after_help = "\
Put a server with a certificate for the agent's domain in front, which passes /.well-known/imagxp-agent.json on.
Nothing else is served. Ctrl-C ends it.

Examples:
  imagxp serve-manifest --manifest imagxp-agent.json --listen 127.0.0.1:8080
  imagxp serve-manifest --dev --agent-id localhost:8080        # on this machine, nothing in front")]
pub(crate) struct ServeManifest {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The document [default: made from the key and the options below]
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    #[command(flatten)]
    content: Content,
    /// Development mode: localhost names
    #[arg(long)]
    dev: bool,
}

impl ServeManifest {
    pub(crate) fn run(self) -> Outcome {
        target::announce_development(self.dev);
        let document = match &self.manifest {
            Some(file) => checked(input::read(file)?)?,
            None => self.content.write(self.dev)?.into_bytes(),
        };
        let document = Bytes::from(document);
        net::runtime()?.block_on(async {
            let listener = TcpListener::bind(self.listen).await.map_err(|error| {
                Failure::usage(format!("{}: {error}", self.listen), "choose another address with --listen")
            })?;
            let at = listener.local_addr().unwrap_or(self.listen);
            print::remark(&format!("serving http://{at}{}", spec::MANIFEST_PATH));
            let handler = move |request, _| {
                let answer = serve::manifest(&request, &document);
                async { answer }
            };
            tokio::select! {
                () = serve::serve(listener, handler) => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// A document that verifiers will take.
fn checked(document: Vec<u8>) -> Result<Vec<u8>, Failure> {
    let json: serde_json::Value = serde_json::from_slice(&document).unwrap_or_default();
    let agent_id = json["agent_id"].as_str().unwrap_or_default();
    manifest::read(&document, agent_id).map_err(|error| Failure::usage(error.name(), error.help()))?;
    Ok(document)
}
