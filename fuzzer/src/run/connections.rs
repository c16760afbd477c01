//! Connections from outside: carries out what state machines ask of their connections and tells them what
//! happens there. One connection a slot; what happens to a connection that was given up is not told.

use interceptor::event::HostId;
use interceptor::net::{Ready, SocketId};
use interceptor::sandbox::{ClientEvent, Error, Sandbox};
use nix::errno::Errno;
use std::collections::BTreeMap;

/// What happened on the connection of a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Happening {
    /// It was made, or could not be.
    Connected(bool),
    /// Bytes arrived.
    Bytes(Vec<u8>),
    /// It has ended.
    Closed,
}

/// All connections of one execution.
#[derive(Debug, Default)]
pub(super) struct Connections {
    by_slot: BTreeMap<usize, Connection>,
    by_socket: BTreeMap<SocketId, usize>,
}

#[derive(Debug)]
struct Connection {
    socket: SocketId,
    is_up: bool,
    /// Not yet taken by the sandbox.
    unsent: Vec<u8>,
}

impl Connections {
    /// Begins to connect a slot, in place of the connection it had.
    pub fn connect(&mut self, sandbox: &mut Sandbox, slot: usize, from: HostId, node: usize, port: u16) {
        self.close(sandbox, slot);
        let socket = sandbox.client_connect(from, node, port);
        self.by_slot.insert(slot, Connection { socket, is_up: false, unsent: Vec::new() });
        self.by_socket.insert(socket, slot);
    }

    /// Starts a client's program, by its position, anew, in place of the one that the slot talked to.
    pub fn converse(&mut self, sandbox: &mut Sandbox, slot: usize, program: usize) -> Result<(), Error> {
        self.close(sandbox, slot);
        let socket = sandbox.start_client(program)?;
        self.by_slot.insert(slot, Connection { socket, is_up: true, unsent: Vec::new() });
        self.by_socket.insert(socket, slot);
        Ok(())
    }

    /// Sends; false when the connection is lost.
    pub fn send(&mut self, sandbox: &mut Sandbox, slot: usize, bytes: &[u8]) -> bool {
        let Some(connection) = self.by_slot.get_mut(&slot) else { return false };
        connection.unsent.extend_from_slice(bytes);
        let is_up = connection.flush(sandbox);
        if !is_up {
            self.close(sandbox, slot);
        }
        is_up
    }

    /// Closes the connection of a slot, if it has one.
    pub fn close(&mut self, sandbox: &mut Sandbox, slot: usize) {
        if let Some(connection) = self.by_slot.remove(&slot) {
            self.by_socket.remove(&connection.socket);
            sandbox.client_close(connection.socket);
        }
    }

    /// Closes all connections.
    pub fn close_all(&mut self, sandbox: &mut Sandbox) {
        let slots: Vec<usize> = self.by_slot.keys().copied().collect();
        slots.into_iter().for_each(|slot| self.close(sandbox, slot));
    }

    /// What an event of the sandbox means, in order.
    pub fn on_event(&mut self, sandbox: &mut Sandbox, event: ClientEvent) -> Vec<(usize, Happening)> {
        let mut happenings = Vec::new();
        let Some(slot) = self.by_socket.get(&event.socket).copied() else { return happenings };
        let Some(connection) = self.by_slot.get_mut(&slot) else { return happenings };
        if !connection.is_up {
            match sandbox.client_connected(event.socket) {
                None => return happenings,
                Some(Ok(())) => {
                    connection.is_up = true;
                    happenings.push((slot, Happening::Connected(true)));
                }
                Some(Err(_)) => {
                    self.close(sandbox, slot);
                    return vec![(slot, Happening::Connected(false))];
                }
            }
        }
        let mut is_over = event.ready.contains(Ready::OUT) && !connection.flush(sandbox);
        let mut received = Vec::new();
        while !is_over {
            match sandbox.client_receive(event.socket) {
                Ok(bytes) if bytes.is_empty() => is_over = true,
                Ok(bytes) => received.extend_from_slice(&bytes),
                Err(Errno::EAGAIN) => break,
                Err(_) => is_over = true,
            }
        }
        if !received.is_empty() {
            happenings.push((slot, Happening::Bytes(received)));
        }
        if is_over {
            self.close(sandbox, slot);
            happenings.push((slot, Happening::Closed));
        }
        happenings
    }
}

impl Connection {
    /// Sends what is left; false when the connection is lost.
    fn flush(&mut self, sandbox: &mut Sandbox) -> bool {
        while self.is_up && !self.unsent.is_empty() {
            match sandbox.client_send(self.socket, &self.unsent) {
                Ok(count) => drop(self.unsent.drain(..count)),
                Err(Errno::EAGAIN) => return true,
                Err(_) => return false,
            }
        }
        true
    }
}
