use super::*;
use std::io::BufReader;

fn all(text: &str) -> Result<Vec<Value>, Error> {
    Values::new(BufReader::with_capacity(3, text.as_bytes()))
        .map(|found| found.map(|(_, found)| value(found)))
        .collect()
}

/// None of the maps here has a name that entries know.
fn value(found: Found) -> Value {
    match found {
        Found::Value(value) => value,
        Found::Map(draft) => {
            Value::Map(draft.extra.into_iter().map(|(name, value)| (Value::Keyword(name), value)).collect())
        }
    }
}

#[test]
fn values_in_sequence_or_in_one_vector_are_the_same() {
    let shown = |text: &str| -> Vec<String> { all(text).unwrap().iter().map(ToString::to_string).collect() };
    let expected = ["{:a 1, :b [nil true]}", "#{x}"];
    for text in [
        "{:a 1 :b [nil true]} #{x}",
        "[{:a 1, :b (nil true)}\n #{x}]",
        "({:a 1 :b #_skipped [nil ; a comment }\n true]} #{x}) ; the end",
        "; first\n#_ #_ one two [ ^{:line 3} {:a 1 :b #_{:c 1} [nil true]},, #{x} #_z ] #_after",
    ] {
        assert_eq!(shown(text), expected, "{text}");
    }
    assert_eq!(shown(""), [""; 0]);
    assert_eq!(shown(" [ ] "), [""; 0]);
    // only the first one may be the history
    assert_eq!(shown("a [1 2]"), ["a", "[1 2]"]);
}

#[test]
fn atoms_of_all_kinds() {
    let of = |text: &str| values_of(text, Place { line: 1, column: 1 }).unwrap();
    assert_eq!(of("-3 +4 5N 007"), [Value::Int(-3), Value::Int(4), Value::Int(5), Value::Int(7)]);
    assert_eq!(of("017 00 0"), [15, 0, 0].map(Value::Int));
    assert_eq!(of("1. 1e9 4/2 0x1F -0x10"), [1, 1_000_000_000, 2, 31, -16].map(Value::Int));
    for (token, form) in [
        ("0.50", "0.5"),
        ("4/6", "2/3"),
        ("-1.5M", "-1.5"),
        ("99999999999999999999N", "99999999999999999999"),
        ("##Inf", "##Inf"),
    ] {
        assert_eq!(of(token), [Value::Number(form.into())], "{token}");
    }
    assert_eq!(of("#{2 1.0} {:b 1 :a 2}"), of("#{1 2} {:a 2 :b 1}"));
    assert_eq!(of(r#""a\"\\\n\u00e9\u00E9\uD83D\uDE00\101""#), [Value::text("a\"\\\néé😀A")]);
    let tagged = |tag: &str, value| Value::Tagged(Box::new((tag.into(), value)));
    assert_eq!(
        of(r"\a \newline \u0041 \) \é \o101"),
        ["a", "\n", "A", ")", "é", "A"].map(|c| tagged("char", Value::text(c)))
    );
    assert_eq!(of("\\a"), of("#char \"a\""));
    assert_eq!(
        of(":a/b ::c - +x a.b/c-d nilly :true"),
        [
            Value::Keyword("a/b".into()),
            Value::Keyword(":c".into()),
            Value::Symbol("-".into()),
            Value::Symbol("+x".into()),
            Value::Symbol("a.b/c-d".into()),
            Value::Symbol("nilly".into()),
            Value::Keyword("true".into()),
        ]
    );
    assert_eq!(of("#inst\"2020\""), [tagged("inst", Value::text("2020"))]);
    assert_eq!(of("#a #b.C{}"), [tagged("a", tagged("b.C", Value::Map(Vec::new())))]);
    assert_eq!(of("#:a{:b 1 :c/d 2 :_/e 3 4 5}"), of("{:a/b 1 :c/d 2 :e 3 4 5}"));
}

#[test]
fn errors_name_place_and_cause() {
    let check =
        |text: &str, expected: &str| assert_eq!(all(text).unwrap_err().to_string(), expected, "{text}");
    check("[1\n [2", "line 2, column 2: what is opened here is never closed");
    check("[1 2", "line 1, column 1: what is opened here is never closed");
    check("{:a 1 :b", "line 1, column 1: the map opened here is never closed");
    check("é {:a 1 :b}", "line 1, column 11: the key `:b` of the map has no value");
    check("(1]", "line 1, column 3: found `]`, expected a value");
    check("[1] 2", "line 1, column 5: found `2`, expected nothing after the end of the history");
    check("x ]", "line 1, column 3: found `]`, expected a value");
    check("12ab", "line 1, column 1: `12ab` is no number");
    check("##In", "line 1, column 1: `##In` is no number");
    check("#1 2", "line 1, column 1: `#1` is no tag");
    check(
        ": a",
        "line 1, column 2: found ` `, expected the name of a keyword"
            .replace("` `", "the byte 0x20")
            .as_str(),
    );
    check("\\abc", "line 1, column 1: `\\abc` is no character");
    check(r#" "ab"#, "line 1, column 2: the text opened here is never closed");
    check(
        r#""\q""#,
        "line 1, column 3: found `q`, expected one of the escapes t r n b f u \\ \" after a backslash",
    );
    check(r#""\u12g4""#, "line 1, column 6: found `g`, expected four hexadecimal digits after \\u");
    check(r#""\ud800""#, "line 1, column 4: half a surrogate pair is no character");
    check("a #_", "line 1, column 5: found the end, expected a value");
    let deep = "[".repeat(1_000);
    check(&deep, "line 1, column 130: values are nested deeper than 128");
    check(&"#_".repeat(1_000), "line 1, column 259: values are nested deeper than 128");
    check(&"#a ".repeat(1_000), "line 1, column 388: values are nested deeper than 128");
    let bytes: Result<Vec<_>, Error> = Values::new(&b"\n \"a\xff\""[..]).collect();
    assert_eq!(bytes.unwrap_err().to_string(), "line 2, column 2: this is not UTF-8");
}

#[test]
fn what_edn_cannot_write_is_refused() {
    for value in [
        Value::Keyword(String::new()),
        Value::Keyword("a b".into()),
        Value::Symbol("nil".into()),
        Value::Symbol("12".into()),
        Value::Symbol("-1".into()),
        Value::Symbol(":a".into()),
        Value::Symbol("#a".into()),
        Value::Number("x".into()),
        Value::Tagged(Box::new(("_".into(), Value::Nil))),
        Value::Tagged(Box::new(("1".into(), Value::Nil))),
    ] {
        assert!(check(&Value::List(vec![value.clone()])).is_err(), "{value:?}");
    }
}
