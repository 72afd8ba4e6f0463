//! Stands between a broker and PostgreSQL, and fails at the worst moment.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::Books;

pub struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// COMMITs until the one whose answer is lost; 0: none is.
    countdown: AtomicUsize,
    cuts: AtomicUsize,
    /// Connections so far; those up to `silent` say nothing any more.
    opened: AtomicUsize,
    silent: AtomicUsize,
}

impl Proxy {
    /// In front of the server of these books.
    pub async fn new(books: &Books) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = books.url.split_once('@').unwrap().1.split_once('/').unwrap().0.to_owned();
        let state = Arc::new(State::default());
        let relaying = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = relaying.opened.fetch_add(1, Ordering::SeqCst) + 1;
                let server = TcpStream::connect(&server).await.unwrap();
                let state = Arc::clone(&relaying);
                tokio::spawn(async move { relay(client, server, &state, number).await });
            }
        });
        Self { address, state }
    }

    /// The same books, by this way.
    pub fn books(&self, books: &Books) -> Books {
        let (user, place) = books.url.split_once('@').unwrap();
        let name = place.split_once('/').unwrap().1;
        Books::at(format!("{user}@{}/{name}", self.address))
    }

    /// The server carries the `nth` COMMIT from now out, and its answer is lost with the connection.
    pub fn cut_at(&self, nth: usize) {
        self.state.countdown.store(nth, Ordering::SeqCst);
    }

    pub fn cuts(&self) -> usize {
        self.state.cuts.load(Ordering::SeqCst)
    }

    /// The host of all connections so far vanishes: nothing is answered, and nothing closed.
    pub fn vanish(&self) {
        self.state.silent.store(self.state.opened.load(Ordering::SeqCst), Ordering::SeqCst);
    }
}

impl State {
    fn is_cut(&self, sent: &[u8]) -> bool {
        let is_commit = sent.windows(7).any(|window| window == b"COMMIT\0");
        let left = |left: usize| left.checked_sub(1);
        is_commit && self.countdown.fetch_update(Ordering::SeqCst, Ordering::SeqCst, left) == Ok(1)
    }
}

async fn relay(mut client: TcpStream, mut server: TcpStream, state: &State, number: usize) {
    let (mut sent, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            read = client.read(&mut sent) => {
                let Ok(len @ 1..) = read else { return };
                if number <= state.silent.load(Ordering::SeqCst) {
                    std::future::pending::<()>().await;
                }
                if server.write_all(&sent[..len]).await.is_err() {
                    return;
                }
                if state.is_cut(&sent[..len]) {
                    let _ = server.read(&mut answered).await;
                    state.cuts.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
            read = server.read(&mut answered) => {
                let Ok(len @ 1..) = read else { return };
                if client.write_all(&answered[..len]).await.is_err() {
                    return;
                }
            }
        }
    }
}
