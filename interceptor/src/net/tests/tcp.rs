//! TCP on a quiet network.

use super::*;
use crate::net::Flow;

#[test]
fn a_handshake_takes_a_round_trip_and_names_both_ends() {
    let mut room = Room::new();
    let listener = room.listener(B, "0.0.0.0:80", 8);
    let client = room.dial(A, "10.0.0.2:80");
    assert_eq!(room.net.readiness(client), Ready::NONE);
    assert_eq!(room.net.connect(client, &inet("10.0.0.2:80"), room.now), Err(Errno::EALREADY));
    assert_eq!(room.net.connect_result(client), Err(Errno::EAGAIN));
    assert_eq!(room.net.accept(listener), Err(Errno::EAGAIN));
    let took = room.wait(client, Ready::OUT);
    assert!(took >= Span::from_micros(400) && took <= Span::from_micros(500), "{took}");
    room.settle();
    assert_eq!(room.edges(), ["0 IN"]);
    assert_eq!(room.net.connect(client, &inet("10.0.0.2:80"), room.now), Ok(()));
    assert_eq!(room.net.connect(client, &inet("10.0.0.2:80"), room.now), Err(Errno::EISCONN));

    let (server, from) = room.net.accept(listener).unwrap();
    assert_eq!(from, inet("10.0.0.1:32768"));
    assert_eq!(room.net.local(client), Ok(from.clone()));
    assert_eq!(room.net.peer(client), Ok(inet("10.0.0.2:80")));
    assert_eq!(room.net.local(server), Ok(inet("10.0.0.2:80")));
    assert_eq!(room.net.peer(server), Ok(from));
    let flow = Flow { connection: 1, from: A, to: B, server_port: 80, initiated: true };
    assert_eq!(room.net.flow(client), Some(flow));
    assert_eq!(room.net.flow(server), Some(Flow { from: B, to: A, initiated: false, ..flow }));
    assert_eq!(room.net.deadline(), None);
}

#[test]
fn bytes_arrive_in_order_with_an_edge_for_each_arrival() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    assert_eq!(room.recv(server), Err(Errno::EAGAIN));
    room.send(client, b"one").unwrap();
    room.settle();
    room.send(client, b"two").unwrap();
    room.settle();
    assert_eq!(room.net.available(server), 6);
    assert_eq!(room.net.recv(server, 4, true, room.now).unwrap().bytes, b"onet");
    assert_eq!(room.net.recv(server, 4, false, room.now).unwrap().bytes, b"onet");
    assert_eq!(room.recv(server).unwrap(), b"wo");
    room.send(server, b"three").unwrap();
    assert_eq!(room.net.unsent(server), 5);
    room.settle();
    assert_eq!((room.net.unsent(server), room.recv(client).unwrap()), (0, b"three".to_vec()));
}

#[test]
fn an_edge_comes_even_when_the_socket_was_readable() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    for _ in 0..2 {
        room.send(client, b"x").unwrap();
        room.settle();
        assert_eq!(room.net.take_edges(), [(server, Ready::IN)]);
    }
}

#[test]
fn a_writer_stops_when_nobody_reads_and_goes_on_when_somebody_does() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    let chunk = [7; 10_000];
    let mut sent = 0;
    loop {
        match room.send(client, &chunk) {
            Ok(count) => sent += count,
            Err(error) => {
                assert_eq!(error, Errno::EAGAIN);
                room.settle();
                if room.send(client, &chunk[..1]).is_err() {
                    break;
                }
                sent += 1;
            }
        }
    }
    assert_eq!(sent, 512 * 1024);
    assert_eq!(room.net.readiness(client), Ready::NONE);
    room.edges();
    let mut received = room.recv(server).unwrap().len();
    assert_eq!(received, 256 * 1024);
    room.settle();
    assert!(room.net.take_edges().contains(&(client, Ready::OUT)));
    while let Ok(bytes) = room.recv(server) {
        received += bytes.len();
        room.settle();
    }
    assert_eq!(received, sent);
}

