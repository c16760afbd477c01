//! The network between nodes: remote calls, one connection to each peer, one call at a time on it.
//!
//! A call may fail at any time, and a failed call may still be carried out. Raft expects no more than that. A call
//! has no time limit of its own: who gives it up drops it.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::time::sleep;

use crate::{NodeId, frame};

/// After a failed accept, so that running out of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The calling end: all peers of a node.
#[derive(Debug)]
pub struct Peers {
    peers: BTreeMap<NodeId, Peer>,
}

#[derive(Debug)]
struct Peer {
    addr: SocketAddr,
    connection: Mutex<Option<BufReader<TcpStream>>>,
}

impl Peers {
    /// Peers at these addresses.
    #[must_use]
    pub fn new(addresses: BTreeMap<NodeId, SocketAddr>) -> Peers {
        let peer = |addr| Peer { addr, connection: Mutex::new(None) };
        Peers { peers: addresses.into_iter().map(|(id, addr)| (id, peer(addr))).collect() }
    }

    /// Asks node `target`. The caller may drop the call before it ends.
    ///
    /// # Errors
    ///
    /// The connection failed. The request may have been carried out.
    pub async fn call<Q: Serialize, A: DeserializeOwned>(
        &self,
        target: NodeId,
        request: &Q,
    ) -> io::Result<A> {
        let peer = self.peers.get(&target).ok_or_else(|| io::Error::other(format!("no peer {target}")))?;
        peer.exchange(&frame::encode(request)?).await
    }
}

impl Peer {
    async fn exchange<A: DeserializeOwned>(&self, frame: &[u8]) -> io::Result<A> {
        let mut slot = self.connection.lock().await;
        // Put back only after a whole exchange: else a call that was given up would leave its late answer to
        // the next one.
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => connect(self.addr).await?,
        };
        connection.write_all(frame).await?;
        let answer = frame::read(&mut connection).await?;
        *slot = Some(connection);
        Ok(answer)
    }
}

async fn connect(addr: SocketAddr) -> io::Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    Ok(BufReader::new(stream))
}

/// Answers peers until the node ends: `handle` turns each request into its answer.
pub async fn serve<Q, A, F>(listener: TcpListener, handle: impl Fn(Q) -> F + Clone + Send + 'static)
where
    Q: DeserializeOwned + Send,
    A: Serialize + Send,
    F: Future<Output = A> + Send,
{
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let handle = handle.clone();
                tokio::spawn(async move {
                    // The peer left, or is none: it may come again.
                    let _ = converse(stream, handle).await;
                });
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn converse<Q, A, F>(stream: TcpStream, handle: impl Fn(Q) -> F) -> io::Result<()>
where
    Q: DeserializeOwned,
    A: Serialize,
    F: Future<Output = A>,
{
    stream.set_nodelay(true)?;
    let mut connection = BufReader::new(stream);
    loop {
        let request = frame::read(&mut connection).await?;
        let answer = handle(request).await;
        connection.write_all(&frame::encode(&answer)?).await?;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn a_call_that_was_given_up_does_not_answer_the_next() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, |wait_ms: u64| async move {
            sleep(Duration::from_millis(wait_ms)).await;
            wait_ms
        }));
        let peers = Peers::new([(1, addr)].into());
        assert_eq!(peers.call::<_, u64>(1, &1_u64).await.unwrap(), 1);
        assert!(timeout(Duration::from_millis(50), peers.call::<_, u64>(1, &200_u64)).await.is_err());
        assert_eq!(peers.call::<_, u64>(1, &2_u64).await.unwrap(), 2);
        assert!(peers.call::<_, u64>(9, &2_u64).await.is_err());
    }
}
