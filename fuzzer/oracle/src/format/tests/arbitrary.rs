//! Readers survive everything: an entry or an error, and an end.

use super::*;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::io::BufReader;

/// A small history in each format.
const SEEDS: [(Format, &str); 11] = [
    (
        Format::Edn,
        "; c\n{:type :invoke, :f :write, :value [1 \"a\\n\\u00e9\" 2/3 -1.5M], :process 0, :time 3, :index 1}\n\
         #_x #a.B{:type :ok, :f :write, :value #{nil \\c}, :process 0, :error :e}",
    ),
    (
        Format::Edn,
        "[{:index 0 :type :invoke, :process :nemesis, :f :txn :value [[:r x nil] [:append :y ##Inf]]},\n {}]",
    ),
    (Format::Kv, "{:process 1, :type :ok, :f :get, :key \"9\", :value \"x 9 0 y\"}\n"),
    (
        Format::Json,
        "{\"type\":\"invoke\",\"f\":\"cas\",\"process\":0,\"value\":[null,1.5e3,\"\\ud83d\\ude00\"],\"index\":0}\n\
         {\"type\":\"ok\",\"f\":\"cas\",\"process\":0,\"value\":{\"a\":[true,false]},\"time\":99999999999999999999}",
    ),
    (Format::Json, "[{\"type\":\"fail\",\"f\":\"read\",\"process\":\"nemesis\",\"key\":\"x\"} , {\"f\":1}]"),
    (
        Format::Etcd,
        "INFO  jepsen.util - 3\t:invoke\t:cas\t[1 4]\nINFO  jepsen.util - 3\t:fail\t:cas\t[1 4]\n\
         INFO  jepsen.util - :nemesis\t:info\t:x\t:y\t{}\n",
    ),
    (Format::Plume, "w(1,5,0,0)\nr(2,0,0,0)\nw(9,-9,1,-1)\nr(18446744073709551615,1,3,4)\n"),
    (Format::Awdit, "w 0 0\n-----\nr 1 99999999999999999999\n=====\nw 0 -1\n"),
    (
        Format::Dbcop,
        "{\"params\":{\"id\":0},\"data\":[[{\"events\":[{\"Write\":{\"variable\":0,\"version\":1}},[\"r\",1,null]],\
         \"committed\":true}],[]],\"end\":\"x\"}",
    ),
    (Format::Hist, "// a\n[x:=1 y==2] [z==?]!\n---\n[1:=99999999999999999999]\n"),
    (Format::Lines, "a\r\n\n\u{feff}b"),
];

/// What is worth putting anywhere.
const WORDS: [&str; 27] = [
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    "\"",
    "\\",
    "#",
    "#_",
    "^",
    ":",
    ",",
    "\n",
    ";",
    "\u{feff}",
    ":=",
    "==",
    "?",
    "nil",
    "-1",
    "\\ud800",
    "##",
    "99999999999999999999999",
    "\0",
    "é",
    "=",
];

/// Reads it all in every format, with and without pairs; each reader ends after at most one error, and reads the same of
/// single bytes as of the whole.
fn survive(bytes: &[u8]) {
    let _ = detect(bytes);
    for format in Format::ALL {
        for independent in [false, true] {
            let mut entries = 0;
            let mut errors = 0;
            let in_bytes = read(format, BufReader::with_capacity(1, bytes), Options { independent });
            let mut in_bytes = in_bytes.take(if independent { 0 } else { usize::MAX });
            for entry in read(format, bytes, Options { independent }) {
                if !independent {
                    assert_eq!(in_bytes.next().as_ref(), Some(&entry), "{format:?}");
                }
                entries += 1;
                errors += usize::from(entry.is_err());
                assert!(errors == 0 || entry.is_err(), "{format:?} goes on after an error");
                assert!(entries <= bytes.len() * 2 + 1, "{format:?} does not end");
                if let Err(error) = entry {
                    assert!(error.place.is_some(), "{format:?}: {error}");
                }
            }
            assert!(errors <= 1 && in_bytes.next().is_none());
        }
    }
}

#[test]
fn arbitrary_bytes() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..3_000 {
        let length = rng.random_range(0..40);
        let bytes: Vec<u8> = (0..length).map(|_| rng.random()).collect();
        survive(&bytes);
    }
}

#[test]
fn words_of_the_formats_in_any_order() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for _ in 0..3_000 {
        let count = rng.random_range(0..20);
        let text: String = (0..count).map(|_| WORDS[rng.random_range(0..WORDS.len())]).collect();
        survive(text.as_bytes());
    }
}

#[test]
fn mutated_histories() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    for round in 0..6_000 {
        let (_, seed) = SEEDS[round % SEEDS.len()];
        let mut bytes = seed.as_bytes().to_vec();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..5) {
                0 => bytes[at] = rng.random(),
                1 => bytes.truncate(at.max(1)),
                2 => drop(bytes.drain(at..(at + rng.random_range(1..8)).min(bytes.len()).max(at + 1))),
                3 => drop(bytes.splice(at..at, WORDS[rng.random_range(0..WORDS.len())].bytes())),
                _ => {
                    let (_, other) = SEEDS[rng.random_range(0..SEEDS.len())];
                    let from = rng.random_range(0..other.len());
                    bytes.splice(at..at, other.as_bytes()[from..].iter().copied());
                }
            }
            if bytes.is_empty() {
                bytes.push(b' ');
            }
        }
        survive(&bytes);
    }
}

#[test]
fn the_seeds_are_histories() {
    for (format, seed) in SEEDS {
        let first = read(format, seed.as_bytes(), Options::default()).next();
        assert!(matches!(first, Some(Ok(_))), "{format:?}: {first:?}");
    }
}
