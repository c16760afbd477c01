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
            Value::Map(draft.extra.into_iter().map(|(name, value)| (Value::Text(name), value)).collect())
        }
    }
}

#[test]
fn values_in_sequence_or_in_one_array_are_the_same() {
    let shown = |text: &str| -> Vec<String> { all(text).unwrap().iter().map(ToString::to_string).collect() };
    for text in [
        "{\"a\":1,\"b\":[null,true]}\n\"\"\n",
        "[{\"a\" : 1 , \"b\":[ null,true ] },\n\"\"]",
        "\u{feff} [{\"a\":1,\"b\":[null,true]},\"\"] \n",
    ] {
        assert_eq!(shown(text), ["{\"a\" 1, \"b\" [nil true]}", "\"\""], "{text}");
    }
    assert_eq!(shown(""), [""; 0]);
    assert_eq!(shown(" [ ] "), [""; 0]);
}

#[test]
fn atoms_of_all_kinds() {
    let numbers = all("[0,-3,9223372036854775807,9223372036854775808,0.50,1e9,-2E-3]").unwrap();
    let other = |token: &str| Value::Number(token.into());
    assert_eq!(
        numbers,
        [
            Value::Int(0),
            Value::Int(-3),
            Value::Int(i64::MAX),
            other("9223372036854775808"),
            other("0.5"),
            Value::Int(1_000_000_000),
            other("-0.002")
        ]
    );
    assert_eq!(all(r#""\u00e9\ud83d\ude00\/\"\\\t""#).unwrap(), [Value::text("é😀/\"\\\t")]);
}

#[test]
fn errors_name_place_and_cause() {
    let check =
        |text: &str, expected: &str| assert_eq!(all(text).unwrap_err().to_string(), expected, "{text}");
    check("[1,\n [2", "line 2, column 2: what is opened here is never closed");
    check("[1,2", "line 1, column 1: what is opened here is never closed");
    check("[1 2]", "line 1, column 4: found `2`, expected a comma or `]`");
    check("[1,]", "line 1, column 4: found `]`, expected a value");
    check("[1] 2", "line 1, column 5: found `2`, expected nothing after the end of the history");
    check("{\"a\" 1}", "line 1, column 6: found `1`, expected a colon");
    check("{a:1}", "line 1, column 2: found `a`, expected the name of a field in quotes");
    check("01", "line 1, column 1: `01` is no number");
    check("1.", "line 1, column 1: `1.` is no number");
    check("NaN", "line 1, column 1: found `N`, expected a value");
    check("nul", "line 1, column 1: `nul` is no value");
    check(
        "\"a\nb\"",
        "line 1, column 3: found the byte 0x0a, expected the end of the text before any control character",
    );
    check("\"\\ude00\"", "line 1, column 4: half a surrogate pair is no character");
    check(&"[".repeat(1_000), "line 1, column 130: values are nested deeper than 128");
    check(&"{\"\":".repeat(1_000), "line 1, column 517: values are nested deeper than 128");
}

#[test]
fn edn_values_become_what_json_has() {
    let written = |value: Value| {
        let mut json = String::new();
        write(&mut json, &value).map(|()| json)
    };
    let keyword = |name: &str| Value::Keyword(name.into());
    let value = Value::List(vec![
        keyword("append"),
        Value::Set(vec![Value::Int(1)]),
        Value::Map(vec![(Value::Int(1), Value::text("\u{1}\"")), (keyword("k"), Value::Nil)]),
    ]);
    assert_eq!(written(value).unwrap(), r#"["append",[1],{"1":"\u0001\"","k":null}]"#);
    assert_eq!(written(Value::Number("2/3".into())).unwrap_err(), "JSON cannot write the number `2/3`");
    let tagged = Value::Tagged(Box::new(("inst".into(), Value::Nil)));
    assert_eq!(written(tagged).unwrap_err(), "JSON cannot write a tagged value such as #inst");
}
