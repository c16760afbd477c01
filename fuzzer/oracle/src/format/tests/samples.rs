//! Look-alikes of real files, and what is made of them.

use super::*;

fn fails(format: Format, text: &str, expected: &str) {
    assert_eq!(shown(format, text).unwrap_err().to_string(), expected, "{text}");
}

#[test]
fn jepsen_edn() {
    let text = "; a store directory's history.edn
{:type :invoke, :f :write, :value [1 5], :time 17, :process 0, :index 10}
#jepsen.history.Op{:index 11, :time -1, :type :info, :process :nemesis, :f :start-partition,
                   :value {\"n1\" #{\"n2\"}}}
{:process 0, :type :ok, :f :write, :value #jepsen.independent/tuple [1 5], :clock-offsets {\"n1\" 0.5}}
{:process 1, :type :fail, :f \"read\", :value nil, :error [:timeout \"no, {really}\"]}";
    let plain = [
        "10 p0 invoke write value=[1 5] @17",
        "11 nemesis info start-partition value={\"n1\" #{\"n2\"}}",
        "12 p0 ok write key=1 value=5 clock-offsets={\"n1\" 0.5}",
        "13 p1 fail read value=nil error=[:timeout \"no, {really}\"]",
    ];
    assert_eq!(shown(Format::Edn, text).unwrap(), plain);
    assert_eq!(shown(Format::Edn, &format!("[{text}]")).unwrap(), plain);
    let split = shown_with(Format::Edn, text, Options { independent: true }).unwrap();
    assert_eq!(split[0], "10 p0 invoke write key=1 value=5 @17");
    assert_eq!(split[1..], plain[1..]);
}

#[test]
fn jepsen_json_and_our_own() {
    let line = r#"{"f":"cas","index":3,"key":"x","process":1,"result":false,"time":7,"type":"ok","value":[null,"b"]}"#;
    let expected = ["3 p1 ok cas key=\"x\" value=[nil \"b\"] result=false @7"];
    assert_eq!(shown(Format::Json, line).unwrap(), expected);
    assert_eq!(shown(Format::Json, &format!("[{line}\n]")).unwrap(), expected);
}

#[test]
fn porcupine_texts() {
    let text = "{:process 9, :type :invoke, :f :append, :key \"0\", :value \"x 9 0 y\"}\n\
                {:process 1, :type :invoke, :f :get, :key \"9\", :value nil}\n\
                {:process 1, :type :ok, :f :get, :key \"9\", :value \"x 9 0 y\"}\n";
    assert_eq!(shown(Format::Kv, text).unwrap()[1], "1 p1 invoke get key=\"9\" value=nil");
    assert_eq!(converted(Format::Edn, text, Format::Kv, Options::default()).unwrap(), text);
}

#[test]
fn etcd_logs() {
    let text = "INFO  jepsen.core - Running test\n\
                INFO  jepsen.util - Everything looks good\n\
                INFO  jepsen.util - 3\t:invoke\t:cas\t[1 4]\n\
                INFO  jepsen.util - 4   :invoke :read   nil\n\
                2016-01-01 INFO  jepsen.util: :nemesis\t:info\t:start\t:majority\n\
                INFO  jepsen.util - 3\t:fail\t:cas\t[1 4]\n\
                INFO  jepsen.util - 4   :fail   :read   :timed-out\n\
                INFO  jepsen.util - 5\t:info\t:write\t3\t[:lost \"connection\"]\n";
    let expected = [
        "0 p3 invoke cas value=[1 4]",
        "1 p4 invoke read value=nil",
        "2 nemesis info start value=nil error=:majority",
        "3 p3 ok cas value=[1 4] result=false",
        "4 p4 fail read value=nil error=:timed-out",
        "5 p5 info write value=3 error=[:lost \"connection\"]",
    ];
    assert_eq!(shown(Format::Etcd, text).unwrap(), expected);
    fails(
        Format::Etcd,
        "\nINFO  jepsen.util - 3\t:done\t:read\tnil",
        "line 2, column 1: found `:done`, expected the type: :invoke, :ok, :fail or :info",
    );
    fails(
        Format::Etcd,
        "INFO  jepsen.util - 3\t:ok\t:read\t[1",
        "line 1, column 33: what is opened here is never closed",
    );
}

#[test]
fn plume_text() {
    let text = "w(1,5,0,0)\nr(2,0,0,0)\nr(1,5,1,7)\nw(9,9,1,-1)\nw(1,6,0,0)\n\nr(3,0,2,8)\nw(3,0,2,9)\n";
    let expected = [
        "0 p0 invoke txn value=[[:w 1 5] [:r 2 nil] [:w 1 6]]",
        "1 p0 ok txn value=[[:w 1 5] [:r 2 nil] [:w 1 6]]",
        "2 p1 invoke txn value=[[:r 1 nil]]",
        "3 p1 ok txn value=[[:r 1 5]]",
        "4 p1 invoke txn value=[[:w 9 9]]",
        "5 p1 fail txn value=[[:w 9 9]]",
        "6 p2 invoke txn value=[[:r 3 nil]]",
        "7 p2 ok txn value=[[:r 3 0]]",
        "8 p2 invoke txn value=[[:w 3 0]]",
        "9 p2 ok txn value=[[:w 3 0]]",
    ];
    assert_eq!(shown(Format::Plume, text).unwrap(), expected);
    let wrong = "line 2, column 1: found `r(1,2,3)`, expected r(key,value,session,transaction) or w(...)";
    fails(Format::Plume, "r(1,2,3,4)\nr(1,2,3)", wrong);
    fails(Format::Plume, "r(a,2,3,4)", "line 1, column 1: found `a`, expected a whole number");
    fails(
        Format::Plume,
        "r(1,2,x,4)",
        "line 1, column 1: found `x`, expected the number of a session or transaction",
    );
}

#[test]
fn awdit_text() {
    let text = "w 0 0\nw 1 0\n=====\nw 0 1\n-----\nr 0 1\nr 2 0\n=====\n=====\nr 1 0\n";
    let expected = [
        "0 p0 invoke txn value=[[:w 0 0] [:w 1 0]]",
        "1 p0 ok txn value=[[:w 0 0] [:w 1 0]]",
        "2 p1 invoke txn value=[[:w 0 1]]",
        "3 p1 ok txn value=[[:w 0 1]]",
        "4 p1 invoke txn value=[[:r 0 nil] [:r 2 nil]]",
        "5 p1 ok txn value=[[:r 0 1] [:r 2 nil]]",
        "6 p2 invoke txn value=[[:r 1 nil]]",
        "7 p2 ok txn value=[[:r 1 0]]",
    ];
    assert_eq!(shown(Format::Awdit, text).unwrap(), expected);
    fails(
        Format::Awdit,
        "w 0\n",
        "line 1, column 1: found `w 0`, expected `r key value`, `w key value`, or a line of - or =",
    );
}

#[test]
fn dbcop_json() {
    let sessions = r#"[
  [{"events":[{"Write":{"variable":0,"version":1}},["r",1,null]],"committed":true},
   {"events":[],"committed":true}],
  [], [{"committed":false,"events":[{"Read":{"variable":0,"version":null}}]}]]"#;
    let expected = [
        "0 p0 invoke txn value=[[:w 0 1] [:r 1 nil]]",
        "1 p0 ok txn value=[[:w 0 1] [:r 1 nil]]",
        "2 p0 invoke txn value=[]",
        "3 p0 ok txn value=[]",
        "4 p2 invoke txn value=[[:r 0 nil]]",
        "5 p2 fail txn value=[[:r 0 nil]]",
    ];
    assert_eq!(shown(Format::Dbcop, sessions).unwrap(), expected);
    // 0 is what nobody has written, unless somebody writes it.
    let first =
        r#"[[{"events":[["r",0,0],["r",1,0]],"committed":true}],[{"events":[["w",1,0]],"committed":false}]]"#;
    assert_eq!(shown(Format::Dbcop, first).unwrap()[1], "1 p0 ok txn value=[[:r 0 nil] [:r 1 0]]");
    let around = format!(r#"{{"params":{{"id":[0]}},"data":{sessions},"end":"now"}}"#);
    assert_eq!(shown(Format::Dbcop, &around).unwrap(), expected);
    assert!(shown(Format::Dbcop, "[]").unwrap().is_empty());
    fails(Format::Dbcop, r#"{"a":1}"#, "line 1, column 1: the object has no field `data` with the sessions");
    fails(Format::Dbcop, r#"{"data":[],"data":[]}"#, "line 1, column 12: the field `data` stands twice");
    fails(
        Format::Dbcop,
        "[[\n1]]",
        "line 2, column 1: found `1`, expected a transaction with `events` and `committed`",
    );
    fails(Format::Dbcop, "[[]", "line 1, column 1: what is opened here is never closed");
    fails(Format::Dbcop, "[1]", "line 1, column 2: found `1`, expected a session: a list of transactions");
}

#[test]
fn broken_entries_name_their_field() {
    let check = |text: &str, expected: &str| fails(Format::Edn, text, expected);
    check(
        "{:type :ok :process 0 :f :read} 7",
        "line 1, column 33: found a number, expected a map with type, process and f",
    );
    check(
        "{:type :ok :f :read}",
        "line 1, column 1: the field `process` is missing, expected a number of at least 0, or a name such as nemesis",
    );
    check(
        "{:type :okay :process 0 :f :read}",
        "line 1, column 1: the field `type` holds `:okay`, expected invoke, ok, fail or info",
    );
    check(
        "{:type :ok :process 0 :f [1]}",
        "line 1, column 1: the field `f` holds `[1]`, expected the name of an operation",
    );
    check(
        "{:type :ok :process 0 :f :r :time [1]}",
        "line 1, column 1: the field `time` holds `[1]`, expected a whole number of at least 0",
    );
    check(
        "{:type :ok :process 0 :value 1}",
        "line 1, column 1: the field `f` is missing, expected the name of an operation",
    );
    check("{:type :ok :process 0 :f :r :f :w}", "line 1, column 1: the field `f` stands twice");
}

#[test]
fn formats_are_told_from_their_beginnings() {
    let told = |text: &str| detect(text.as_bytes()).map(Format::name);
    for (format, text) in [
        ("edn", "; comment\n{:type :ok"),
        ("edn", "[{:type :ok"),
        ("edn", "({:type :ok"),
        ("edn", "[\n #jepsen.history.Op{"),
        ("edn", "{\"type\" 1"),
        ("json", "{\"type\": \"ok\""),
        ("json", "\u{feff}[ {\"type\" : \"ok\""),
        ("edn", "^{:name \"x\"} [{:type :ok"),
        ("edn", "#_ {\"a\" 1} {:type :ok"),
        ("edn", "[[{:type :ok"),
        ("edn", "{:name 1 :history [{:type"),
        ("json", "{\"name\": 1, \"data\": [1], \"history\": [{\"type\""),
        ("json", "[[{\"type\": \"ok\", \"process\": 1"),
        ("txt", "0\t:invoke\t:write\t1"),
        ("txt", ":nemesis   :info :kill nil"),
        ("etcd", "INFO  jepsen.core - Hi\nINFO  jepsen.util - 3\t:invoke"),
        ("plume", "r(1,2,3,4)\n"),
        ("awdit", "\nr 1 2\n"),
        ("awdit", "====\nr 1 2\n"),
        ("dbcop", "[ [ {\"events\":[]"),
        ("dbcop", "{\"params\": {\"id\":0}, "),
        ("dbcop", "{\"data\": [[]]}"),
    ] {
        assert_eq!(told(text), Some(format), "{text}");
    }
    for text in ["", "\n;\n", "hello", "[1", "12", "{7}"] {
        assert_eq!(told(text), None, "{text}");
    }
}

#[test]
fn what_cannot_be_said_is_refused_with_its_entry() {
    let register =
        "{:type :invoke :process 0 :f :cas :value [1 2]}\n{:type :ok :process 0 :f :cas :value [1 2]}";
    let lost = "{:type :invoke :process 0 :f :txn :value [[:w 1 2]]}";
    let append = "{:type :invoke :process 0 :f :txn :value [[:append 1 2]]}\n\
                  {:type :fail :process 0 :f :txn :value [[:append 1 2]]}";
    let none = Options::default();
    let check = |text: &str, to: Format, expected: &str| {
        assert_eq!(converted(Format::Edn, text, to, none).unwrap_err().to_string(), expected);
    };
    check(
        register,
        Format::Plume,
        "line 1, column 1: operation 0 (cas [1 2]): the format has transactions of reads and writes only",
    );
    check(
        lost,
        Format::Dbcop,
        "line 1, column 1: operation 0 (txn [[:w 1 2]]): its outcome is unknown, and the format has committed and \
         aborted transactions only",
    );
    check(
        append,
        Format::Awdit,
        "line 1, column 1: operation 0 (txn [[:append 1 2]]): found `[:append 1 2]`, expected [:r key value] or \
         [:w key value]; the format has no other accesses",
    );
    check(register, Format::Kv, "line 1, column 1: entry 0: kv has get, put and append only, no cas");
    check(
        &append.replace("append", "w"),
        Format::Awdit,
        "line 1, column 1: entry 0: it was aborted, and the format has committed transactions only",
    );
    check(
        "{:type :ok :process 0 :f :r :value #inst \"x\"}",
        Format::Json,
        "line 1, column 1: entry 0: JSON cannot write a tagged value such as #inst",
    );
    check(
        "{:type :ok :process 0 :f :read :key 1}",
        Format::Etcd,
        "line 1, column 1: entry 0: etcd's logs have one object only, no key such as 1",
    );
}

#[test]
fn dbcop_text() {
    let text = "// session 1\n[x:=1 y:=1] [z==?]!\n\n---\n[x==1\tb_2:=3]\n";
    let expected = [
        "0 p0 invoke txn value=[[:w \"x\" 1] [:w \"y\" 1]]",
        "1 p0 ok txn value=[[:w \"x\" 1] [:w \"y\" 1]]",
        "2 p0 invoke txn value=[[:r \"z\" nil]]",
        "3 p0 fail txn value=[[:r \"z\" nil]]",
        "4 p1 invoke txn value=[[:r \"x\" nil] [:w \"b_2\" 3]]",
        "5 p1 ok txn value=[[:r \"x\" 1] [:w \"b_2\" 3]]",
    ];
    assert_eq!(shown(Format::Hist, text).unwrap(), expected);
    assert_eq!(shown(Format::Hist, "[x==0]").unwrap()[1], "1 p0 ok txn value=[[:r \"x\" nil]]");
    assert_eq!(detect(text.as_bytes()), Some(Format::Hist));
    assert_eq!(detect(b"[x:=1]"), Some(Format::Hist));
    fails(Format::Hist, "[x:=1", "line 1, column 1: what is opened here is never closed");
    fails(
        Format::Hist,
        "[x:=1\n y=2]",
        "line 2, column 4: found `2`, expected `:=` or `==` after the name of a variable",
    );
    fails(Format::Hist, "[x:=?]", "line 1, column 5: found `?`, expected a version: a whole number");
    fails(
        Format::Hist,
        "x:=1",
        "line 1, column 1: found `x`, expected a transaction in brackets, or a line of -",
    );
}
