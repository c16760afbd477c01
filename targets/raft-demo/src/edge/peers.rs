//! The peer edge: one outgoing connection to each peer, which only writes, and a listener, which only reads.
//!
//! Messages may be lost here, but never split or mixed: a frame that does not fit the queue is dropped whole,
//! and what a broken connection had not delivered goes with it. The core expects no more than that.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::node::Event;
use crate::message;

/// Frames waiting for a peer; more are dropped.
const QUEUE_FRAMES: usize = 256;
const CONNECT_TIMEOUT: Duration = Duration::from_millis(1000);
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// After a failed accept, so that running out of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A peer that says nothing for so long while we write gets a new connection: after a long cut, an old one
/// would wait for TCP's backed-off retransmission.
const SILENCE_MAX: Duration = Duration::from_millis(2000);

/// The sending end of a link to a peer; dropping it closes the connection.
#[derive(Debug)]
pub struct Link {
    addr: SocketAddr,
    frames: mpsc::Sender<Vec<u8>>,
    resets: mpsc::Sender<()>,
    /// The first frame sent since the peer was last heard.
    unanswered_since: Option<Instant>,
}

impl Link {
    /// A link that connects when there is something to send.
    pub fn open(addr: SocketAddr) -> Link {
        let (frames, queue) = mpsc::channel(QUEUE_FRAMES);
        let (resets, reset) = mpsc::channel(1);
        tokio::spawn(carry(addr, queue, reset));
        Link { addr, frames, resets, unanswered_since: None }
    }

    /// Where it leads.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Queues an encoded frame, or drops it.
    pub fn send(&mut self, now: Instant, frame: Vec<u8>) {
        let since = *self.unanswered_since.get_or_insert(now);
        if now.duration_since(since) > SILENCE_MAX {
            self.unanswered_since = Some(now);
            let _ = self.resets.try_send(());
        }
        let _ = self.frames.try_send(frame);
    }

    /// Notes that the peer sent something.
    pub fn heard(&mut self) {
        self.unanswered_since = None;
    }
}

/// Connects, and writes what is queued; on any trouble drops both connection and queue, and begins again.
async fn carry(addr: SocketAddr, mut queue: mpsc::Receiver<Vec<u8>>, mut reset: mpsc::Receiver<()>) {
    let mut batch = Vec::new();
    while queue.recv_many(&mut batch, QUEUE_FRAMES).await > 0 {
        let connecting = timeout(CONNECT_TIMEOUT, TcpStream::connect(addr)).await;
        if let Ok(Ok(stream)) = connecting
            && stream.set_nodelay(true).is_ok()
        {
            write_all(stream, &mut batch, &mut queue, &mut reset).await;
        } else {
            sleep(RETRY_PAUSE).await;
        }
        batch.clear();
        while queue.try_recv().is_ok() {}
    }
}

/// Writes batches, one call each if the socket takes them, until the connection or the link ends.
async fn write_all(
    mut stream: TcpStream,
    batch: &mut Vec<Vec<u8>>,
    queue: &mut mpsc::Receiver<Vec<u8>>,
    reset: &mut mpsc::Receiver<()>,
) {
    let (mut read, mut write) = stream.split();
    let mut nothing = [0; 16];
    let mut bytes = Vec::new();
    let mut done = 0;
    while reset.try_recv().is_ok() {}
    loop {
        if done == bytes.len() {
            bytes.clear();
            done = 0;
            for frame in batch.drain(..) {
                bytes.extend_from_slice(&frame);
            }
        }
        tokio::select! {
            biased;
            written = write.write(&bytes[done..]), if done < bytes.len() => match written {
                Ok(count) if count > 0 => done += count,
                _ => return,
            },
            _ = reset.recv() => return,
            // The peer never writes here: this is the end of the connection.
            _ = read.read(&mut nothing) => return,
            count = queue.recv_many(batch, QUEUE_FRAMES), if done == bytes.len() => if count == 0 { return },
        }
    }
}

/// Accepts peers until the node ends.
pub async fn serve(listener: TcpListener, events: mpsc::Sender<Event>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                tokio::spawn(listen(stream, events.clone()));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Reads one peer's frames until it leaves or sends something else.
async fn listen(mut stream: TcpStream, events: mpsc::Sender<Event>) {
    let mut buffer = Vec::with_capacity(16 << 10);
    loop {
        match message::decode(&mut buffer) {
            Ok(Some(frame)) => {
                if events.send(Event::Frame(frame)).await.is_err() {
                    return;
                }
            }
            Ok(None) => {
                buffer.reserve(4 << 10);
                match stream.read_buf(&mut buffer).await {
                    Ok(0) | Err(_) => return,
                    Ok(_) => {}
                }
            }
            Err(error) => {
                eprintln!("raft-demo: dropped a peer connection: {error}");
                return;
            }
        }
    }
}
