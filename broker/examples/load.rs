//! Buys visas as fast as a server sells them, on 16 connections, and says what that cost the server: for benches/broker.
//!
//! `load URL PID COUNT signed|plain`: `signed` requests are those of an agent whose manifest is served here, which the
//! operator credits first ($IMAGXP_BROKER_ADMIN_TOKEN); `plain` ones are bare JSON. One line of JSON comes out.
#![allow(missing_docs, reason = "a tool of the benchmarks")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::routing::get;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use imagxp::{Claims, KeyPair, Manifest, Purpose, SignedHeaders, Signing, sign_request, write_manifest};
use imagxp_host::system;

type Error = Box<dyn std::error::Error + Send + Sync>;
type Headers = Vec<(&'static str, String)>;

const CONNECTIONS: usize = 16;
/// Requests before the measured ones.
const WARM_UP: usize = 1_600;
const ORDER: &str = r#"{"publisher":"nytimes.com","amount":0.001}"#;

#[tokio::main]
async fn main() -> Result<(), Error> {
    let arguments: Vec<_> = std::env::args().collect();
    let [_, url, pid, count, kind] = arguments.as_slice() else { return Err("load URL PID COUNT signed|plain".into()) };
    let (count, address): (usize, SocketAddr) =
        (count.parse()?, url.trim_start_matches("http://").replace("localhost", "127.0.0.1").parse()?);
    let requests =
        if kind == "signed" { signed(url, address, count + WARM_UP).await? } else { vec![Vec::new(); count + WARM_UP] };
    let mut requests = requests.into_iter();
    run(address, requests.by_ref().take(WARM_UP).collect()).await?;
    let (before, began) = (cpu(pid)?, Instant::now());
    let mut times = run(address, requests.collect()).await?;
    let (wall, cpu) = (began.elapsed(), cpu(pid)? - before);
    times.sort_unstable();
    let (us, visas) = (|time: Duration| time.as_secs_f64() * 1e6, times.len() as f64);
    println!(
        "{{\"visas\":{visas},\"cpu_us\":{:.2},\"rate\":{:.0},\"p50_us\":{:.0},\"p99_us\":{:.0}}}",
        us(cpu) / visas,
        visas / wall.as_secs_f64(),
        us(times[times.len() / 2]),
        us(times[times.len() * 99 / 100]),
    );
    Ok(())
}

/// User and system time of a process.
fn cpu(pid: &str) -> Result<Duration, Error> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<_> = stat.rsplit_once(')').ok_or("no such process")?.1.split_whitespace().collect();
    let ticks = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    // USER_HZ is 100 on every Linux.
    Ok(Duration::from_millis(ticks * 10))
}

/// Requests of an agent that is new and has enough money.
async fn signed(url: &str, address: SocketAddr, count: usize) -> Result<Vec<Headers>, Error> {
    let key = KeyPair::from_random(&system::random()?).map_err(|error| error.name())?;
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let agent_id = format!("localhost:{}", listener.local_addr()?.port());
    let manifest =
        Manifest { agent_id: &agent_id, public_key: key.public(), contact_email: None, keys: &[], revoked: &[] };
    let mut out = [0; 8_192];
    let manifest = write_manifest(&manifest, &mut out).map_err(|error| error.name())?.to_owned();
    let page = get(move || async move { ([("content-type", "application/json")], manifest) });
    let router = Router::new().route("/.well-known/imagxp-agent.json", page);
    tokio::spawn(async move { axum::serve(listener, router).await });

    let token = std::env::var("IMAGXP_BROKER_ADMIN_TOKEN")?;
    let credit = vec![("authorization", format!("Bearer {token}")), ("idempotency-key", agent_id.clone())];
    let body = format!(r#"{{"agent":"{agent_id}","amount":1000000}}"#);
    send(&mut connect(address).await?, "/admin/credit", &credit, body.into()).await?;

    let resource = format!("{url}/issue-visa");
    let claims =
        Claims { agent_id: &agent_id, resource: &resource, purpose: Purpose::RagRetrieval, ads_displayed: false };
    let mut requests = Vec::with_capacity(count);
    for _ in 0..count {
        let mut out = [0; SignedHeaders::BYTES_MAX];
        let signed = sign_request(&key, &claims, &system::random()?, system::now(), Signing::default(), &mut out);
        let signed = signed.map_err(|error| error.name())?;
        requests.push(signed.iter().map(|(name, value)| (name, value.to_owned())).collect());
    }
    Ok(requests)
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>, Error> {
    let stream = tokio::net::TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn send(sender: &mut SendRequest<Full<Bytes>>, path: &str, headers: &Headers, body: Bytes) -> Result<(), Error> {
    let mut request = Request::post(path).header("host", "localhost").header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    sender.ready().await?;
    let response = sender.send_request(request.body(Full::new(body))?).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if status.is_success() { Ok(()) } else { Err(format!("{status} {}", String::from_utf8_lossy(&body)).into()) }
}

/// All of them, shared out among the connections; how long each took.
async fn run(address: SocketAddr, requests: Vec<Headers>) -> Result<Vec<Duration>, Error> {
    let requests = Arc::new(requests);
    let mut buyers = tokio::task::JoinSet::new();
    for buyer in 0..CONNECTIONS {
        let requests = Arc::clone(&requests);
        buyers.spawn(async move {
            let mut sender = connect(address).await?;
            let mut times = Vec::with_capacity(requests.len() / CONNECTIONS + 1);
            for headers in requests.iter().skip(buyer).step_by(CONNECTIONS) {
                let began = Instant::now();
                send(&mut sender, "/issue-visa", headers, Bytes::from_static(ORDER.as_bytes())).await?;
                times.push(began.elapsed());
            }
            Ok::<_, Error>(times)
        });
    }
    let mut times = Vec::with_capacity(requests.len());
    while let Some(bought) = buyers.join_next().await {
        times.extend(bought??);
    }
    Ok(times)
}
