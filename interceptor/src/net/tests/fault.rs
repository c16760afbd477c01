//! Links, hosts and connections under fault.

use super::*;

#[test]
fn connects_over_a_blocked_link_time_out_after_127_seconds() {
    let mut room = Room::new();
    room.listener(B, "0.0.0.0:80", 8);
    room.both_ways(&BLOCKED);
    let client = room.dial(A, "10.0.0.2:80");
    assert_eq!(room.wait(client, Ready::ERR), Span::from_secs(127));
    assert_eq!(room.net.connect_result(client), Err(Errno::ETIMEDOUT));
    assert_eq!(room.net.held(A, B), 7);
}

#[test]
fn a_connect_gets_through_at_its_next_try_after_the_heal() {
    let mut room = Room::new();
    room.listener(B, "0.0.0.0:80", 8);
    for (blocked, other) in [(A, B), (B, A)] {
        room.net.set_link(blocked, other, BLOCKED, room.now);
        let client = room.dial(A, "10.0.0.2:80");
        room.pass(Span::from_secs(2));
        assert_eq!(room.net.connect_result(client), Err(Errno::EAGAIN));
        room.net.set_link(blocked, other, QUIET, room.now);
        room.pass(Span::from_millis(1_010));
        assert_eq!(room.net.connect_result(client), Ok(()), "third request at 3 s");
    }
}

#[test]
fn data_over_a_blocked_link_comes_with_the_next_retransmission() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    room.both_ways(&BLOCKED);
    room.send(client, b"late").unwrap();
    room.pass(Span::from_secs(1));
    room.both_ways(&QUIET);
    assert_eq!(room.recv(server), Err(Errno::EAGAIN));
    let took = room.wait(server, Ready::IN);
    assert!(
        took >= Span::from_millis(400) && took < Span::from_millis(401),
        "tried at 0.2, 0.6, 1.4 s: {took}"
    );
    assert_eq!(room.recv(server).unwrap(), b"late");
    assert_eq!(room.net.held(A, B), 3);
}

#[test]
fn a_lost_acknowledgement_keeps_the_buffer_until_the_link_is_back() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    room.net.set_link(B, A, BLOCKED, room.now);
    room.send(client, b"heard").unwrap();
    room.pass(Span::from_secs(1));
    assert_eq!(room.recv(server).unwrap(), b"heard");
    assert_eq!(room.net.unsent(client), 5);
    room.net.set_link(B, A, QUIET, room.now);
    room.pass(Span::from_secs(2));
    assert_eq!(room.net.unsent(client), 0);
    assert_eq!((room.recv(server), room.net.deadline()), (Err(Errno::EAGAIN), None));
}

#[test]
fn a_lost_confirmation_is_made_good_by_data_or_by_a_repeated_consent() {
    for talks in [true, false] {
        let mut room = Room::new();
        let listener = room.listener(B, "0.0.0.0:80", 8);
        let client = room.dial(A, "10.0.0.2:80");
        room.pass(Span::from_micros(255));
        room.net.set_link(A, B, BLOCKED, room.now);
        room.pass(Span::from_millis(5));
        assert_eq!(room.net.connect_result(client), Ok(()));
        assert_eq!(room.net.accept(listener), Err(Errno::EAGAIN));
        room.net.set_link(A, B, QUIET, room.now);
        if talks {
            room.send(client, b"hello").unwrap();
            room.settle();
        } else {
            room.pass(Span::from_millis(1_010));
        }
        assert!(room.net.accept(listener).is_ok());
    }
}

#[test]
fn a_stalled_link_opens_and_closes_but_carries_no_data() {
    let mut room = Room::new();
    let listener = room.listener(B, "0.0.0.0:80", 8);
    room.net.set_link(A, B, Link { stalled: true, ..QUIET }, room.now);
    let client = room.dial(A, "10.0.0.2:80");
    room.settle();
    let silent = room.dial(A, "10.0.0.2:80");
    room.settle();
    let (server, _) = room.net.accept(listener).unwrap();
    let (empty, _) = room.net.accept(listener).unwrap();
    room.send(client, b"held").unwrap();
    room.close(silent);
    room.pass(Span::from_secs(5));
    assert_eq!(room.recv(server), Err(Errno::EAGAIN));
    assert_eq!(room.recv(empty).unwrap(), b"");
    assert!(room.net.held(A, B) > 3);
    room.net.set_link(A, B, QUIET, room.now);
    room.pass(Span::from_secs(7));
    assert_eq!(room.recv(server).unwrap(), b"held");
}

#[test]
fn unacknowledged_data_gives_up_after_a_quarter_of_an_hour_or_the_users_timeout() {
    for (user_timeout, expected) in [(0, Span::from_millis(924_600)), (5_000, Span::from_secs(5))] {
        let mut room = Room::new();
        let (client, server) = room.connected();
        room.set_tcp(client, libc::TCP_USER_TIMEOUT, user_timeout);
        room.both_ways(&BLOCKED);
        room.send(client, b"x").unwrap();
        assert_eq!(room.wait(client, Ready::ERR), expected);
        assert_eq!(room.recv(client), Err(Errno::ETIMEDOUT));
        assert_eq!(room.recv(client).unwrap(), b"");
        assert_eq!(room.net.readiness(server), Ready::OUT, "the silent side knows nothing");
    }
}

