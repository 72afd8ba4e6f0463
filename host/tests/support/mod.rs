//! A world for fetchers: names with public addresses, all of which lead to a real TLS server on this machine.
#![allow(dead_code, missing_docs, reason = "each test file uses its part")]

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use imagxp::{Kind, Need};
use imagxp_host::fetch::network::Boxed;
use imagxp_host::fetch::{Limits, Network, trust};
use imagxp_host::{Fetched, Fetcher, Pending, Settings};
use rustls::RootCertStore;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;

pub(crate) const NAME: &str = "bot.example.com";
pub(crate) const PUBLIC: [u8; 4] = [93, 184, 216, 34];

/// What the server does once it has read a request.
#[derive(Clone)]
pub(crate) enum Act {
    Say(Vec<u8>),
    Wait(u64),
    /// The same bytes without end.
    Forever(Vec<u8>),
}

/// What the server does with a connection.
#[derive(Clone)]
pub(crate) enum Script {
    Http(Vec<Act>),
    /// Accepts the connection and never speaks TLS.
    NoTls,
}

pub(crate) struct World {
    server: SocketAddr,
    tls: Arc<rustls::ClientConfig>,
    names: Mutex<HashMap<String, Vec<IpAddr>>>,
    pub(crate) lookups: AtomicUsize,
    pub(crate) connections: Arc<AtomicUsize>,
    pub(crate) connected_to: Mutex<Vec<SocketAddr>>,
    pub(crate) requests: Arc<Mutex<Vec<String>>>,
    /// A look-up or a connection takes this long.
    pub(crate) lookup_takes: Duration,
    pub(crate) connect_takes: Duration,
}

impl World {
    /// A server with a certificate for `names`, which plays `script` to everybody.
    pub(crate) async fn new(names: &[&str], script: Script) -> Self {
        let certified = rcgen::generate_simple_self_signed(names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>());
        let certified = certified.unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certified.cert.der().clone()).unwrap();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certified.cert.der().clone()], key)
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let world = Self {
            server: listener.local_addr().unwrap(),
            tls: trust::config(roots).unwrap(),
            names: Mutex::new(HashMap::from([(NAME.to_owned(), vec![PUBLIC.into()])])),
            lookups: AtomicUsize::new(0),
            connections: Arc::default(),
            connected_to: Mutex::default(),
            requests: Arc::default(),
            lookup_takes: Duration::ZERO,
            connect_takes: Duration::ZERO,
        };
        let (connections, requests) = (Arc::clone(&world.connections), Arc::clone(&world.requests));
        tokio::spawn(serve(listener, TlsAcceptor::from(Arc::new(config)), script, connections, requests));
        world
    }

    /// A world whose server answers with this head and body.
    pub(crate) async fn answering(head: &str, body: &[u8]) -> Self {
        Self::new(&[NAME], Script::Http(vec![Act::Say(answer(head, body))])).await
    }

    pub(crate) fn name(self, name: &str, addresses: &[&str]) -> Self {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.names.lock().unwrap().insert(name.to_owned(), addresses);
        self
    }

    /// One more name with the public address.
    pub(crate) fn add(&self, name: &str) {
        self.names.lock().unwrap().insert(name.to_owned(), vec![PUBLIC.into()]);
    }

    pub(crate) fn settings(self: &Arc<Self>) -> Settings {
        Settings {
            network: Arc::clone(self) as Arc<dyn Network>,
            tls: Arc::clone(&self.tls),
            development: false,
            denied: Vec::new(),
            allowed: Vec::new(),
            // Failures are told at once: one test is about their time.
            limits: Limits { failure: Duration::ZERO, ..Limits::default() },
        }
    }

    /// One fetch of the manifest of [`NAME`] in a world of its own.
    pub(crate) async fn fetch(self) -> (Arc<Fetched>, Arc<Self>) {
        let world = Arc::new(self);
        let fetched = manifest(&Fetcher::new(world.settings()), NAME).await.unwrap();
        (fetched, world)
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// An HTTP answer with its `content-length`.
pub(crate) fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// Asks for the manifest of `name`.
pub(crate) async fn manifest(fetcher: &Fetcher, name: &str) -> Result<Arc<Fetched>, Pending> {
    let url = format!("https://{name}/.well-known/imagxp-agent.json");
    let need = Need { kind: Kind::Manifest, url: &url, host: name, configured: false, max_len: 8_192 };
    fetcher.fetch(&need, None).await
}

impl Network for World {
    fn resolve<'a>(&'a self, name: &'a str) -> Boxed<'a, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            self.lookups.fetch_add(1, Ordering::SeqCst);
            sleep(self.lookup_takes).await;
            self.names.lock().unwrap().get(name).cloned().ok_or_else(|| io::Error::other("NXDOMAIN"))
        })
    }

    fn connect(&self, address: SocketAddr) -> Boxed<'_, io::Result<TcpStream>> {
        self.connected_to.lock().unwrap().push(address);
        Box::pin(async move {
            sleep(self.connect_takes).await;
            TcpStream::connect(self.server).await
        })
    }
}

async fn serve(
    listener: TcpListener,
    tls: TlsAcceptor,
    script: Script,
    connections: Arc<AtomicUsize>,
    requests: Arc<Mutex<Vec<String>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        connections.fetch_add(1, Ordering::SeqCst);
        let (tls, script, requests) = (tls.clone(), script.clone(), Arc::clone(&requests));
        tokio::spawn(async move {
            let Script::Http(acts) = script else {
                sleep(Duration::from_secs(10)).await;
                drop(stream);
                return;
            };
            let Ok(mut stream) = tls.accept(stream).await else { return };
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let Ok(byte @ 1..) = stream.read_buf(&mut request).await else { return };
                let _ = byte;
            }
            requests.lock().unwrap().push(String::from_utf8(request).unwrap());
            for act in acts {
                match act {
                    Act::Say(bytes) => drop(stream.write_all(&bytes).await),
                    Act::Wait(ms) => sleep(Duration::from_millis(ms)).await,
                    Act::Forever(bytes) => while stream.write_all(&bytes).await.is_ok() {},
                }
            }
            let _ = stream.shutdown().await;
        });
    }
}
