//! `imagxp verify`

use std::process::ExitCode;

use clap::Args;
use imagxp::{Bound, Error, Policy, Refusal, Request, UnixMillis, Visit, Visitor};
use imagxp_host::fetch::target::Target;

use crate::explain::Scene;
use crate::failure::{Failure, Outcome};
use crate::question::Question;
use crate::request_file::RequestFile;
use crate::verdict::Verdict;
use crate::verifier::{self, Admitted, Asked, Sources};
use crate::{clock, print, target};

/// Verify one request, and say why if it is refused
#[derive(Args)]
#[command(after_help = "\
Exit codes: 0 admitted, 1 refused, 2 the command itself is wrong.

Without --url the request is judged as if it had come to the URL that it names: the verdict says `bound: none`.
Without --manifest the agent's manifest is fetched from its domain, as a publisher would: https, public addresses only,
no redirects, within 1.5 s. Whether the request was used before cannot be told: nothing is remembered between runs.
Without --policy every purpose is admitted and nothing is to be paid; `imagxp policy check` explains one.
A request without IMAGXP headers is a visitor's: what it meets is the policy's strategy.

Examples:
  imagxp verify headers.txt --url https://pub.example.com/a
  imagxp verify headers.txt --url https://pub.example.com/a --manifest imagxp-agent.json --now 2026-01-26T12:00:00Z
  imagxp verify headers.txt --url https://pub.example.com/a --policy policy.json --json | jq .code

JSON: one object with the members admitted, code, status, visitor_type, agent_id, purpose, resource, kid, bound
(exact, authority or none), proof_used, public_code, check, found, expected, help, needs (an array of kind, url,
answer, reason), not_checked (an array), now. What is not known is null. Members may be added, never changed.")]
pub(crate) struct Verify {
    #[command(flatten)]
    question: Question,
    /// Print the verdict as JSON
    #[arg(long)]
    json: bool,
}

impl Verify {
    pub(crate) fn run(self) -> Outcome {
        let question = &self.question;
        target::announce_development(question.dev);
        let target = question.target()?;
        let file = question.request()?;
        let mut words = vec![0; Policy::WORDS];
        let policy = question.policy(&mut words)?;
        let sources = question.sources()?;
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
        let now = clock::or_now(self.question.now);
        let mut asked = Vec::new();
        let headers = file.headers();
        let visit = self.question.visit(headers.unwrap_or_default(), target);
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
        // What the client would be told, to the letter.
        let refusal = decided.as_ref().err().map(|error| Refusal::new(*error, policy));
        let visitor = admitted.map(|admitted| admitted.visitor).or(refusal.map(|refusal| refusal.visitor()));
        Ok(Verdict {
            error: decided.as_ref().err().copied(),
            visitor: visitor.unwrap_or(Visitor::UnidentifiedBot),
            agent_id: claims.map(|claims| claims.agent_id.to_owned()),
            purpose: claims.map(|claims| claims.purpose),
            resource: claims.map(|claims| claims.resource.to_owned()),
            kid: scene.kid(),
            bound: admitted.filter(|_| target.is_some()).map_or(Bound::Nothing, |admitted| admitted.bound),
            proof: admitted.map(|admitted| admitted.proof).or(refusal.and_then(|refusal| refusal.proof())),
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
            Some(named) => {
                verifier::decide(&self.question.visit(visit.headers, Some(&named)), policy, sources, now, asked)
            }
            None => verifier::decide(visit, policy, sources, now, asked),
        }
    }
}
