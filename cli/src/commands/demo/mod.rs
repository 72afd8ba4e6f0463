//! `imagxp demo`: an agent, a broker and two publishers, all real HTTP on this machine.

mod log;
mod money;
mod publisher;
mod scenes;
mod stage;

use std::process::ExitCode;
use std::time::Instant;

use clap::Args;
use imagxp::feedback::Reason;

use self::money::Visa;
use self::publisher::Site;
use self::scenes::Scene;
use self::stage::{Cast, Stage, title, verdict};
use crate::failure::{Failure, Outcome};
use crate::print::{BOLD, GOOD, HINT};
use crate::{net, print};

/// Watch an agent, publishers and a broker: the real deal, the fake, the junk
#[derive(Args)]
#[command(after_help = "\
Starts an agent's manifest host, a broker and two publishers on free ports of this machine, and plays with real HTTP:
A, the agent buys a visa and is granted its page; B, a fake with the agent's name is blocked; C, a junk publisher is
judged by the agent and goes without its payment; then a repeated request, a late one, and one that was signed for
another page. At the end the publisher's evidence log is verified offline, and once more with one byte changed.
Exit code 0 if every decision was right.

Example:
  imagxp demo")]
pub(crate) struct Demo {}

impl Demo {
    pub(crate) fn run(self) -> Outcome {
        net::runtime()?.block_on(play())
    }
}

async fn play() -> Outcome {
    let began = Instant::now();
    let (stage, mut cast) = Stage::set().await?;
    stage.introduce(&cast)?;
    cast.counter.credit(&stage, "0.01").await?;

    let mut wrong = Wrong::default();
    let (visa, first) = the_real_deal(&stage, &mut cast, &mut wrong).await?;
    the_fake(&stage, &mut cast.news, &visa, &mut wrong).await?;
    the_junk_publisher(&stage, &mut cast, &mut wrong).await?;
    the_others(&stage, &mut cast.news, &visa, &first, &mut wrong).await?;
    the_evidence(&cast.news, &mut wrong)?;
    cast.counter.broker.stop().await;
    wrong.report(began)
}

/// A: identity, DNS, a visa from the broker, policy, granted.
async fn the_real_deal<'s>(stage: &'s Stage, cast: &mut Cast, wrong: &mut Wrong) -> Result<(Visa, Scene<'s>), Failure> {
    title("A  The real deal", "the agent asks, learns the price, buys a visa, and is granted its page")?;
    let site = &mut cast.news;
    let asking = Scene::agent(stage, site, None)?;
    wrong.count(stage.act(site, &asking).await?);
    let visa = cast.counter.buy(stage, &site.authority).await?;
    let paying = Scene::agent(stage, site, Some(&visa))?;
    wrong.count(stage.act(site, &paying).await?);
    let word = cast.counter.word(stage, &visa, &paying.url, 900_000, Reason::HighQuality)?;
    let settled = cast.counter.judge(stage, &word).await?;
    wrong.count(verdict(settled["state"] == "released", "good content is paid", "released")?);
    print::line("")?;
    Ok((visa, paying))
}

/// B: claims the name, signs well, and is not who it says.
async fn the_fake(stage: &Stage, site: &mut Site, visa: &Visa, wrong: &mut Wrong) -> Result<(), Failure> {
    title("B  The fake", "has the agent's name and even its visa, and signs with a key of its own")?;
    let scene = Scene::fake(stage, site, visa)?;
    wrong.count(stage.act(site, &scene).await?);
    print::line("")
}

