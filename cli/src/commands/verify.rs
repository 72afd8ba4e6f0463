//! `imagxp verify`

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use imagxp::{Bound, Error, Headers, Policy, Request, UnixMillis, Visit, Visitor};
use imagxp_host::Fetcher;
use imagxp_host::fetch::target::Target;

use crate::explain::Scene;
use crate::failure::{Failure, Outcome};
use crate::request_file::RequestFile;
use crate::verdict::Verdict;
use crate::verifier::{self, Admitted, Asked, Sources};
use crate::{clock, input, net, print, target};

/// Verify one request, and say why if it is refused
#[derive(Args)]
#[command(after_help = "\
Exit codes: 0 admitted, 1 refused, 2 the command itself is wrong.

Without --url the request is judged as if it had come to the URL that it names: the verdict says `bound: none`.
Without --manifest the agent's manifest is fetched from its domain, as a publisher would: https, public addresses only,
no redirects, within 1.5 s. Whether the request was used before cannot be told: nothing is remembered between runs.
Without --policy every purpose is admitted and nothing is to be paid.

Examples:
  imagxp verify headers.txt --url https://pub.example.com/a
  imagxp sign https://pub.example.com/a --purpose SUMMARY | imagxp verify --url https://pub.example.com/a
  imagxp verify headers.txt --url https://pub.example.com/a --manifest imagxp-agent.json --now 2026-01-26T12:00:00Z
  imagxp verify headers.txt --url https://pub.example.com/a --policy policy.json --json | jq .code

JSON: one object with the members admitted, code, status, visitor_type, agent_id, purpose, resource, kid, bound
(exact, authority or none), proof_used, public_code, check, found, expected, help, needs (an array of kind, url,
answer, reason), not_checked (an array), now. What is not known is null. Members may be added, never changed.")]
pub(crate) struct Verify {
    /// The request's headers, `name: value` a line, or the JSON of `imagxp sign --json`
    #[arg(value_name = "FILE", default_value = "-")]
    headers: PathBuf,
    /// The URL that was requested, as the publisher knows it
    #[arg(long)]
    url: Option<String>,
    /// The method of the request; the protocol does not sign it
    #[arg(long, default_value = "GET")]
    method: String,
    /// The agent's manifest [default: fetched from the agent's domain]
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
    /// The key set of every issuer of visas [default: fetched from the policy's URLs]
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,
    /// Fetch nothing
    #[arg(long)]
    offline: bool,
    /// The publisher's policy, JSON
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The time to judge by [default: now]
    #[arg(long, value_name = "TIME", value_parser = clock::parse)]
    now: Option<UnixMillis>,
    /// Print the verdict as JSON
    #[arg(long)]
    json: bool,
    /// Development mode: localhost names, plain http to this machine; not with a production audience
    #[arg(long)]
    dev: bool,
    #[command(flatten)]
    net: net::Net,
}

/// Admits every purpose: what is asked is whether the request is good.
const OPEN_POLICY: &[u8] = br#"{"allowTraining":true,"allowRAG":true}"#;