#[test]
fn keepalive_finds_a_dead_peer_and_leaves_a_living_one() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    room.set(server, libc::SO_KEEPALIVE, 1);
    for (name, value) in [(libc::TCP_KEEPIDLE, 10), (libc::TCP_KEEPINTVL, 2), (libc::TCP_KEEPCNT, 3)] {
        room.set_tcp(server, name, value);
    }
    room.pass(Span::from_secs(100));
    assert_eq!(room.net.readiness(server), Ready::OUT);
    room.net.host_powered_off(A);
    assert_eq!(room.net.readiness(client), Ready::NONE);
    let took = room.wait(server, Ready::ERR);
    assert!(took >= Span::from_secs(6) && took <= Span::from_secs(16), "{took}");
    assert_eq!(room.recv(server), Err(Errno::ETIMEDOUT));
}

#[test]
fn a_host_without_power_is_silent_and_resets_when_it_is_back() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    room.net.host_powered_off(B);
    assert!(!room.net.is_powered(B));
    room.send(client, b"hello?").unwrap();
    let asking = room.dial(A, "10.0.0.2:80");
    room.pass(Span::from_secs(2));
    assert_eq!(room.recv(client), Err(Errno::EAGAIN));
    assert_eq!(room.recv(server), Err(Errno::EBADF));
    room.net.host_powered_on(B);
    room.pass(Span::from_secs(2));
    assert_eq!(room.recv(client), Err(Errno::ECONNRESET));
    assert_eq!(room.net.connect_result(asking), Err(Errno::ECONNREFUSED));
}

#[test]
fn killed_processes_end_their_connections_as_their_kernel_does() {
    let mut room = Room::new();
    let listener = room.listener(B, "0.0.0.0:80", 8);
    let clients: Vec<_> = (0..2).map(|_| room.dial(A, "10.0.0.2:80")).collect();
    room.settle();
    room.net.accept(listener).unwrap();
    room.net.accept(listener).unwrap();
    for &client in &clients {
        room.net.connect_result(client).unwrap();
    }
    room.send(clients[1], b"unread").unwrap();
    room.settle();
    room.net.host_killed(B, room.now);
    room.settle();
    assert_eq!(room.recv(clients[0]).unwrap(), b"");
    assert_eq!(room.recv(clients[1]), Err(Errno::ECONNRESET));
    let late = room.dial(A, "10.0.0.2:80");
    room.settle();
    assert_eq!(room.net.connect_result(late), Err(Errno::ECONNREFUSED));
    room.listener(B, "0.0.0.0:80", 8);
}

#[test]
fn resets_strike_both_ends_and_are_counted() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    room.send(client, b"under way").unwrap();
    assert_eq!(room.net.reset_between(B, A, room.now), 1);
    assert_eq!(room.recv(client), Err(Errno::ECONNRESET));
    assert_eq!(room.recv(server), Err(Errno::ECONNRESET));
    room.settle();
    assert_eq!(room.recv(server).unwrap(), b"");
    assert_eq!(room.net.reset_between(A, B, room.now), 0);
}

#[test]
fn loss_delays_a_stream_and_loses_nothing() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    room.both_ways(&Link { loss_ppm: 300_000, ..QUIET });
    let text: Vec<u8> = (0..50_000_u32).map(|n| (n % 251) as u8).collect();
    let mut got = Vec::new();
    let mut sent = 0;
    while got.len() < text.len() {
        sent += room.send(client, &text[sent..text.len().min(sent + 1_000)]).unwrap_or(0);
        room.pass(Span::from_millis(100));
        got.extend(room.recv(server).unwrap_or_default());
    }
    assert_eq!(got, text);
    assert!(room.net.held(A, B) > 0 && room.now > Instant::START + Span::from_secs(3));
}

#[test]
fn a_lost_window_update_does_not_hang_the_writer() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    while room.send(client, &[1; 50_000]).is_ok() {
        room.settle();
    }
    room.net.set_link(B, A, BLOCKED, room.now);
    let first = room.recv(server).unwrap().len();
    room.pass(Span::from_secs(1));
    assert_eq!(room.recv(server), Err(Errno::EAGAIN));
    room.net.set_link(B, A, QUIET, room.now);
    room.pass(Span::from_secs(2));
    assert_eq!(first + room.recv(server).unwrap().len(), 512 * 1024);
}

#[test]
fn a_slow_link_takes_its_time() {
    let mut room = Room::new();
    let (client, server) = room.connected();
    let link = Link { bandwidth: 100_000, latency: Span::from_millis(50), ..QUIET };
    room.net.set_link(A, B, link, room.now);
    room.send(client, &[0; 100_000]).unwrap();
    room.pass(Span::from_millis(900));
    let early = room.recv(server).map_or(0, |bytes| bytes.len());
    room.pass(Span::from_millis(200));
    assert!(early < 90_000);
    assert_eq!(early + room.recv(server).unwrap().len(), 100_000);
    assert!(room.net.held(A, B) > 0);
}