#[test]
fn nobody_listens_refuses_after_a_round_trip() {
    let mut room = Room::new();
    let client = room.dial(A, "10.0.0.2:81");
    let took = room.wait(client, Ready::ERR);
    assert!(took >= Span::from_micros(400), "{took}");
    let all = Ready::ERR | Ready::HUP | Ready::IN | Ready::OUT | Ready::RDHUP;
    assert_eq!(room.net.readiness(client), all);
    assert_eq!(room.net.take_error(client), Some(Errno::ECONNREFUSED));
    assert_eq!(room.net.take_error(client), None);
    assert_eq!(room.net.connect_result(client), Err(Errno::ECONNABORTED));

    assert_eq!(room.net.connect(client, &inet("10.0.0.2:81"), room.now), Err(Errno::EINPROGRESS));
    room.settle();
    assert_eq!(room.net.connect_result(client), Err(Errno::ECONNREFUSED));
    assert_eq!(room.net.connect(client, &inet("10.9.9.9:1"), room.now), Err(Errno::ENETUNREACH));
}

#[test]
fn an_end_is_read_after_the_data_and_the_other_direction_stays() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    room.send(client, b"last").unwrap();
    room.net.shutdown(client, false, true, room.now).unwrap();
    assert_eq!(room.send(client, b"x"), Err(Errno::EPIPE));
    room.settle();
    assert_eq!(room.net.readiness(server), Ready::IN | Ready::OUT | Ready::RDHUP);
    assert_eq!(room.recv(server).unwrap(), b"last");
    assert_eq!((room.recv(server).unwrap(), room.recv(server).unwrap()), (vec![], vec![]));
    room.send(server, b"answer").unwrap();
    room.settle();
    assert_eq!(room.recv(client).unwrap(), b"answer");
    room.close(server);
    room.settle();
    assert_eq!(room.recv(client).unwrap(), b"");
    assert!(room.net.readiness(client).contains(Ready::HUP | Ready::RDHUP | Ready::IN));
    room.close(client);
    assert_eq!(room.recv(client), Err(Errno::EBADF));
}

#[test]
fn closing_with_unread_bytes_resets_the_peer() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    room.send(client, b"unread").unwrap();
    room.send(server, b"kept").unwrap();
    room.settle();
    room.close(server);
    room.settle();
    assert!(room.net.readiness(client).contains(Ready::ERR | Ready::HUP | Ready::IN | Ready::OUT));
    assert_eq!(room.recv(client).unwrap(), b"kept");
    assert_eq!(room.recv(client), Err(Errno::ECONNRESET));
    assert_eq!(room.recv(client).unwrap(), b"");
    assert_eq!(room.send(client, b"x"), Err(Errno::EPIPE));
}

#[test]
fn sending_to_a_closed_socket_works_once() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    room.close(server);
    room.settle();
    assert_eq!(room.send(client, b"x"), Ok(1));
    room.settle();
    assert_eq!(room.send(client, b"x"), Err(Errno::EPIPE));
    assert_eq!(room.recv(client).unwrap(), b"");
}

#[test]
fn linger_zero_resets() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    let linger = [1, 0, 0, 0, 0, 0, 0, 0];
    room.net.set_option(server, libc::SOL_SOCKET, libc::SO_LINGER, &linger).unwrap();
    assert_eq!(room.net.linger(server), Some(Span::ZERO));
    room.close(server);
    room.settle();
    assert_eq!(room.send(client, b"x"), Err(Errno::ECONNRESET));
    assert_eq!(room.send(client, b"x"), Err(Errno::EPIPE));
}

#[test]
fn what_was_written_arrives_after_close() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    let sent = room.send(client, &[5; 100_000]).unwrap();
    room.close(client);
    room.pass(Span::from_millis(20));
    let mut got = 0;
    while let Ok(bytes) = room.recv(server) {
        if bytes.is_empty() {
            break;
        }
        got += bytes.len();
        room.settle();
    }
    assert_eq!(got, sent);
}

