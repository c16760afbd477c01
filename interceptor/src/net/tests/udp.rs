//! Datagrams.

use super::*;

fn receive(room: &mut Room, id: SocketId) -> Result<(Vec<u8>, Option<Address>), Errno> {
    room.net.recv(id, 65_536, false, room.now).map(|received| (received.bytes, received.from))
}

#[test]
fn a_datagram_arrives_whole_with_its_senders_name() {
    let mut room = Room::new();
    let server = room.udp(B, "0.0.0.0:53");
    let client = room.net.socket(A, Domain::V4, Kind::Dgram).unwrap();
    assert_eq!(room.send(client, b"lost"), Err(Errno::EDESTADDRREQ));
    for text in [&b"first message"[..], b"second"] {
        assert_eq!(room.net.send(client, text, Some(&inet("10.0.0.2:53")), room.now), Ok(text.len()));
        room.settle();
    }
    assert_eq!(room.edges(), ["0 IN"], "repetitions of one edge are one");
    assert_eq!(room.net.available(server), 13);
    let peeked = room.net.recv(server, 5, true, room.now).unwrap();
    assert_eq!((peeked.bytes, peeked.truncated_len), (b"first".to_vec(), 8));
    let cut = room.net.recv(server, 5, false, room.now).unwrap();
    assert_eq!(
        (cut.bytes, cut.truncated_len, cut.from),
        (b"first".to_vec(), 8, Some(inet("10.0.0.1:32768")))
    );
    assert_eq!(receive(&mut room, server).unwrap().0, b"second");
    assert_eq!(receive(&mut room, server), Err(Errno::EAGAIN));
    assert_eq!(room.send(client, &[0; 65_508]), Err(Errno::EMSGSIZE));
}

#[test]
fn a_connected_socket_hears_its_peer_only() {
    let mut room = Room::new();
    let server = room.udp(B, "0.0.0.0:53");
    let stranger = room.udp(B, "0.0.0.0:54");
    let client = room.udp(A, "0.0.0.0:1000");
    room.net.connect(client, &inet("10.0.0.2:53"), room.now).unwrap();
    assert_eq!(room.net.local(client), Ok(inet("10.0.0.1:1000")));
    assert_eq!(room.net.flow(client).map(|flow| (flow.to, flow.server_port)), Some((B, 53)));
    for (id, text) in [(stranger, b"no"), (server, b"ok")] {
        room.net.send(id, text, Some(&inet("10.0.0.1:1000")), room.now).unwrap();
        room.settle();
    }
    assert_eq!(receive(&mut room, client).unwrap().0, b"ok");
    assert_eq!(receive(&mut room, client), Err(Errno::EAGAIN));
    room.net.disconnect(client, room.now).unwrap();
    assert_eq!(room.net.local(client), Ok(inet("0.0.0.0:1000")));
}

#[test]
fn an_unbound_port_refuses_connected_senders() {
    let mut room = Room::new();
    let client = room.udp(A, "0.0.0.0:0");
    room.net.connect(client, &inet("10.0.0.2:53"), room.now).unwrap();
    room.send(client, b"x").unwrap();
    room.settle();
    assert!(room.net.readiness(client).contains(Ready::ERR));
    assert_eq!(receive(&mut room, client), Err(Errno::ECONNREFUSED));
    assert_eq!(receive(&mut room, client), Err(Errno::EAGAIN));
}

#[test]
fn datagrams_are_lost_doubled_and_overtaken() {
    let mut room = Room::new();
    let server = room.udp(B, "0.0.0.0:53");
    let client = room.udp(A, "0.0.0.0:0");
    let link = Link { jitter: Span::from_millis(5), loss_ppm: 200_000, duplicate_ppm: 100_000, ..QUIET };
    room.net.set_link(A, B, link, room.now);
    for number in 0..200_u8 {
        room.net.send(client, &[number], Some(&inet("10.0.0.2:53")), room.now).unwrap();
    }
    room.pass(Span::from_millis(50));
    let got: Vec<u8> =
        std::iter::from_fn(|| receive(&mut room, server).ok()).map(|(bytes, _)| bytes[0]).collect();
    let distinct: std::collections::BTreeSet<u8> = got.iter().copied().collect();
    assert!(distinct.len() > 130 && distinct.len() < 190, "{}", distinct.len());
    assert!(got.len() > distinct.len());
    assert!(!got.is_sorted());
    assert!(room.net.held(A, B) >= 200);
}

#[test]
fn a_full_queue_drops() {
    let mut room = Room::new();
    let server = room.udp(B, "0.0.0.0:53");
    let client = room.udp(A, "0.0.0.0:0");
    for _ in 0..10 {
        room.net.send(client, &[0; 60_000], Some(&inet("10.0.0.2:53")), room.now).unwrap();
    }
    room.settle();
    assert_eq!(std::iter::from_fn(|| receive(&mut room, server).ok()).count(), 4);
}
