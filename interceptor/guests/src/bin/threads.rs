//! A server and its clients on threads of one program: std's own sockets, locks and channels.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const CLIENTS: usize = 4;
const REQUESTS: usize = 10;

type Store = Arc<(Mutex<HashMap<String, usize>>, Condvar)>;

fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let store: Store = Store::default();
    let shared = Arc::clone(&store);
    let server = thread::spawn(move || -> std::io::Result<()> {
        let handlers: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (stream, _) = listener.accept()?;
                let store = Arc::clone(&shared);
                Ok(thread::spawn(move || serve(stream, &store)))
            })
            .collect::<std::io::Result<_>>()?;
        handlers.into_iter().try_for_each(|handler| handler.join().expect("a handler does not panic"))
    });

    let (send, receive) = mpsc::channel();
    for client in 0..CLIENTS {
        let send = send.clone();
        thread::spawn(move || send.send((client, ask(client, address).map_err(|e| e.to_string()))));
    }
    drop(send);
    let mut answers: Vec<_> = receive.iter().collect();
    answers.sort();
    for (client, answer) in answers {
        println!("client {client}: {answer:?}");
    }
    server.join().expect("the server does not panic")?;

    // All counts are there, or it would wait for ever.
    let (lock, changed) = &*store;
    let mut counts = lock.lock().expect("nobody panicked");
    while counts.values().sum::<usize>() < CLIENTS * REQUESTS {
        counts = changed.wait(counts).expect("nobody panicked");
    }
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort();
    println!("{counts:?}");
    let start = Instant::now();
    thread::park_timeout(Duration::from_millis(30));
    println!("parked for long enough: {}", start.elapsed() >= Duration::from_millis(30));
    Ok(())
}

fn serve(stream: TcpStream, store: &Store) -> std::io::Result<()> {
    let mut out = stream.try_clone()?;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let (lock, changed) = &**store;
        let count = {
            let mut counts = lock.lock().expect("nobody panicked");
            let count = counts.entry(line.clone()).or_default();
            *count += 1;
            *count
        };
        changed.notify_all();
        writeln!(out, "{line} {}", count > 0)?;
    }
    Ok(())
}

fn ask(client: usize, address: std::net::SocketAddr) -> std::io::Result<usize> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let mut right = 0;
    for request in 0..REQUESTS {
        let key = format!("key-{}", (client + request) % 3);
        writeln!(stream, "{key}")?;
        let answer = lines.next().transpose()?.unwrap_or_default();
        right += usize::from(answer == format!("{key} true"));
    }
    Ok(right)
}