#[test]
fn ports_in_use_and_in_time_wait_are_refused_without_reuse() {
    let mut room = Room::new();
    let listener = room.listener(B, "0.0.0.0:80", 8);
    let other = room.tcp(B);
    assert_eq!(room.net.bind(other, &inet("10.0.0.2:80"), room.now), Err(Errno::EADDRINUSE));
    assert_eq!(room.net.bind(other, &inet("10.0.0.1:80"), room.now), Err(Errno::EADDRNOTAVAIL));
    room.set(other, libc::SO_REUSEADDR, 1);
    assert_eq!(room.net.bind(other, &inet("10.0.0.2:80"), room.now), Err(Errno::EADDRINUSE), "it listens");

    let client = room.dial(A, "10.0.0.2:80");
    room.settle();
    let (server, _) = room.net.accept(listener).unwrap();
    for id in [server, listener, client] {
        room.close(id);
        room.settle();
    }
    let plain = room.tcp(B);
    assert_eq!(room.net.bind(plain, &inet("0.0.0.0:80"), room.now), Err(Errno::EADDRINUSE));
    assert_eq!(room.net.bind(other, &inet("0.0.0.0:80"), room.now), Ok(()));
    room.close(other);
    room.pass(Span::from_secs(61));
    assert_eq!(room.net.bind(plain, &inet("0.0.0.0:80"), room.now), Ok(()));
    assert_eq!(room.net.bind(plain, &inet("0.0.0.0:81"), room.now), Err(Errno::EINVAL));
}

#[test]
fn listeners_may_share_a_port_and_share_its_connections() {
    let mut room = Room::new();
    let share = |room: &mut Room| {
        let id = room.tcp(B);
        room.set(id, libc::SO_REUSEPORT, 1);
        room.net.bind(id, &inet("0.0.0.0:80"), room.now).unwrap();
        room.net.listen(id, 64, room.now).unwrap();
        id
    };
    let (one, two) = (share(&mut room), share(&mut room));
    for _ in 0..20 {
        room.dial(A, "10.0.0.2:80");
    }
    room.settle();
    let mut count = |id| std::iter::from_fn(|| room.net.accept(id).ok()).count();
    let (first, second) = (count(one), count(two));
    assert_eq!(first + second, 20);
    assert!(first > 0 && second > 0);
}

#[test]
fn a_full_backlog_drops_requests_until_there_is_room() {
    let mut room = Room::new();
    let listener = room.listener(B, "0.0.0.0:80", 1);
    let clients: Vec<_> = (0..3).map(|_| room.dial(A, "10.0.0.2:80")).collect();
    room.settle();
    let connected =
        |room: &mut Room| clients.iter().filter(|&&id| room.net.connect_result(id).is_ok()).count();
    assert_eq!(connected(&mut room), 2);
    room.net.accept(listener).unwrap();
    room.pass(Span::from_millis(900));
    assert_eq!(connected(&mut room), 2);
    room.pass(Span::from_millis(200));
    assert_eq!(connected(&mut room), 3);
}

#[test]
fn closing_a_listener_resets_what_nobody_accepted() {
    let mut room = Room::new();
    let listener = room.listener(B, "0.0.0.0:80", 8);
    let client = room.dial(A, "10.0.0.2:80");
    room.settle();
    room.net.connect_result(client).unwrap();
    room.close(listener);
    room.settle();
    assert_eq!(room.recv(client), Err(Errno::ECONNRESET));
}

#[test]
fn loopback_is_quick_and_both_families_reach_a_dual_listener() {
    let mut room = Room::new();
    let listener = room.net.socket(A, Domain::V6, Kind::Stream).unwrap();
    room.net.bind(listener, &inet("[::]:80"), room.now).unwrap();
    room.net.listen(listener, 8, room.now).unwrap();
    let four = room.dial(A, "127.0.0.1:80");
    let took = room.wait(four, Ready::OUT);
    assert_eq!(took, Span::from_micros(10));
    let remote = room.dial(B, "10.0.0.1:80");
    let six = room.net.socket(B, Domain::V6, Kind::Stream).unwrap();
    assert_eq!(room.net.connect(six, &inet("[fd00::1]:80"), room.now), Err(Errno::EINPROGRESS));
    room.settle();
    let mut from: Vec<String> = std::iter::from_fn(|| room.net.accept(listener).ok())
        .map(|(_, from)| match from {
            Address::Inet(from) => from.to_string(),
            Address::Unix(name) => format!("{name:?}"),
        })
        .collect();
    from.sort();
    assert_eq!(from, ["[::ffff:10.0.0.2]:32768", "[::ffff:127.0.0.1]:32768", "[fd00::2]:32769"]);
    assert_eq!(room.net.connect_result(remote), Ok(()));
}

