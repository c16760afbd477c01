//! Whatever programs and links do, a stream delivers a prefix of what was written, in order, and all of it
//! once the links are well; and the same calls give the same edges.

use super::*;
use crate::net::tcp::State;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Act {
    Write { stream: usize, reverse: bool, length: usize },
    Read { stream: usize, reverse: bool, most: usize },
    Pass(u64),
    Link { reverse: bool, kind: u8 },
    Dial,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..3_usize, any::<bool>(), 1..90_000_usize)
            .prop_map(|(stream, reverse, length)| Act::Write { stream, reverse, length }),
        4 => (0..3_usize, any::<bool>(), 1..120_000_usize)
            .prop_map(|(stream, reverse, most)| Act::Read { stream, reverse, most }),
        3 => (0..3_000_000_u64).prop_map(Act::Pass),
        1 => (0..2_000_000_000_u64).prop_map(Act::Pass),
        2 => (any::<bool>(), 0..6_u8).prop_map(|(reverse, kind)| Act::Link { reverse, kind }),
        1 => Just(Act::Dial),
    ]
}

/// The byte at `offset` of every stream.
fn pattern(offset: usize) -> u8 {
    (offset % 253) as u8
}

/// One direction of one connection.
#[derive(Clone, Copy)]
struct Half {
    writer: SocketId,
    reader: SocketId,
    written: usize,
    read: usize,
}

struct Play {
    room: Room,
    listener: SocketId,
    dialled: Vec<SocketId>,
    streams: Vec<[Half; 2]>,
    log: Vec<(SocketId, Ready)>,
}

impl Play {
    fn new() -> Self {
        let mut room = Room::new();
        let listener = room.listener(B, "0.0.0.0:80", 64);
        let mut play = Self { room, listener, dialled: Vec::new(), streams: Vec::new(), log: Vec::new() };
        for _ in 0..3 {
            play.dial();
        }
        play.room.settle();
        play.accept();
        play
    }

    fn dial(&mut self) {
        let id = self.room.dial(A, "10.0.0.2:80");
        self.dialled.push(id);
    }

    fn accept(&mut self) {
        while let Ok((server, from)) = self.room.net.accept(self.listener) {
            let client =
                *self.dialled.iter().find(|&&id| self.room.net.local(id).as_ref() == Ok(&from)).unwrap();
            let half = |writer, reader| Half { writer, reader, written: 0, read: 0 };
            self.streams.push([half(client, server), half(server, client)]);
        }
    }

    fn read(&mut self, stream: usize, reverse: bool, most: usize) -> bool {
        let half = &mut self.streams[stream][usize::from(reverse)];
        match self.room.net.recv(half.reader, most, false, self.room.now) {
            Ok(received) => {
                for byte in received.bytes {
                    assert_eq!(byte, pattern(half.read));
                    half.read += 1;
                }
                assert!(half.read <= half.written);
                true
            }
            Err(error) => {
                assert_eq!(error, Errno::EAGAIN);
                false
            }
        }
    }

    fn act(&mut self, act: &Act) {
        match *act {
            Act::Write { stream, reverse, length } => {
                let half = &mut self.streams[stream][usize::from(reverse)];
                let data: Vec<u8> = (half.written..half.written + length).map(pattern).collect();
                match self.room.net.send(half.writer, &data, None, self.room.now) {
                    Ok(count) => half.written += count,
                    Err(error) => assert_eq!(error, Errno::EAGAIN),
                }
            }
            Act::Read { stream, reverse, most } => {
                self.read(stream, reverse, most);
            }
            Act::Pass(nanos) => self.room.pass(Span(nanos)),
            Act::Link { reverse, kind } => {
                let link = match kind {
                    0 => BLOCKED,
                    1 => Link { stalled: true, ..QUIET },
                    2 => Link { loss_ppm: 300_000, ..QUIET },
                    3 => Link { latency: Span::from_millis(80), jitter: Span::from_millis(40), ..QUIET },
                    4 => Link { bandwidth: 1_000_000, ..QUIET },
                    _ => QUIET,
                };
                let (from, to) = if reverse { (B, A) } else { (A, B) };
                self.room.net.set_link(from, to, link, self.room.now);
            }
            Act::Dial => self.dial(),
        }
        self.log.extend(self.room.net.take_edges());
    }

    /// All links well, and time until nothing is left to happen.
    fn heal(&mut self) {
        self.room.both_ways(&QUIET);
        loop {
            self.accept();
            let mut moved = false;
            for stream in 0..self.streams.len() {
                for reverse in [false, true] {
                    moved |= self.read(stream, reverse, usize::MAX);
                }
            }
            self.log.extend(self.room.net.take_edges());
            match self.room.net.deadline() {
                Some(at) => {
                    self.room.now = self.room.now.max(at);
                    self.room.net.advance(self.room.now);
                }
                None if !moved => return,
                None => {}
            }
        }
    }
}

