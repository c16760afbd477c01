mod support;
use interceptor::sandbox::Limits;
use std::path::Path;

#[test]
fn a_small_program_runs() {
    for (program, args) in [("/bin/sh", vec!["-c", "sleep 1; date; cat /proc/cpuinfo | head -2; echo $$; (exit 3); echo $?; sleep 2 & wait; date; kill -9 $$"]),
       ("/root/.pyenv/versions/3.11.7/bin/python3", vec!["-c", "import asyncio,threading,time,socket\nasync def main():\n    async def h(r,w):\n        d=await r.readline(); w.write(b'echo '+d); await w.drain(); w.close()\n    s=await asyncio.start_server(h,'127.0.0.1',7777)\n    r,w=await asyncio.open_connection('127.0.0.1',7777)\n    w.write(b'hi\\n'); print(await r.readline())\n    await asyncio.sleep(0.5); print(time.time())\nasyncio.run(main())\nt=threading.Thread(target=lambda:(time.sleep(0.1),print('thread'))); t.start(); t.join(); print(socket.gethostname(), hash('abc'))"])] {
        let ran = support::sandboxed(Path::new(program), &args, 1, Limits::default());
        println!("{program}: {:?} {:?} {:?} {:?} {} {:?}", ran.stdout, ran.stderr, ran.exit, ran.stopped, ran.virtual_ms, ran.leaks);
        let again = support::sandboxed(Path::new(program), &args, 1, Limits::default());
        println!("equal: {}", ran == again);
        for (i,(a,b)) in ran.calls.iter().zip(&again.calls).enumerate() { if a != b { println!("{i} of {} {}: {a}\n   {b}\n prev {:?}", ran.calls.len(), again.calls.len(), &ran.calls[i.saturating_sub(4)..i]); break; } }
        if ran.exit.is_none() { for c in &ran.calls { println!("{c}"); } }
    }
}
