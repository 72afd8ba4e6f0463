//! From a name to a connection: resolve once, judge every address, connect to the address that was judged, speak TLS
//! with the name (SSRF-2 to SSRF-4, SSRF-8).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::Limits;
use super::address::Reach;
use super::network::Network;
use super::reason::Reason;
use super::target::Target;

/// Addresses tried at most.
const ATTEMPTS: usize = 3;

/// Opens connections.
pub struct Connector<'a> {
    /// Who resolves and connects.
    pub network: &'a dyn Network,
    /// Whom TLS trusts.
    pub tls: &'a Arc<rustls::ClientConfig>,
    /// How long each step may take.
    pub limits: &'a Limits,
}

impl Connector<'_> {
    /// A connection to the target. `occupy` gives leave for an address; what it returns lives as long as the stream.
    ///
    /// # Errors
    /// [`Reason`]: which step failed.
    pub async fn open<P>(
        &self,
        target: &Target,
        reach: &Reach<'_>,
        occupy: impl Fn(IpAddr) -> Result<P, Reason>,
    ) -> Result<Stream<P>, Reason> {
        let addresses = self.resolve(&target.host).await?;
        // One that is not public condemns the name: it would be the one that a second look-up gives.
        addresses.iter().try_for_each(|address| reach.check(*address))?;
        let (tcp, place) = self.connect(&addresses, target.port, occupy).await?;
        let _ = tcp.set_nodelay(true);
        let stream =
            if target.tls { Inner::Tls(Box::new(self.handshake(tcp, &target.host).await?)) } else { Inner::Plain(tcp) };
        Ok(Stream { stream, _place: place })
    }

    async fn resolve(&self, host: &str) -> Result<Vec<IpAddr>, Reason> {
        if host == "localhost" {
            // RFC 6761 section 6.3: never a matter for DNS.
            return Ok(vec![[127, 0, 0, 1].into(), [0, 0, 0, 0, 0, 0, 0, 1].into()]);
        }
        if let Ok(address) = host.parse() {
            return Ok(vec![address]);
        }
        let limit = self.limits.resolve;
        let found = timeout(limit, self.network.resolve(host)).await;
        let addresses = found.map_err(|_| Reason::TimedOut("the look-up of the name", limit))?;
        let addresses = addresses.map_err(|error| Reason::NoAddress(error.to_string()))?;
        if addresses.is_empty() { Err(Reason::NoAddress("the answer is empty".to_owned())) } else { Ok(addresses) }
    }

    /// One address after the other, each with its share of the time that is left.
    async fn connect<P>(
        &self,
        addresses: &[IpAddr],
        port: u16,
        occupy: impl Fn(IpAddr) -> Result<P, Reason>,
    ) -> Result<(TcpStream, P), Reason> {
        let limit = self.limits.connect;
        let end = Instant::now() + limit;
        let mut refusal = Reason::TimedOut("the connection", limit);
        for (index, address) in addresses.iter().take(ATTEMPTS).enumerate() {
            let place = match occupy(*address) {
                Ok(place) => place,
                Err(crowded) => {
                    refusal = crowded;
                    continue;
                }
            };
            let left = addresses.len().min(ATTEMPTS).saturating_sub(index).max(1);
            let share = end.saturating_duration_since(Instant::now()) / u32::try_from(left).unwrap_or(1);
            match timeout(share, self.network.connect(SocketAddr::new(*address, port))).await {
                Ok(Ok(tcp)) => return Ok((tcp, place)),
                Ok(Err(error)) => refusal = Reason::Connect(format!("{address} port {port}: {error}")),
                Err(_) => refusal = Reason::TimedOut("the connection", limit),
            }
        }
        Err(refusal)
    }

    async fn handshake(&self, tcp: TcpStream, host: &str) -> Result<TlsStream<TcpStream>, Reason> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Reason::Url("no name for a certificate"))?;
        let limit = self.limits.tls;
        let handshake = TlsConnector::from(Arc::clone(self.tls)).connect(name, tcp);
        let done = timeout_at(Instant::now() + limit, handshake).await;
        done.map_err(|_| Reason::TimedOut("the TLS handshake", limit))?.map_err(|error| Reason::Tls(error.to_string()))
    }
}

/// A connection, with or without TLS, and its place in the budget.
pub struct Stream<P> {
    stream: Inner,
    _place: P,
}

enum Inner {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl<P: Unpin> AsyncRead for Stream<P> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Inner::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Inner::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl<P: Unpin> AsyncWrite for Stream<P> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.get_mut().stream {
            Inner::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Inner::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Inner::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().stream {
            Inner::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Inner::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