/// C: the page was junk: the agent says so, and the broker refuses the payment.
async fn the_junk_publisher(stage: &Stage, cast: &mut Cast, wrong: &mut Wrong) -> Result<(), Failure> {
    title("C  The junk publisher", "sells spam: the agent's feedback reaches it, and the broker refuses the payment")?;
    let (site, counter) = (&mut cast.junk, &cast.counter);
    let visa = counter.buy(stage, &site.authority).await?;
    let scene = Scene::agent(stage, site, Some(&visa))?;
    wrong.count(stage.act(site, &scene).await?);
    let word = counter.word(stage, &visa, &scene.url, 100_000, Reason::SeoSpam)?;
    let scene = Scene::word(stage, site, &visa, &word)?;
    wrong.count(stage.act(site, &scene).await?);
    let settled = counter.judge(stage, &word).await?;
    wrong.count(verdict(settled["state"] == "refunded", "junk is not paid", "refunded")?);
    let earned = counter.settlement(stage, &site.authority).await?;
    money::report(&earned)?;
    wrong.count(earned["payable"] == "0" && earned["refunded"] == "0.001");
    let earned = counter.settlement(stage, &cast.news.authority).await?;
    money::report(&earned)?;
    wrong.count(earned["payable"] == "0.001");
    print::line("")
}

/// And what else comes to a door.
async fn the_others(
    stage: &Stage,
    site: &mut Site,
    visa: &Visa,
    first: &Scene<'_>,
    wrong: &mut Wrong,
) -> Result<(), Failure> {
    title("D  The echo", "sends the granted request once more, as it was")?;
    let scene = Scene::echo(stage, site, first)?;
    wrong.count(stage.act(site, &scene).await?);
    title("   The latecomer", "was signed ten minutes ago")?;
    let scene = Scene::latecomer(stage, site, visa)?;
    wrong.count(stage.act(site, &scene).await?);
    title("   The stray", "was signed for another page")?;
    let scene = Scene::stray(stage, site, visa)?;
    wrong.count(stage.act(site, &scene).await?);
    print::line("")
}

/// The log that the publisher kept, verified with nothing but its bytes and the publisher's key.
fn the_evidence(site: &Site, wrong: &mut Wrong) -> Result<(), Failure> {
    title("E  The evidence", "what the publisher wrote down, verified offline")?;
    let (bytes, path, publisher) = site.sealed(|log| Ok((log.bytes()?, log.path(), *log.publisher())))?;
    print::row("log", &format!("{path}, {} bytes", bytes.len()))?;
    print::row("publisher's key", publisher.kid().as_str())?;
    let proof = log::verify(&bytes, &publisher)?;
    let came = format!(
        "{} lines: {} documents, {} decisions, {} checkpoints, {} faults",
        proof.lines,
        proof.documents,
        proof.decisions,
        proof.checkpoints,
        proof.faults.len()
    );
    let right = proof.faults.is_empty() && proof.decisions == 6 && proof.documents == 2 && proof.checkpoints == 1;
    wrong.count(verdict(right, &came, "a log without a fault")?);

    let changed = log::changed(&bytes).ok_or_else(|| Failure::failed("the log holds no signature", ""))?;
    let proof = log::verify(&changed, &publisher)?;
    for fault in &proof.faults {
        print::line(&format!("   {HINT}line {}{HINT:#}: {}: {}", fault.line, fault.name, fault.help))?;
    }
    wrong.count(verdict(!proof.faults.is_empty(), "one byte changed, and found", "a fault")?);
    print::line("")
}

/// Decisions that were not right.
#[derive(Default)]
struct Wrong {
    decisions: u32,
    wrong: u32,
}

impl Wrong {
    fn count(&mut self, right: bool) {
        self.decisions += 1;
        self.wrong += u32::from(!right);
    }

    fn report(self, began: Instant) -> Outcome {
        if self.wrong > 0 {
            let what = format!("{} of {} decisions were wrong", self.wrong, self.decisions);
            return Err(Failure::failed(what, "this is a defect: please report the lines above"));
        }
        let took = began.elapsed().as_millis();
        print::line(&format!("{GOOD}Every decision was right{GOOD:#}: {BOLD}{}{BOLD:#} in {took} ms", self.decisions))?;
        Ok(ExitCode::SUCCESS)
    }
}
