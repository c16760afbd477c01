//! probe
use interceptor::room::Room;
use interceptor::sandbox::*;
use interceptor::time::{Instant, Span};
use std::time::Instant as Wall;
fn main() {
    let room = Room::enter(1 << 30).unwrap();
    println!("{:?}", room.isolation());
    let cpu = tracer_pin();
    let _ = cpu;
    let bin = room.install(std::path::Path::new("target/release/raft-demo"), "raft-demo").unwrap();
    let n = 3;
    let peers: Vec<String> = (1..=n).map(|i| format!("{i}=10.0.0.{i}:7000")).collect();
    for round in 0..4 {
    let w = Wall::now();
    let config = Config {
        seed: 7,
        nodes: (1..=n).map(|i| NodeConfig { name: format!("n{i}"), program: bin.clone(),
            arguments: ["--id", &i.to_string(), "--listen", &format!("10.0.0.{i}:7000"), "--client", &format!("10.0.0.{i}:8000"), "--peers", &peers.join(","), "--data-dir", &format!("/srv/n{i}"), "--bug", "none", "--reports"].iter().map(|s| s.to_string()).collect(),
            environment: vec![] }).collect(),
        clients: 1, dissectors: vec![(7000, "frame32-json:type".into()), (8000, "http".into())], limits: Limits::default(), keep_log: round == 3 };
    let mut s = Sandbox::new(&room, config).unwrap();
    for i in 0..n { s.start(i).unwrap(); }
    println!("spawned {:?}", w.elapsed());
    let mut leader = None;
    let end = Instant::START + Span::from_secs(11);
    let mut mark = None;
    loop {
        let p = s.run(end).unwrap();
        if leader.is_none() && s.logs().iter().any(|l| l.text.contains("\"role\":\"leader\"")) { leader = Some((w.elapsed(), s.now(), s.calls())); mark = Some((Wall::now(), s.now(), s.calls())); }
        if p != Pause::Activity { println!("{p:?} {:?}", s.stopped()); break; }
    }
    println!("leader {leader:?}");
    if let Some((t, v, c)) = mark { let virt = s.now().since(v).as_secs_f64(); let wall = t.elapsed().as_secs_f64(); let calls = s.calls() - c; println!("idle: {virt:.2} virtual s in {wall:.4} s = x{:.0}; {} calls, {:.2} us each; events {}", virt / wall, calls, wall * 1e6 / calls as f64, s.events().len()); }
    println!("calls {} hash {} leaks {:?}", s.calls(), &s.log().hash()[..16], s.leaks().collect::<Vec<_>>());
    if round == 3 { let mut m = std::collections::BTreeMap::new(); for e in s.log().entries().iter().filter(|e| e.at.0 > 3_000_000_000) { if let What::Call{number,..} = e.what { *m.entry(syscalls::name(number)).or_insert(0) += 1; } } println!("{m:?}"); 
      for e in s.log().entries().iter().filter(|e| e.at.0 > 5_000_000_000).take(60) { println!("{e}"); } for l in s.logs().iter().take(30) { println!("{l:?}"); } }
    let w = Wall::now(); drop(s); println!("drop {:?}", w.elapsed());
    }
}
fn tracer_pin() { let _ = nix::sched::sched_setaffinity(nix::unistd::Pid::from_raw(0), &{ let mut c = nix::sched::CpuSet::new(); c.set(1).unwrap(); c }); }