impl Verify {
    pub(crate) fn run(self) -> Outcome {
        target::announce_development(self.dev);
        let target = self.url.as_deref().map(|url| target::parse(url, self.dev)).transpose()?;
        let file = RequestFile::parse(&input::read(&self.headers)?)?;
        let mut words = vec![0; Policy::WORDS];
        let policy = self.policy(&mut words)?;
        let sources = self.sources()?;
        let verdict = self.judge(&file, target.as_ref(), &policy, &sources)?;
        if self.json {
            print::line(&verdict.json().to_string())?
        } else {
            verdict.print()?
        }
        Ok(if verdict.error.is_none() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }

    fn judge(
        &self,
        file: &RequestFile,
        target: Option<&Target>,
        policy: &Policy<'_>,
        sources: &Sources,
    ) -> Result<Verdict, Failure> {
        let now = clock::or_now(self.now);
        let mut asked = Vec::new();
        let headers = file.headers();
        let visit = self.visit(headers.unwrap_or_default(), target);
        let mut scratch = vec![0; Request::SCRATCH];
        let request = headers.and_then(|_| Request::parse(&visit, &mut scratch));
        let request = request.as_ref().map_err(|error| *error);

        let decided = match request {
            Ok(request) => self.decide(request, &visit, target, policy, sources, now, &mut asked)?,
            Err(error) => Err(error),
        };
        let (claims, ts) = request.map_or((None, None), |request| (request.claims(), request.ts()));
        let scene = Scene { file, claims, ts, policy, target, asked: &asked, now };
        let signed = !file.imagxp_names().is_empty();
        let mut not_checked = Vec::new();
        if signed && target.is_none() {
            not_checked.push(("resource", "nothing binds the request to a URL: no --url was given"));
        }
        if signed && decided.is_ok() {
            not_checked.push(("replay", "one run remembers no nonces: a publisher would refuse a second use"));
        }
        let admitted = decided.as_ref().ok();
        Ok(Verdict {
            error: decided.as_ref().err().copied(),
            visitor: admitted.map_or(Visitor::UnidentifiedBot, |admitted| admitted.visitor),
            agent_id: claims.map(|claims| claims.agent_id.to_owned()),
            purpose: claims.map(|claims| claims.purpose),
            resource: claims.map(|claims| claims.resource.to_owned()),
            kid: scene.kid(),
            bound: admitted.filter(|_| target.is_some()).map_or(Bound::Nothing, |admitted| admitted.bound),
            proof: admitted.map(|admitted| admitted.proof),
            explanation: decided.as_ref().err().map(|error| scene.explain(*error)),
            not_checked,
            now,
            asked,
        })
    }

    /// Without a URL, the one that the request names stands for it.
    #[expect(clippy::too_many_arguments, reason = "one call")]
    fn decide(
        &self,
        request: &Request<'_>,
        visit: &Visit<'_>,
        target: Option<&Target>,
        policy: &Policy<'_>,
        sources: &Sources,
        now: UnixMillis,
        asked: &mut Vec<Asked>,
    ) -> Result<Result<Admitted, Error>, Failure> {
        let named = request.claims().and_then(|claims| Target::parse(claims.resource).ok());
        match named.filter(|_| target.is_none()) {
            Some(named) => verifier::decide(&self.visit(visit.headers, Some(&named)), policy, sources, now, asked),
            None => verifier::decide(visit, policy, sources, now, asked),
        }
    }

    fn visit<'a>(&'a self, headers: Headers<'a>, target: Option<&'a Target>) -> Visit<'a> {
        let (scheme, authority, path) = target.map_or(("https", "", "/"), |target| {
            (if target.tls { "https" } else { "http" }, &target.authority, &target.path)
        });
        Visit { method: &self.method, scheme, authority, target: path, vouched: 0, headers }
    }

    /// The policy, in development mode if it says so and `--dev` does, too.
    fn policy<'w>(&self, words: &'w mut [u64]) -> Result<Policy<'w>, Failure> {
        let given = self.policy.as_deref().map(input::read).transpose()?;
        let json = given.as_deref().unwrap_or(OPEN_POLICY);
        let text = String::from_utf8_lossy(json);
        let says_so =
            serde_json::from_slice(json).ok().and_then(|json: serde_json::Value| json["development"].as_bool());
        if says_so == Some(!self.dev) {
            let fix = if self.dev { "leave out --dev, or the policy's `development`" } else { "add --dev" };
            return Err(Failure::usage("the policy and the command disagree about development mode", fix));
        }
        let json = match text.trim_start().strip_prefix('{') {
            Some(rest) if self.dev && says_so.is_none() => {
                let comma = if rest.trim_start().starts_with('}') { "" } else { "," };
                format!("{{\"development\":true{comma}{rest}")
            }
            _ => text.into_owned(),
        };
        Policy::parse(json.as_bytes(), words).map_err(|error| {
            let fix = if self.dev {
                format!("{}; in development mode every audience is localhost", error.help())
            } else {
                error.help().to_owned()
            };
            let path = self.policy.as_deref().unwrap_or(std::path::Path::new("the policy"));
            Failure::usage(format!("{}: {}", path.display(), error.name()), fix)
        })
    }

    fn sources(&self) -> Result<Sources, Failure> {
        let read = |file: &Option<PathBuf>| file.as_deref().map(input::read).transpose();
        // With both documents at hand the network is not needed, nor are its certificates.
        let needless = self.offline || self.manifest.is_some() && (self.jwks.is_some() || self.policy.is_none());
        let network = if needless {
            None
        } else {
            let runtime = net::runtime()?;
            let fetcher = {
                let _inside = runtime.enter();
                Fetcher::new(self.net.settings(self.dev)?)
            };
            Some((fetcher, runtime))
        };
        Ok(Sources { manifest: read(&self.manifest)?, jwks: read(&self.jwks)?, network })
    }
}
