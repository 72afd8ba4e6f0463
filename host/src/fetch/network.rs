//! The two things that a fetcher wants of the system: a name's addresses, and a connection to one of them.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::LookupIpStrategy;
use hickory_resolver::net::NetError;
use tokio::net::TcpStream;

/// A future in a box.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Resolves names and opens connections. It judges nothing: every rule is applied around it, whoever implements it.
pub trait Network: Send + Sync {
    /// Every address of a name, A and AAAA.
    fn resolve<'a>(&'a self, name: &'a str) -> Boxed<'a, io::Result<Vec<IpAddr>>>;
    /// A connection to this very address.
    fn connect(&self, address: SocketAddr) -> Boxed<'_, io::Result<TcpStream>>;
}

/// The system's resolvers and network.
///
/// hickory-resolver instead of `getaddrinfo`: a look-up that takes too long ends there, while one in `getaddrinfo`
/// holds a thread until the resolver's own time-out, and whoever runs a slow name server could hold all of them.
pub struct System {
    resolver: TokioResolver,
}

impl System {
    /// With the servers of `/etc/resolv.conf`, or of the platform's settings.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn new() -> io::Result<Self> {
        let unreadable = |why| io::Error::other(format!("the system's DNS settings cannot be read: {why}"));
        let mut builder = TokioResolver::builder_tokio().map_err(unreadable)?;
        let options = builder.options_mut();
        // Every address is judged, so every address is asked for.
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        Ok(Self { resolver: builder.build().map_err(unreadable)? })
    }
}

impl Network for System {
    fn resolve<'a>(&'a self, name: &'a str) -> Boxed<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            // With a dot behind it no search domain is tried.
            let found = self.resolver.lookup_ip(format!("{name}.")).await.map_err(readable)?;
            Ok(found.iter().collect())
        })
    }

    fn connect(&self, address: SocketAddr) -> Boxed<'_, io::Result<TcpStream>> {
        Box::pin(TcpStream::connect(address))
    }
}

/// The resolver's own texts are for those who know its types.
fn readable(error: NetError) -> io::Error {
    match error {
        _ if error.is_nx_domain() => io::Error::other("there is no such name"),
        _ if error.is_no_records_found() => io::Error::other("it has neither an A nor an AAAA record"),
        _ => io::Error::other(error),
    }
}

/// A network of this machine only: no name but `localhost` has an address, and DNS is not asked. For demos and tests.
pub struct ThisMachine;

impl Network for ThisMachine {
    fn resolve<'a>(&'a self, _: &'a str) -> Boxed<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async { Err(io::Error::other("only localhost is known here")) })
    }

    fn connect(&self, address: SocketAddr) -> Boxed<'_, io::Result<TcpStream>> {
        Box::pin(TcpStream::connect(address))
    }
}
