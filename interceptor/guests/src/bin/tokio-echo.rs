//! A server and its clients on tokio's threads: sockets, timers, channels, files, a child's end.

use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep, timeout};

const CLIENTS: usize = 6;
const REQUESTS: usize = 8;

#[tokio::main(flavor = "multi_thread", worker_threads = 3)]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let server = tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { break };
            tokio::spawn(serve(stream));
        }
    });

    let (send, mut receive) = mpsc::channel(4);
    for client in 0..CLIENTS {
        let send = send.clone();
        tokio::spawn(async move {
            let right = ask(client, address).await.map_err(|error| error.to_string());
            send.send((client, right)).await
        });
    }
    drop(send);
    let mut answers = Vec::new();
    while let Some(answer) = receive.recv().await {
        answers.push(answer);
    }
    answers.sort();
    for (client, right) in answers {
        println!("client {client}: {right:?}");
    }
    server.abort();
    println!("server: {}", server.await.is_err_and(|error| error.is_cancelled()));

    let start = Instant::now();
    let late = timeout(Duration::from_millis(40), std::future::pending::<()>()).await;
    println!("timeout: {} {}", late.is_err(), start.elapsed() >= Duration::from_millis(40));

    let one = UdpSocket::bind("127.0.0.1:0").await?;
    let two = UdpSocket::bind("127.0.0.1:0").await?;
    one.send_to(b"datagram", two.local_addr()?).await?;
    let mut buffer = [0; 16];
    let (count, from) = two.recv_from(&mut buffer).await?;
    println!("datagram: {count} {}", from == one.local_addr()?);

    tokio::fs::write("file", b"contents").await?;
    println!("file: {}", tokio::fs::read_to_string("file").await?);
    let sum = tokio::task::spawn_blocking(|| (1..=1000_u64).sum::<u64>()).await?;
    println!("blocking: {sum}");
    let gate = Semaphore::new(2);
    let passed = futures_in_turn(&gate).await;
    println!("semaphore: {passed}");
    Ok(())
}

async fn futures_in_turn(gate: &Semaphore) -> usize {
    let mut passed = 0;
    for _ in 0..4 {
        if gate.acquire().await.is_ok() {
            passed += 1;
        }
    }
    passed
}

async fn serve(stream: TcpStream) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    while let Some(line) = lines.next_line().await? {
        sleep(Duration::from_millis(line.len() as u64 % 3)).await;
        write.write_all(format!("{line}!\n").as_bytes()).await?;
    }
    Ok(())
}

async fn ask(client: usize, address: std::net::SocketAddr) -> std::io::Result<usize> {
    let stream = TcpStream::connect(address).await?;
    let (read, mut write) = stream.into_split();
    let mut lines = BufReader::new(read).lines();
    let mut right = 0;
    for request in 0..REQUESTS {
        let text = format!("{client}/{}", 10_usize.pow(request as u32));
        write.write_all(format!("{text}\n").as_bytes()).await?;
        let answer = lines.next_line().await?.unwrap_or_default();
        right += usize::from(answer == format!("{text}!"));
    }
    write.shutdown().await?;
    let mut rest = Vec::new();
    lines.into_inner().read_to_end(&mut rest).await?;
    Ok(right + rest.len())
}
