//! What servers and programs answer to clients: read the same however it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oracle::value::Value;
use oracle::{Call, Function};
use readers::target::Manifest;
use readers::workload::protocol::{Asked, Nodes, Protocol, Reply};
use std::sync::LazyLock;

/// One target for each protocol of clients.
static CLIENTS: LazyLock<Vec<Manifest>> = LazyLock::new(|| {
    let texts = [
        include_str!("../../../targets/raft-demo/target.toml"),
        include_str!("../../../targets/etcd/target.toml"),
        include_str!("../../../targets/redis/target.toml"),
        include_str!("../../../targets/zookeeper/target.toml"),
    ];
    texts.map(|text| Manifest::parse(text, "target.toml").expect("it is a target of ours")).into()
});

fuzz_target!(|bytes: &[u8]| {
    let key = || "k".to_owned();
    let calls = [
        Call::Read { key: key(), value: None },
        Call::Cas { key: key(), expect: None, value: "v".to_owned(), result: None },
        Call::Elements { key: key(), elements: None },
        Call::Acquire { key: key(), grant: None },
        Call::Other { function: Function::Read, key: key(), asked: Value::Nil, answered: None },
    ];
    for client in CLIENTS.iter() {
        let has = |call: &&Call| match call {
            Call::Read { .. } => true,
            Call::Cas { .. } => client.client.resp.is_none(),
            Call::Elements { .. } => client.client.kv_http.is_none(),
            _ => client.client.exec.is_some(),
        };
        let greeting = client.client.resp.is_some().then_some(Asked::Greeting);
        let asked = calls.iter().filter(has).map(|call| Asked::Call(call, 7)).chain(greeting);
        for asked in asked {
            let whole = taken(client, bytes, bytes.len().max(1), asked);
            assert_eq!(whole, taken(client, bytes, 1, asked), "{asked:?}");
        }
    }
});

/// The replies up to the first that cannot be read.
fn taken(client: &Manifest, bytes: &[u8], piece: usize, asked: Asked<'_>) -> Vec<Result<Reply, String>> {
    let mut protocol = Protocol::new(&client.client);
    let nodes = Nodes::new(3);
    let mut all = Vec::new();
    let mut take = |protocol: &mut Protocol, has_ended| {
        loop {
            match protocol.take(asked, &nodes, has_ended) {
                Ok(None) => return true,
                Ok(Some((reply, _))) => all.push(Ok(reply)),
                Err(error) => {
                    all.push(Err(error));
                    return false;
                }
            }
        }
    };
    for piece in bytes.chunks(piece) {
        protocol.feed(piece);
        if !take(&mut protocol, false) {
            return all;
        }
    }
    take(&mut protocol, true);
    all
}