#[test]
fn fresh_sockets_answer_as_the_kernel_does() {
    let mut room = Room::new();
    let id = room.tcp(A);
    assert_eq!(room.net.readiness(id), Ready::OUT | Ready::HUP);
    assert_eq!(room.recv(id), Err(Errno::ENOTCONN));
    assert_eq!(room.send(id, b"x"), Err(Errno::EPIPE));
    assert_eq!(room.net.peer(id), Err(Errno::ENOTCONN));
    assert_eq!(room.net.local(id), Ok(inet("0.0.0.0:0")));
    assert_eq!(room.net.shutdown(id, true, true, room.now), Err(Errno::ENOTCONN));
    assert_eq!(room.net.accept(id), Err(Errno::EINVAL));
    assert_eq!(room.net.socket(A, Domain::V4, Kind::SeqPacket), Err(Errno::ESOCKTNOSUPPORT));
}

#[test]
fn options_are_echoed_and_unknown_ones_refused() {
    let mut room = Room::new();
    let (client, _) = room.connected();
    let get = |room: &mut Room, level, name| {
        let value = room.net.option(client, level, name).unwrap();
        i32::from_le_bytes(value[..4].try_into().unwrap())
    };
    assert_eq!(get(&mut room, libc::SOL_SOCKET, libc::SO_TYPE), libc::SOCK_STREAM);
    assert_eq!(get(&mut room, libc::SOL_SOCKET, libc::SO_DOMAIN), libc::AF_INET);
    room.set_tcp(client, libc::TCP_NODELAY, 5);
    assert_eq!(get(&mut room, libc::IPPROTO_TCP, libc::TCP_NODELAY), 1);
    room.set(client, libc::SO_SNDBUF, 8_192);
    assert_eq!(get(&mut room, libc::SOL_SOCKET, libc::SO_SNDBUF), 16_384);
    assert_eq!(room.send(client, &[0; 20_000]), Ok(8_192));
    let timeout: Vec<u8> = [2_i64, 500_000].iter().flat_map(|part| part.to_le_bytes()).collect();
    room.net.set_option(client, libc::SOL_SOCKET, libc::SO_RCVTIMEO, &timeout).unwrap();
    assert_eq!(room.net.timeout(client, false), Some(Span::from_millis(2_500)));
    assert_eq!(room.net.timeout(client, true), None);
    assert_eq!(room.net.option(client, libc::IPPROTO_TCP, libc::TCP_INFO).unwrap()[0], 1);
    for (level, name, unknown) in [
        (libc::SOL_SOCKET, libc::SO_ZEROCOPY, Errno::ENOPROTOOPT),
        (libc::IPPROTO_TCP, libc::TCP_FASTOPEN, Errno::ENOPROTOOPT),
        // Of a level that it does not have Linux says so by another number when it is asked.
        (284, 1, Errno::EOPNOTSUPP),
    ] {
        assert_eq!(room.net.set_option(client, level, name, &[1, 0, 0, 0]), Err(Errno::ENOPROTOOPT));
        assert_eq!(room.net.option(client, level, name), Err(unknown));
    }
    assert_eq!(room.net.set_option(client, libc::SOL_SOCKET, libc::SO_KEEPALIVE, &[1]), Err(Errno::EINVAL));
}

#[test]
fn large_writes_reach_the_reader_in_pieces() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    let mut sizes = std::collections::BTreeSet::new();
    for _ in 0..200 {
        room.send(client, &[1; 5_000]).unwrap();
        room.wait(server, Ready::IN);
        sizes.insert(room.recv(server).unwrap().len());
        room.settle();
        let _ = room.recv(server);
        room.edges();
    }
    assert!(sizes.len() > 5 && sizes.contains(&5_000), "{sizes:?}");
}

#[test]
fn a_connection_that_is_dissolved_is_reset_and_its_socket_is_as_new() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    let now = room.now;
    room.net.disconnect(client, now).unwrap();
    assert_eq!(room.net.peer(client), Err(Errno::ENOTCONN));
    room.settle();
    assert_eq!(room.recv(server), Err(Errno::ECONNRESET));
}

#[test]
fn bytes_to_who_has_shut_both_directions_are_answered_with_a_reset() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    let now = room.now;
    room.net.shutdown(client, true, true, now).unwrap();
    room.settle();
    assert_eq!(room.recv(server), Ok(vec![]));
    assert_eq!(room.send(server, b"a"), Ok(1));
    room.settle();
    assert_eq!(room.send(server, b"a"), Err(Errno::EPIPE));
}