fn play(acts: &[Act]) -> (Vec<(SocketId, Ready)>, Instant) {
    let mut play = Play::new();
    for act in acts {
        play.act(act);
    }
    play.heal();
    for half in play.streams.iter().flatten() {
        assert_eq!(half.read, half.written);
        assert_eq!(play.room.net.unsent(half.writer), 0);
    }
    assert_eq!(play.streams.len(), play.dialled.len(), "every request was answered in the end");
    (play.log, play.room.now)
}

/// What else may befall a room: for these, only order is promised, and that nothing is left behind.
#[derive(Clone, Debug)]
enum Blow {
    Act(Act),
    Shut { stream: usize, server: bool, read: bool },
    Close { stream: usize, server: bool, linger: bool },
    Abandon,
    Power(bool),
    Kill(bool),
    Reset,
}

fn blow() -> impl Strategy<Value = Blow> {
    prop_oneof![
        20 => act().prop_map(Blow::Act),
        2 => (0..3_usize, any::<bool>(), any::<bool>())
            .prop_map(|(stream, server, read)| Blow::Shut { stream, server, read }),
        2 => (0..3_usize, any::<bool>(), any::<bool>())
            .prop_map(|(stream, server, linger)| Blow::Close { stream, server, linger }),
        1 => Just(Blow::Abandon),
        1 => any::<bool>().prop_map(Blow::Power),
        1 => any::<bool>().prop_map(Blow::Kill),
        1 => Just(Blow::Reset),
    ]
}

/// Lets everything happen that will.
fn run_out(room: &mut Room) {
    while let Some(at) = room.net.deadline() {
        room.now = room.now.max(at);
        room.net.advance(room.now);
    }
}

fn survive(blows: &[Blow]) -> Vec<(SocketId, Ready)> {
    let mut play = Play::new();
    let mut log = Vec::new();
    for blow in blows {
        let end = |play: &Play, stream: usize, server: bool| play.streams[stream][usize::from(server)].writer;
        let (net, now) = (&mut play.room.net, play.room.now);
        match *blow {
            Blow::Act(Act::Write { stream, reverse, length }) => {
                let half = &mut play.streams[stream][usize::from(reverse)];
                let data: Vec<u8> = (half.written..half.written + length).map(pattern).collect();
                half.written += net.send(half.writer, &data, None, now).unwrap_or(0);
            }
            Blow::Act(Act::Read { stream, reverse, most }) => {
                let half = &mut play.streams[stream][usize::from(reverse)];
                for byte in net.recv(half.reader, most, false, now).unwrap_or_default().bytes {
                    assert_eq!(byte, pattern(half.read));
                    half.read += 1;
                }
                assert!(half.read <= half.written);
            }
            Blow::Act(ref act) => play.act(act),
            Blow::Shut { stream, server, read } => {
                let id = end(&play, stream, server);
                let _ = play.room.net.shutdown(id, read, !read, now);
            }
            Blow::Close { stream, server, linger } => {
                let id = end(&play, stream, server);
                let value = [u8::from(linger), 0, 0, 0, 0, 0, 0, 0];
                let _ = play.room.net.set_option(id, libc::SOL_SOCKET, libc::SO_LINGER, &value);
                play.room.close(id);
            }
            Blow::Abandon => play.room.close(play.dialled[play.dialled.len() - 1]),
            Blow::Power(true) => net.host_powered_on(B),
            Blow::Power(false) => net.host_powered_off(B),
            Blow::Kill(server) => net.host_killed(if server { B } else { A }, now),
            Blow::Reset => {
                net.reset_between(A, B, now);
            }
        }
        log.extend(play.room.net.take_edges());
    }
    let room = &mut play.room;
    room.net.host_powered_on(B);
    room.both_ways(&QUIET);
    run_out(room);
    for (id, _) in room.net.sockets.all() {
        let Some(tcp) = room.net.sockets.tcp(id) else { continue };
        assert!(!matches!(tcp.state, State::SynSent | State::SynReceived), "{id:?} waits for ever");
        let unread = tcp.peer.map_or(0, |peer| room.net.available(peer));
        assert!(!tcp.is_connected() || !tcp.send.outstanding() || unread > 0, "{id:?} is stuck");
    }
    for host in [A, B] {
        room.net.host_killed(host, room.now);
    }
    run_out(room);
    room.pass(Span::from_secs(61));
    assert_eq!(room.net.sockets.all().map(|(id, _)| id).collect::<Vec<_>>(), []);
    for at in ["10.0.0.1:80", "10.0.0.2:80"] {
        let host = if at.contains("0.1:") { A } else { B };
        let id = room.tcp(host);
        assert_eq!(room.net.bind(id, &inet(at), room.now), Ok(()), "all ports are free");
    }
    log
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn streams_deliver_all_in_order_and_runs_repeat(acts in prop::collection::vec(act(), 1..120)) {
        prop_assert_eq!(play(&acts), play(&acts));
    }

    #[test]
    fn whatever_happens_nothing_is_left_behind(blows in prop::collection::vec(blow(), 1..120)) {
        prop_assert_eq!(survive(&blows), survive(&blows));
    }
}
