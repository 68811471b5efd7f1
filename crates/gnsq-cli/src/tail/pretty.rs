//! JSON over several lines.

use serde::de::IgnoredAny;

/// The same JSON with its parts on lines of their own, keys and numbers as they are; `None` if it is no JSON.
pub(super) fn pretty(json: &[u8]) -> Option<Vec<u8>> {
    serde_json::from_slice::<IgnoredAny>(json).ok()?;
    let mut lines = Lines { text: Vec::with_capacity(2 * json.len()), depth: 0 };
    let mut in_string = false;
    let mut escaped = false;
    // Behind an opening bracket, the line breaks only if there is something in it.
    let mut opened = false;
    for &byte in json {
        if in_string {
            lines.text.push(byte);
            in_string = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        let closes = matches!(byte, b'}' | b']');
        if byte.is_ascii_whitespace() {
            continue;
        }
        lines.depth -= usize::from(closes);
        if opened != closes {
            lines.break_line();
        }
        opened = matches!(byte, b'{' | b'[');
        lines.depth += usize::from(opened);
        lines.text.push(byte);
        match byte {
            b'"' => in_string = true,
            b':' => lines.text.push(b' '),
            b',' => lines.break_line(),
            _ => {}
        }
    }
    Some(lines.text)
}

struct Lines {
    text: Vec<u8>,
    depth: usize,
}

impl Lines {
    fn break_line(&mut self) {
        self.text.push(b'\n');
        self.text.resize(self.text.len() + 2 * self.depth, b' ');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(json: &str) -> String {
        String::from_utf8(pretty(json.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn parts_have_lines_of_their_own() {
        assert_eq!(
            shown(r#"{"b":1.50e3,"a":[1,{"x":{}} , []],"s":"a\"{,\\"}"#),
            "{\n  \"b\": 1.50e3,\n  \"a\": [\n    1,\n    {\n      \"x\": {}\n    },\n    []\n  ],\n  \"s\": \"a\\\"{,\\\\\"\n}"
        );
    }

    #[test]
    fn what_has_no_parts_stays() {
        for json in ["1", "\"a b\"", "null", "{}", "[]"] {
            assert_eq!(shown(json), json);
        }
        assert_eq!(shown(" [ ] "), "[]");
    }

    #[test]
    fn what_is_no_json_is_left_alone() {
        for text in ["", "hello", "{", "{\"a\":1}x", "\u{ff}"] {
            assert_eq!(pretty(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn it_means_the_same() {
        let json = r#"{"a":[1,2,{"b":[],"c":"\u00e9,:{}"}],"d":null,"e":-0.1}"#;
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown(json)).unwrap(), value);
        assert_eq!(shown(json), serde_json::to_string_pretty(&value).unwrap().replace('é', "\\u00e9"));
    }
}
