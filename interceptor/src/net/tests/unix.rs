//! `AF_UNIX` sockets.

use super::*;
use crate::net::UnixName;

fn path(text: &str) -> Address {
    Address::Unix(UnixName::Path(text.into()))
}

fn hidden(text: &str) -> Address {
    Address::Unix(UnixName::Abstract(text.into()))
}

fn bound(room: &mut Room, kind: Kind, name: &Address) -> SocketId {
    let id = room.net.socket(A, Domain::Unix, kind).unwrap();
    room.net.bind(id, name, room.now).unwrap();
    id
}

#[test]
fn a_stream_connects_at_once_and_ends_in_order() {
    let mut room = Room::new();
    let listener = bound(&mut room, Kind::Stream, &path("/run/s"));
    room.net.listen(listener, 4, room.now).unwrap();
    let client = room.net.socket(A, Domain::Unix, Kind::Stream).unwrap();
    assert_eq!(room.net.readiness(client), Ready::OUT | Ready::HUP);
    assert_eq!(room.net.connect(client, &path("/run/t"), room.now), Err(Errno::ENOENT));
    assert_eq!(room.net.connect(client, &hidden("s"), room.now), Err(Errno::ECONNREFUSED));
    assert_eq!(room.net.connect(client, &path("/run/s"), room.now), Ok(()));
    assert_eq!(room.net.connect(client, &path("/run/s"), room.now), Err(Errno::EISCONN));
    assert_eq!(room.net.take_edges(), [(listener, Ready::IN)]);
    room.send(client, b"early").unwrap();
    let (server, from) = room.net.accept(listener).unwrap();
    assert_eq!(from, Address::Unix(UnixName::Unnamed));
    assert_eq!(room.net.peer(client), Ok(path("/run/s")));
    room.send(client, b" bird").unwrap();
    assert_eq!(room.net.recv(server, 7, false, room.now).unwrap().bytes, b"early b");
    assert_eq!(room.net.available(server), 3);
    room.net.shutdown(client, false, true, room.now).unwrap();
    assert_eq!(room.recv(server).unwrap(), b"ird");
    assert_eq!(room.recv(server).unwrap(), b"");
    room.send(server, b"x").unwrap();
    assert_eq!(room.recv(client).unwrap(), b"x");
    room.close(server);
    assert!(room.net.readiness(client).contains(Ready::HUP | Ready::RDHUP | Ready::IN));
}

#[test]
fn a_name_stays_taken_until_its_file_is_gone() {
    let mut room = Room::new();
    let first = bound(&mut room, Kind::Stream, &path("/run/s"));
    room.close(first);
    let second = room.net.socket(A, Domain::Unix, Kind::Stream).unwrap();
    assert_eq!(room.net.connect(second, &path("/run/s"), room.now), Err(Errno::ECONNREFUSED));
    assert_eq!(room.net.bind(second, &path("/run/s"), room.now), Err(Errno::EADDRINUSE));
    room.net.unlink(A, b"/run/s");
    assert_eq!(room.net.bind(second, &path("/run/s"), room.now), Ok(()));
    let elsewhere = room.net.socket(B, Domain::Unix, Kind::Stream).unwrap();
    assert_eq!(room.net.bind(elsewhere, &path("/run/s"), room.now), Ok(()), "hosts share no names");
    let third = bound(&mut room, Kind::Stream, &hidden("h"));
    room.close(third);
    bound(&mut room, Kind::Stream, &hidden("h"));
    let chosen = bound(&mut room, Kind::Dgram, &Address::Unix(UnixName::Unnamed));
    assert_eq!(room.net.local(chosen), Ok(hidden("00000")));
}

#[test]
fn a_full_backlog_blocks_connect_until_accept() {
    let mut room = Room::new();
    let listener = bound(&mut room, Kind::Stream, &hidden("s"));
    room.net.listen(listener, 0, room.now).unwrap();
    let dial = |room: &mut Room| {
        let id = room.net.socket(A, Domain::Unix, Kind::Stream).unwrap();
        (id, room.net.connect(id, &hidden("s"), room.now))
    };
    assert_eq!(dial(&mut room).1, Ok(()));
    let (waiting, result) = dial(&mut room);
    assert_eq!(result, Err(Errno::EAGAIN));
    room.edges();
    room.net.accept(listener).unwrap();
    assert_eq!(room.net.take_edges(), [(waiting, Ready::OUT)]);
    assert_eq!(room.net.connect_result(waiting), Ok(()));
}

#[test]
fn a_pair_pushes_back_and_resets_on_unread_data() {
    let mut room = Room::new();
    let (a, b) = room.net.socketpair(A, Kind::Stream);
    let sent = room.send(a, &[1; 300_000]).unwrap();
    assert_eq!(sent, 212_992);
    assert_eq!(room.send(a, b"x"), Err(Errno::EAGAIN));
    assert_eq!(room.net.readiness(a), Ready::NONE);
    room.edges();
    assert_eq!(room.recv(b).unwrap().len(), sent);
    assert_eq!(room.net.take_edges(), [(a, Ready::OUT)]);
    room.send(a, b"unread").unwrap();
    room.close(b);
    assert_eq!(room.recv(a), Err(Errno::ECONNRESET));
    assert_eq!(room.recv(a).unwrap(), b"");
    assert_eq!(room.send(a, b"x"), Err(Errno::EPIPE));
}

#[test]
fn seqpackets_keep_their_bounds() {
    let mut room = Room::new();
    let (a, b) = room.net.socketpair(A, Kind::SeqPacket);
    room.send(a, b"one").unwrap();
    room.send(a, b"two").unwrap();
    let cut = room.net.recv(b, 2, false, room.now).unwrap();
    assert_eq!((cut.bytes, cut.truncated_len), (b"on".to_vec(), 1));
    assert_eq!(room.recv(b).unwrap(), b"two");
    assert_eq!(room.send(a, &[0; 300_000]), Err(Errno::EMSGSIZE));
}

#[test]
fn datagrams_go_by_name_and_a_full_queue_blocks() {
    let mut room = Room::new();
    let log = bound(&mut room, Kind::Dgram, &path("/dev/log"));
    let client = bound(&mut room, Kind::Dgram, &hidden("c"));
    let send = |room: &mut Room| room.net.send(client, b"line", Some(&path("/dev/log")), room.now);
    for _ in 0..11 {
        assert_eq!(send(&mut room), Ok(4));
    }
    assert_eq!(send(&mut room), Err(Errno::EAGAIN));
    room.edges();
    let first = room.net.recv(log, 100, false, room.now).unwrap();
    assert_eq!((first.bytes, first.from), (b"line".to_vec(), Some(hidden("c"))));
    assert_eq!(room.net.take_edges(), [(client, Ready::OUT)]);
    assert_eq!(send(&mut room), Ok(4));
    room.net.connect(client, &path("/dev/log"), room.now).unwrap();
    assert_eq!(room.net.readiness(client), Ready::NONE);
    room.close(log);
    assert_eq!(room.send(client, b"x"), Err(Errno::ECONNREFUSED));
}
